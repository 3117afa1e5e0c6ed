"""Answers calls: one request in, one answer or a stream of them out."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from moorage.grpc import message
from moorage.grpc.connection import Connection, Duplex, Stream
from moorage.grpc.status import CallFailed, Code, Headers, of_error, trailers
from moorage.lib.errors import MoorageError

log = logging.getLogger(__name__)
_RESPONSE: Final[Headers] = [(":status", "200"), ("content-type", "application/grpc")]
_TIMEOUT: Final = re.compile(r"(\d{1,8})([HMSmun])\Z")
_UNITS_S: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

Metadata = Mapping[str, str]


class Method(Struct, frozen=True):
    """What serves the calls of one path."""

    request: type[Struct]
    handler: Callable[[Any, Metadata], Awaitable[Struct] | AsyncIterator[Struct]]


class Server:
    """Serves methods by their path: ``/package.Service/Method``."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._methods = methods

    async def serve(self, duplex: Duplex) -> None:
        """Serve one connection to its end. Cancel: every call of it is cancelled."""
        await Connection(duplex, client=False, accept=self._answer).run()

    async def _answer(self, stream: Stream) -> None:
        metadata = dict(stream.headers)
        failed: CallFailed | None = None
        begun = False
        try:
            method = self._find(metadata)
            async with asyncio.timeout(_timeout_s(metadata)):
                request = message.decode(method.request, await _request(stream))
                answer = method.handler(request, metadata)
                if isinstance(answer, AsyncIterator):
                    await stream.send_headers(_RESPONSE)
                    begun = True
                    async for part in answer:
                        await stream.send(message.encode(part))
                else:
                    result = message.encode(await answer)
                    await stream.send_headers(_RESPONSE)
                    begun = True
                    await stream.send(result)
        except TimeoutError:
            failed = CallFailed(Code.DEADLINE_EXCEEDED, "the call's time has run out")
        except MoorageError as error:
            failed = of_error(error)
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            failed = CallFailed(Code.INTERNAL, f"{error.strerror or error}".lower())
        except Exception as error:
            log.exception("%s: unexpected %s", metadata.get(":path"), type(error).__name__)
            failed = CallFailed(Code.INTERNAL, f"internal error: {type(error).__name__}: {error}")
        end = trailers(failed)
        await stream.send_headers(end if begun else [*_RESPONSE, *end], end=True)

    def _find(self, metadata: Metadata) -> Method:
        path = metadata.get(":path", "")
        if not metadata.get("content-type", "").startswith("application/grpc"):
            raise CallFailed(Code.INVALID_ARGUMENT, "this connection carries gRPC only")
        found = self._methods.get(path)
        if found is None:
            _, _, method = path.rpartition("/")
            service = path.strip("/").partition("/")[0]
            raise CallFailed(
                Code.UNIMPLEMENTED, f"unknown method {method} for service {service} in this daemon"
            )
        return found


async def _request(stream: Stream) -> bytes:
    request = await stream.receive()
    if request is None:
        raise CallFailed(Code.INVALID_ARGUMENT, "the call has no request")
    return request


def _timeout_s(metadata: Metadata) -> float | None:
    """Return how long the client waits; None: for ever."""
    match = _TIMEOUT.match(metadata.get("grpc-timeout", ""))
    return int(match[1]) * _UNITS_S[match[2]] if match else None

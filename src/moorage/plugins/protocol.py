"""Docker's plugin protocol (API v1): JSON posted to ``/Subsystem.Method``.

A plugin may be any program: it can hang, lie or die. Every call has a time limit and a size limit,
and its answer is decoded to the type the caller wants or is an error naming plugin and method.
"""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from moorage.lib.errors import (
    DeadlineExceeded,
    InvalidParameter,
    MoorageError,
    NotImplemented_,
    System,
    Unavailable,
)
from moorage.lib.httpclient import HttpClient
from moorage.plugins.discovery import PluginAddress
from moorage.spec import gojson

CONTENT_TYPE: Final = "application/vnd.docker.plugins.v1.2+json"
CALL_TIMEOUT_S: Final = 60.0
_ANSWER_LIMIT: Final = 8 << 20
_HEADERS: Final = {"Accept": CONTENT_TYPE, "Content-Type": CONTENT_TYPE}

Answer = TypeVar("Answer", bound=Struct)


class PluginRefusal(MoorageError):
    """The plugin answered with an error of its own; what that means is the subsystem's to say."""


class Nothing(Struct, frozen=True):
    """A request, or an answer, that says nothing."""


class Activation(Struct, frozen=True, rename="pascal"):
    """The answer to ``Plugin.Activate``."""

    implements: list[str] = []


class _Failure(Struct, frozen=True, rename="pascal"):
    err: str = ""


class PluginClient:
    """One plugin. Methods are named ``VolumeDriver.Mount``, ``NetworkDriver.Join``."""

    def __init__(self, client: HttpClient, address: PluginAddress) -> None:
        self._client = client
        self.address = address

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.address.name

    async def call(
        self,
        method: str,
        request: Struct,
        answer: type[Answer],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Answer:
        """Call *method*.

        Raises: PluginRefusal (it says no), NotImplemented_ (it has no such method),
        DeadlineExceeded, Unavailable (it is gone), System (its answer is none).
        """
        who = f"plugin {self.name}: {method}"
        try:
            async with asyncio.timeout(timeout_s):
                status, body = await self._post(method, msgspec.json.encode(request))
        except TimeoutError as error:
            raise DeadlineExceeded(f"{who}: no answer in {timeout_s:.0f} s") from error
        except OSError as error:
            raise Unavailable(f"{who}: {error}", hint="is the plugin running?") from error
        if len(body) > _ANSWER_LIMIT:
            raise System(f"{who}: the answer has more than {_ANSWER_LIMIT} bytes")
        if status == 404:
            raise NotImplemented_(f"{who}: the plugin has no such method")
        said = _failure(body)
        if status != 200 or said:
            text = said or body[:200].decode(errors="replace").strip() or f"status {status}"
            raise PluginRefusal(text if status == 200 else f"{method}: {text}")
        try:
            return gojson.decode(body, answer)
        except InvalidParameter as error:
            raise System(f"{who}: the answer makes no sense: {error.message}") from error

    async def _post(self, method: str, body: bytes) -> tuple[int, bytes]:
        async with await self._client.request(
            "POST",
            f"{self.address.url}/{method}",
            headers=_HEADERS,
            body=body,
            tls=self.address.tls,
        ) as response:
            return response.status, await response.read(_ANSWER_LIMIT)


def _failure(body: bytes) -> str:
    try:
        return gojson.decode(body, _Failure).err
    except InvalidParameter:
        return ""

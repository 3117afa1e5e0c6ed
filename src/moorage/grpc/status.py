"""The outcome of a call: gRPC's codes, the trailers that carry them, and our errors in them."""

from __future__ import annotations

import base64
import binascii
import enum
from typing import Annotated, Final
from urllib.parse import quote, unquote

from msgspec import Struct, field

from moorage.grpc import message
from moorage.lib import errors
from moorage.lib.errors import InvalidParameter, MoorageError

Headers = list[tuple[str, str]]
_MESSAGE_LIMIT: Final = 16 << 10  # characters in a trailer: clients bound their headers


class Code(enum.IntEnum):
    """gRPC's status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class Detail(Struct, frozen=True, kw_only=True):
    """``google.protobuf.Any``: a message with the name of its type."""

    type_url: Annotated[str, 1] = ""
    value: Annotated[bytes, 2] = b""


class Status(Struct, frozen=True, kw_only=True):
    """``google.rpc.Status``."""

    code: Annotated[int, 1] = 0
    message: Annotated[str, 2] = ""
    details: Annotated[list[Detail], 3] = field(default_factory=list)


class CallFailed(MoorageError):
    """A call ended with another code than OK, at this side or at the other."""

    def __init__(
        self,
        code: Code,
        text: str,
        *,
        details: tuple[Detail, ...] = (),
    ) -> None:
        super().__init__(text)
        self.code = code
        self.details = details


_CODES: Final[tuple[tuple[type[MoorageError], Code], ...]] = (
    (errors.InvalidParameter, Code.INVALID_ARGUMENT),
    (errors.Unauthorized, Code.UNAUTHENTICATED),
    (errors.Forbidden, Code.PERMISSION_DENIED),
    (errors.NotFound, Code.NOT_FOUND),
    (errors.Conflict, Code.FAILED_PRECONDITION),
    (errors.DataLoss, Code.DATA_LOSS),
    (errors.System, Code.INTERNAL),
    (errors.NotImplemented_, Code.UNIMPLEMENTED),
    (errors.Unavailable, Code.UNAVAILABLE),
    (errors.DeadlineExceeded, Code.DEADLINE_EXCEEDED),
    (errors.Cancelled, Code.CANCELLED),
)


def of_error(error: MoorageError) -> CallFailed:
    """Return *error* as the outcome of a call."""
    if isinstance(error, CallFailed):
        return error
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Code.UNKNOWN)
    return CallFailed(code, str(error))


def trailers(failed: CallFailed | None) -> Headers:
    """Return what ends a call: the code, the sentence, and the details."""
    if failed is None:
        return [("grpc-status", "0")]
    text = failed.message[:_MESSAGE_LIMIT]
    found = [("grpc-status", str(int(failed.code))), ("grpc-message", _quote(text))]
    if failed.details:
        whole = Status(code=int(failed.code), message=text, details=list(failed.details))
        encoded = base64.b64encode(message.encode(whole)).decode().rstrip("=")
        found.append(("grpc-status-details-bin", encoded))
    return found


def of_trailers(headers: dict[str, str]) -> CallFailed | None:
    """Return how a call ended by what the other side sent last; None for OK."""
    text = headers.get("grpc-status", "")
    if text == "0":
        return None
    if not text.isdigit() or int(text) not in Code.__members__.values():
        http = headers.get(":status", "200")
        return CallFailed(Code.UNKNOWN, f"the call ended without a status (HTTP {http})")
    sentence = unquote(headers.get("grpc-message", ""))
    return CallFailed(Code(int(text)), sentence, details=_details(headers))


def _details(headers: dict[str, str]) -> tuple[Detail, ...]:
    encoded = headers.get("grpc-status-details-bin", "")
    try:
        data = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        return tuple(message.decode(Status, data).details)
    except (binascii.Error, InvalidParameter):
        return ()


def _quote(text: str) -> str:
    """Percent-encode what may not stand in a trailer; a blank may."""
    safe = "".join(chr(c) for c in range(0x20, 0x7F) if c != 0x25)
    return quote(text, safe=safe, errors="replace")

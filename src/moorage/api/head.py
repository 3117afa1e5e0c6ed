"""The head of a request.

The only file that knows the HTTP library, llhttp; it is given one head at a time and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httptools

from moorage.api import paths
from moorage.api.httpstatus import HttpError
from moorage.lib.errors import InvalidParameter, MoorageError

HEADER_COUNT_LIMIT: Final = 256
_SINGLE: Final = frozenset({"host", "content-length", "transfer-encoding", "content-type"})


@dataclass(frozen=True, slots=True)
class Head:
    """A parsed head; may be shared by requests with equal bytes, so nothing in it is changed."""

    method: str
    version: tuple[int, int]  # of the Engine API
    path: str  # decoded, without the version
    query: str  # as it came
    headers: dict[str, str]  # lower-case names
    length: int | None  # of the body; 0 = none, None = chunked
    expects_continue: bool
    keep_alive: bool
    http_1_0: bool


class _Collector:
    """Callbacks of llhttp."""

    __slots__ = ("count", "headers", "keep_alive", "parser", "target")

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.target = b""
        self.headers: dict[str, str] = {}
        self.count = 0
        self.keep_alive = False

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.count += 1
        if self.count > HEADER_COUNT_LIMIT:
            raise HttpError(431, "too many request headers")
        if key in self.headers:
            if key in _SINGLE:
                raise InvalidParameter(f"the request header {key} is given twice")
            text = f"{self.headers[key]}, {text}"
        self.headers[key] = text

    def on_headers_complete(self) -> None:  # behind a message without a body it is forgotten
        self.keep_alive = self.parser.should_keep_alive()


def parse_head(raw: bytes) -> Head:
    """Parse a request line and headers, with the empty line behind them.

    Raises: InvalidParameter, HttpError.
    """
    found = _Collector()
    parser = found.parser
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # what lies behind the head is not given to the parser anyway
    except httptools.HttpParserCallbackError as error:
        cause = error.__context__
        raise cause if isinstance(cause, MoorageError) else _malformed(error) from error
    except httptools.HttpParserError as error:
        raise _malformed(error) from error
    version, path, query = _split_target(found.target)
    length = _body_length(found.headers)
    is_1_0 = parser.get_http_version() == "1.0"
    return Head(
        method=parser.get_method().decode("ascii"),
        version=version,
        path=path,
        query=query,
        headers=found.headers,
        length=length,
        expects_continue=length != 0 and _expects_continue(found.headers),
        keep_alive=found.keep_alive and not is_1_0,
        http_1_0=is_1_0,
    )


def _malformed(error: Exception) -> InvalidParameter:
    return InvalidParameter(f"malformed HTTP request: {error}")


def _split_target(target: bytes) -> tuple[tuple[int, int], str, str]:
    try:
        return paths.split_target(target.decode("ascii"))
    except UnicodeDecodeError as error:
        raise InvalidParameter("the request path is no UTF-8 in percent-encoding") from error


def _body_length(headers: dict[str, str]) -> int | None:
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.strip().lower() != "chunked" or "content-length" in headers:
            raise HttpError(400, "unsupported transfer encoding")
        return None
    length = headers.get("content-length", "0").strip()
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise InvalidParameter(f"invalid Content-Length: {length}")
    return int(length)


def _expects_continue(headers: dict[str, str]) -> bool:
    expectation = headers.get("expect", "").lower()
    if expectation not in {"", "100-continue"}:
        raise HttpError(417, f"unsupported expectation: {expectation}")
    return bool(expectation)

"""HTTP/1.1: answers cut at any byte, requests, and what a peer may do wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.client import http, url


class Pieces:
    """A connection that hands out an answer in pieces and remembers what was sent."""

    def __init__(self, data: bytes, size: int = 1000) -> None:
        self.pieces = [data[at : at + size] for at in range(0, len(data), size)]
        self.sent = b""

    def recv(self, _: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def sendall(self, data: bytes | memoryview) -> None:
        self.sent += bytes(data)

    def send(self, data: bytes | memoryview) -> int:
        self.sendall(data)
        return len(data)

    def fileno(self) -> int:
        return -1

    def pending(self) -> bool:
        return False

    def setblocking(self, flag: bool, /) -> None: ...  # noqa: FBT001
    def close_write(self) -> None: ...
    def close(self) -> None: ...


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nApi-Version: 1.44\r\n\r\n"
    b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
)
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"
CLOSED = b"HTTP/1.0 200 OK\r\n\r\nhello world"


@pytest.mark.parametrize(("answer", "reusable"), [(CHUNKED, True), (PLAIN, True), (CLOSED, False)])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_body_in_pieces(*, answer: bytes, reusable: bool, size: int) -> None:
    response = http.Response(http.Wire(Pieces(answer, size)), "GET")
    assert response.read() == b"hello world"
    assert response.finished
    assert response.reusable == reusable


@given(st.lists(st.binary(max_size=30), max_size=5), st.integers(1, 9))
def test_lines_survive_any_cutting(lines: list[bytes], size: int) -> None:
    wanted = [line for line in (b"\n".join(lines)).split(b"\n") if line.strip()]
    body = b"\n".join(lines)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    response = http.Response(http.Wire(Pieces(head + body, size)), "GET")
    assert list(response.lines()) == wanted


@pytest.mark.parametrize("answer", [CHUNKED[:-20], PLAIN[:-1], b"HTTP/1.1 200 OK\r\nX", b""])
def test_an_answer_cut_short_is_an_error(answer: bytes) -> None:
    with pytest.raises(http.ProtocolError, match="closed the connection"):
        http.Response(http.Wire(Pieces(answer)), "GET").read()


def test_what_is_not_http_is_an_error() -> None:
    with pytest.raises(http.ProtocolError, match="did not answer in HTTP"):
        http.Response(http.Wire(Pieces(b"\x15\x03\x01\n")), "GET")


def test_an_answer_to_head_has_no_body() -> None:
    response = http.Response(
        http.Wire(Pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")), "HEAD"
    )
    assert response.read() == b""
    assert response.reusable


def test_requests() -> None:
    peer = Pieces(b"")
    http.send_request(http.Wire(peer), "POST", "/x", {"Host": "h"}, None)
    assert peer.sent == b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
    peer = Pieces(b"")
    http.send_request(http.Wire(peer), "PUT", "/x", {}, iter([b"ab", b"", b"c"]))
    assert peer.sent.endswith(b"chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    with pytest.raises(ValueError, match="line break"):
        http.send_request(http.Wire(peer), "GET", "/", {"X": "a\r\nY: b"}, None)


def test_urls() -> None:
    assert url.quote_path("/images/a b/c?d#é/json") == "/images/a%20b/c%3Fd%23%C3%A9/json"
    query: dict[str, object] = {"a": True, "b": None, "c": ["x", "y&z"], "d": 5, "e": False}
    assert url.encode_query(query) == "a=1&c=x&c=y%26z&d=5&e=0"

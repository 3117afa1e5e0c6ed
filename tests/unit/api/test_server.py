"""HTTP on the wire: framing, keep-alive, streams, hijack, and clients that misbehave."""

from __future__ import annotations

import asyncio
import json

import pytest

from moorage.api import connection as connection_module
from support.conversation import Peer, Running


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: docker", *headers, "", ""]).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: docker", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"


async def test_requests_follow_each_other_on_one_connection(peer: Peer) -> None:
    for number in range(3):
        await peer.send(get(f"/query?limit={number}"))
        status, body = await peer.response()
        assert (status, json.loads(body)["limit"]) == (200, number)


async def test_pipelined_requests_are_answered_in_order(peer: Peer) -> None:
    await peer.send(
        get("/query?limit=1")
        + post("/body", b'{"Name":"x"}', JSON)
        + get("/query?limit=2")
        + post("/upload", b"abc")
    )
    answers = [await peer.response() for _ in range(4)]
    assert [status for status, _ in answers] == [200] * 4
    assert json.loads(answers[1][1]) == {"Name": "x", "Count": 0}
    assert json.loads(answers[3][1]) == {"size": 3}


@pytest.mark.parametrize("path", ["/query?limit=1", "/bytes"])
async def test_a6_answers_that_nobody_reads_are_not_piled_up(running: Running, path: str) -> None:
    """A client that asks on and on is held back by what it has not read, and loses nothing."""
    peer = await running.connect()
    await peer.send(get(path))
    await peer.response()
    (connection,) = running.server.connections
    count = 20_000
    peer.writer.write(get(path) * count)
    seen = most = 0
    while seen < count:
        most = max(most, connection._transport.get_write_buffer_size())  # noqa: SLF001 - measured
        async with asyncio.timeout(20):
            piece = await peer.reader.readuntil(b"HTTP/1.1 200 OK\r\n")
        seen += piece.count(b"HTTP/1.1 200 OK")
        for _ in range(3):
            await asyncio.sleep(0)  # the server may do what it likes meanwhile
    assert most < 2 * connection_module.WRITE_HIGH_WATER


async def test_a1_a_query_that_go_reads_otherwise_is_refused(peer: Peer) -> None:
    """Go drops a pair with a semicolon: a plugin would not see what is executed."""
    await peer.send(get("/query?all=1;limit=3"))
    status, body = await peer.response()
    assert (status, json.loads(body)) == (400, {"message": "invalid semicolon separator in query"})


async def test_a_request_that_arrives_byte_by_byte_is_understood(peer: Peer) -> None:
    for byte in post("/body", b'{"Name":"slow","Count":7}', JSON):
        await peer.send(bytes([byte]))
        await asyncio.sleep(0)
    assert json.loads((await peer.response())[1]) == {"Name": "slow", "Count": 7}


async def test_a_chunked_body_is_decoded_and_the_next_request_found(peer: Peer) -> None:
    head = f"POST /upload HTTP/1.1\r\nHost: d\r\n{CHUNKED}\r\n\r\n".encode()
    body = b"3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n"
    await peer.send(head + body + get("/query"))
    assert json.loads((await peer.response())[1]) == {"size": 7}
    assert (await peer.response())[0] == 200


@pytest.mark.parametrize(
    "body",
    [b"zz\r\nabc\r\n", b"3\r\nabcd\r\n", b"-1\r\n\r\n", b"3 \nabc", b"ffffffffffffffffff\r\n"],
)
async def test_a_malformed_chunked_body_is_refused_and_the_connection_closed(
    peer: Peer, body: bytes
) -> None:
    head = f"POST /upload HTTP/1.1\r\nHost: d\r\n{CHUNKED}\r\n\r\n".encode()
    await peer.send(head + body + b"\r\n" * 3000)
    answer = await peer.all()
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "framing",
    [
        f"Content-Length: 3\r\n{CHUNKED}",
        f"{CHUNKED}\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: +3",
        "Content-Length: 3, 3",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding : chunked",
    ],
)
async def test_ambiguous_framing_is_refused(peer: Peer, framing: str) -> None:
    await peer.send(f"POST /upload HTTP/1.1\r\nHost: d\r\n{framing}\r\n\r\nabc".encode())
    answer = await peer.all()
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_response_stream_is_chunked(peer: Peer) -> None:
    await peer.send(get("/numbers"))
    assert "transfer-encoding: chunked" in (await peer.head()).lower()
    assert await peer.until(b"0\r\n\r\n") == b"2\r\n0;\r\n2\r\n1;\r\n2\r\n2;\r\n0\r\n\r\n"
    await peer.send(get("/query"))
    assert (await peer.response())[0] == 200


async def test_http_1_0_gets_a_stream_that_ends_with_the_connection(peer: Peer) -> None:
    await peer.send(b"GET /numbers HTTP/1.0\r\n\r\n")
    head, _, body = (await peer.all()).partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body == b"0;1;2;"


async def test_head_is_answered_without_a_body(peer: Peer) -> None:
    await peer.send(get("/bytes").replace(b"GET", b"HEAD") + get("/bytes"))
    assert "content-length: 3" in (await peer.head()).lower()
    assert (await peer.response()) == (200, b"abc")


async def test_expect_continue_is_answered_when_the_body_is_wanted(peer: Peer) -> None:
    await peer.send(
        post("/upload", b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 3")
    )
    assert await peer.head() == "HTTP/1.1 100 Continue\r\n\r\n"
    await peer.send(b"abc")
    assert json.loads((await peer.response())[1]) == {"size": 3}


async def test_expect_continue_is_not_sent_for_a_request_that_is_refused(peer: Peer) -> None:
    request = (
        b"POST /nowhere HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    )
    await peer.send(request)
    assert (await peer.head()).startswith("HTTP/1.1 404")


async def test_an_upload_waits_in_the_socket_while_nobody_reads_it(
    running: Running, peer: Peer
) -> None:
    peer.writer.transport.set_write_buffer_limits(high=0)
    size = 64 << 20
    await peer.send(f"POST /slow HTTP/1.1\r\nHost: d\r\nContent-Length: {size}\r\n\r\n".encode())
    sender = asyncio.ensure_future(peer.send(b"x" * size))
    done, _ = await asyncio.wait({sender}, timeout=0.3)
    assert not done, "the server must not take in what nobody reads"
    running.things.gate.set()
    await sender
    assert json.loads((await peer.response())[1]) == {"size": size}


async def test_a_download_is_produced_no_faster_than_it_is_read(
    running: Running, peer: Peer
) -> None:
    await peer.send(get("/endless"))
    await peer.head()
    await asyncio.sleep(0.2)
    (connection,) = running.server.connections
    assert connection._transport.get_write_buffer_size() < 2 << 20  # noqa: SLF001
    assert running.things.cancelled == []
    peer.writer.close()
    async with asyncio.timeout(5):
        while not running.things.cancelled:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_stream_without_output_ends_when_the_client_goes(
    running: Running, peer: Peer
) -> None:
    await peer.send(get("/silent"))
    await peer.head()
    peer.writer.close()
    async with asyncio.timeout(5):
        while not running.things.cancelled:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_half_closed_client_still_gets_its_answer(running: Running, peer: Peer) -> None:
    await peer.send(post("/slow", b"abc"))
    peer.writer.write_eof()
    await asyncio.sleep(0.05)
    running.things.gate.set()
    assert b'{"size":3}' in await peer.all()


@pytest.mark.parametrize("path", ["/query?limit=1", "/bytes", "/nowhere"])
async def test_a_client_that_wants_no_more_is_not_kept(peer: Peer, path: str) -> None:
    await peer.send(get(path, "Connection: close"))
    assert b"\r\nConnection: close\r\n" in await peer.all()


async def test_a_body_that_is_cut_short_is_the_fault_of_the_client(peer: Peer) -> None:
    await peer.send(post("/body", b'{"Name":"x"}', JSON)[:-5])
    peer.writer.write_eof()
    status, body = await peer.response()
    assert (status, b"unexpected EOF" in body) == (400, True)


async def test_hijack_with_upgrade_switches_protocols(peer: Peer) -> None:
    await peer.send(post("/hijack/c1", b"", "Connection: Upgrade", "Upgrade: tcp") + b"early ")
    head = await peer.head()
    assert head.startswith("HTTP/1.1 101 UPGRADED\r\n")
    assert "Upgrade: tcp\r\n" in head
    await peer.until(b"hello c1\n")
    await peer.send(b"late")
    peer.writer.write_eof()
    assert await peer.all() == b"EARLY LATEbye"


async def test_hijack_without_upgrade_answers_200_and_goes_raw(peer: Peer) -> None:
    await peer.send(post("/hijack/c1", b"{}", JSON) + b"GET / HTTP/1.1\r\n\r\n")
    assert (await peer.head()).startswith("HTTP/1.1 200 OK\r\n")
    await peer.until(b"hello c1\n")
    peer.writer.write_eof()
    assert await peer.all() == b"GET / HTTP/1.1\r\n\r\nbye"


async def test_a_websocket_carries_messages_both_ways(peer: Peer) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    await peer.send(get("/ws", *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
    head = await peer.head()
    assert head.startswith("HTTP/1.1 101 ")
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    mask = bytes((1, 2, 3, 4))
    hello = bytes(byte ^ mask[n % 4] for n, byte in enumerate(b"hello"))
    await peer.send(bytes((0x82, 0x85)) + mask + hello)
    assert await peer.until(b"O") == b"\x82\x05HELLO"
    await peer.send(bytes((0x89, 0x80)) + mask)
    assert await peer.until(b"\x00") == b"\x8a\x00"
    await peer.send(bytes((0x88, 0x80)) + mask)
    assert await peer.all() == b"\x88\x02\x03\xe8"


async def test_errors_before_and_behind_the_first_progress_line(peer: Peer) -> None:
    await peer.send(get("/progress"))
    assert await peer.response() == (409, b'{"message":"it broke"}\n')
    await peer.send(get("/progress?all=1"))
    await peer.head()
    lines = (await peer.until(b"0\r\n\r\n")).split(b"\r\n")[1::2]
    assert json.loads(lines[0]) == {"status": "begun"}
    assert json.loads(lines[1]) == {"errorDetail": {"message": "it broke"}, "error": "it broke"}


async def test_a_bug_is_a_500_with_a_message_and_no_traceback(peer: Peer) -> None:
    await peer.send(get("/broken"))
    status, body = await peer.response()
    assert status == 500
    assert json.loads(body) == {"message": "internal error: RuntimeError: a bug"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1.41/query", 200),
        ("/v1.55/query", 200),
        ("/v1.56/query", 400),
        ("/v1.23/query", 400),
        ("//query", 400),
        ("/x/../query", 400),
        ("/x/%2e%2e/query", 400),
        ("/%2e/query", 400),
        ("/images/a%2f..%2fb/json", 400),
        ("/query%00", 400),
        ("/query/", 404),
        ("/nowhere", 404),
        ("/images/a%2Fb:1%25/json", 200),
        ("/images/%ff/json", 400),
    ],
)
async def test_only_a_path_in_normal_form_reaches_a_route(
    peer: Peer, path: str, status: int
) -> None:
    await peer.send(get(path))
    assert (await peer.response())[0] == status


async def test_a_head_that_is_too_large_is_refused(peer: Peer) -> None:
    await peer.send(get("/query", "X-Big: " + "x" * connection_module.HEAD_LIMIT))
    assert (await peer.all()).startswith(b"HTTP/1.1 431")


async def test_too_many_headers_are_refused(peer: Peer) -> None:
    await peer.send(get("/query", *(f"X-{n}: 1" for n in range(400))))
    assert (await peer.all()).startswith(b"HTTP/1.1 431")


async def test_a_head_that_never_ends_is_timed_out(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "HEAD_TIMEOUT_S", 0.05)
    await peer.send(b"GET /query HTTP/1.1\r\nHost: d\r\nX: ")
    assert (await peer.all()).startswith(b"HTTP/1.1 408")


async def test_a_huge_json_body_is_refused_by_its_length(peer: Peer) -> None:
    size = 1 << 30
    await peer.send(
        f"POST /body HTTP/1.1\r\nHost: d\r\n{JSON}\r\nContent-Length: {size}\r\n\r\n{{".encode()
    )
    assert (await peer.all()).startswith(b"HTTP/1.1 413")


async def test_a_huge_chunked_json_body_is_refused_on_the_way(peer: Peer) -> None:
    await peer.send(f"POST /body HTTP/1.1\r\nHost: d\r\n{JSON}\r\n{CHUNKED}\r\n\r\n".encode())
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"

    async def flood() -> None:
        while True:
            await peer.send(chunk)

    sender = asyncio.ensure_future(flood())
    try:
        assert (await peer.head()).startswith("HTTP/1.1 413")
    finally:
        sender.cancel()
        await asyncio.wait({sender})


async def test_deep_json_is_a_client_error(peer: Peer) -> None:
    await peer.send(post("/body", b'{"Name":' + b"[" * 100_000, JSON))
    assert (await peer.response())[0] == 400


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (JSON, 200),
        (JSON + "; charset=utf-8", 200),
        ("Content-Type: text/plain", 400),
        ("X: y", 400),
    ],
)
async def test_a_json_body_must_say_that_it_is_json(
    peer: Peer, content_type: str, status: int
) -> None:
    await peer.send(post("/body", b"{}", content_type))
    assert (await peer.response())[0] == status


async def test_query_values_are_read_as_dockerd_reads_them(peer: Peer) -> None:
    await peer.send(get("/query?all=yes&limit=5&name=a&name=b%20c&unknown=1"))
    assert json.loads((await peer.response())[1]) == {
        "all": True,
        "limit": 5,
        "names": ["a", "b c"],
    }
    await peer.send(get("/query?all=False&limit="))
    assert json.loads((await peer.response())[1]) == {"all": False, "limit": -1, "names": []}
    await peer.send(get("/query?limit=ten"))
    assert (await peer.response())[0] == 400


@pytest.mark.parametrize("running", ["tcp"], indirect=True)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (("Host: 127.0.0.1:2375",), 200),
        (("Host: [::1]:2375",), 200),
        (("Host: localhost",), 200),
        (("Host: allowed.example:80",), 200),
        (("Host: evil.example",), 403),
        (("Host: 127.0.0.1.evil.example",), 403),
        (("Host: localhost", "Origin: http://evil.example"), 403),
        (("Host: localhost", "Origin: null"), 403),
        (("Host: localhost:80", "Origin: http://localhost:80"), 200),
        (("Host: localhost:2375", "Origin: http://localhost:3000"), 403),
        (("Host: localhost:2375", "Origin: http://localhost"), 403),
        (("Host: localhost", "Sec-Fetch-Site: cross-site"), 403),
        ((), 400),
    ],
)
async def test_a3_over_tcp_web_pages_of_other_sites_are_kept_out(
    peer: Peer, headers: tuple[str, ...], status: int
) -> None:
    await peer.send("\r\n".join(["GET /query HTTP/1.1", *headers, "", ""]).encode())
    assert (await peer.response())[0] == status

"""Bytes of anybody: parsers of the wire answer with a value or an error of ours, however cut."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.chunked import ChunkedDecoder
from moorage.api.head import Head, parse_head
from moorage.api.paths import split_target
from moorage.api.request import parse_query
from moorage.api.websocket import FrameDecoder, frame
from moorage.lib.errors import InvalidParameter, MoorageError

METHODS = st.sampled_from(["GET", "POST", "HEAD", "get", "", "PRI"])
TARGETS = st.text(alphabet="/v1.4%2e5cC0?&;=ab\\*:", max_size=30)
NAMES = st.sampled_from(
    ["Content-Length", "content-length ", "Transfer-Encoding", "Host", "Expect", " X", "X\r\nY", ""]
)
VALUES = st.sampled_from(["3", "3, 3", "+3", "chunked", "gzip, chunked", "a\r\n b", "\0", "\t"])
HEADS = st.builds(
    lambda method, target, fields: (
        f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields) + "\r\n"
    ).encode(),
    METHODS,
    TARGETS,
    st.lists(st.tuples(NAMES, VALUES), max_size=4),
)
CHUNKS = st.lists(
    st.sampled_from(
        [b"3\r\n", b"abc\r\n", b"0\r\n", b"\r\n", b"x", b"3;a=b\r\n", b"A: b\r\n", b"-1\r\n"]
    ),
    max_size=12,
).map(b"".join)
CUTS = st.lists(st.integers(0, 80), max_size=8)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(HEADS | st.binary(max_size=200).map(lambda data: data + b"\r\n\r\n"))
def test_a_head_is_understood_in_one_way_or_refused(raw: bytes) -> None:
    found: Head | None = None
    with suppress(MoorageError):
        found = parse_head(raw)
    if found is None:
        return
    assert found.path.startswith("/")
    assert not {"", ".", ".."} & set(found.path.split("/")[1:-1])
    assert found.length is None or found.length >= 0
    assert not {"content-length", "transfer-encoding"} <= found.headers.keys()
    assert not [v for v in found.headers.values() if set(v) & set("\r\n\0")]


@given(TARGETS)
def test_a_path_in_normal_form_is_the_same_read_again(target: str) -> None:
    with suppress(MoorageError, UnicodeDecodeError):  # parse_head gives the latter its sentence
        _, path, _ = split_target(f"/v1.44/{target}")
        if "%" not in path and "?" not in path and not path.startswith("/v"):
            assert split_target(path)[1] == path


@given(st.text(alphabet="a=&%20;+b", max_size=40))
def test_a_query_is_pairs_or_refused(raw: str) -> None:
    with suppress(MoorageError):
        assert all(values for values in parse_query(raw).values())


def decoded(parts: list[bytes]) -> tuple[bytes, bytes, bool] | str:
    decoder = ChunkedDecoder()
    out = b""
    rest = b""
    try:
        for part in parts:
            if decoder.done:
                rest += part
            else:
                out += b"".join(decoder.feed(part))
    except MoorageError:
        return "refused"
    return out, decoder.rest + rest, decoder.done


@given(CHUNKS | st.binary(max_size=60), CUTS)
def test_a_chunked_body_is_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    assert decoded(pieces(data, cuts)) == decoded([data])


def frames(parts: list[bytes]) -> list[tuple[int, bytes]] | str:
    decoder = FrameDecoder()
    try:
        return [found for part in parts for found in decoder.feed(part)]
    except MoorageError:
        return "refused"


def masked(opcode: int, payload: bytes, mask: bytes) -> bytes:
    head = frame(opcode, payload)[: -len(payload) or None]
    mixed = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    return bytes((head[0], head[1] | 0x80)) + head[2:] + mask + mixed


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 8, 9]), st.binary(max_size=120), st.binary(min_size=4, max_size=4)
    ),
    max_size=4,
)


@given(MESSAGES, CUTS)
def test_websocket_frames_survive_any_cutting(
    messages: list[tuple[int, bytes, bytes]], cuts: list[int]
) -> None:
    data = b"".join(masked(*message) for message in messages)
    assert frames(pieces(data, cuts)) == [(opcode, payload) for opcode, payload, _ in messages]


@given(st.binary(max_size=60), CUTS)
def test_bytes_that_are_no_frames_are_refused_or_waited_for(data: bytes, cuts: list[int]) -> None:
    frames(pieces(data, cuts))


def test_a6_frames_lines_and_trailers_without_end_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="too large"):
        FrameDecoder().feed(bytes((0x82, 0xFF)) + (2 << 20).to_bytes(8, "big"))
    with pytest.raises(InvalidParameter, match="too large"):
        FrameDecoder().feed(bytes((0x89, 0xFE)) + (126).to_bytes(2, "big"))
    with pytest.raises(InvalidParameter, match="line too long"):
        ChunkedDecoder().feed(b"1;" + b"x" * 5000)
    with pytest.raises(InvalidParameter, match="trailer too long"):
        ChunkedDecoder().feed(b"0\r\n" + b"Name: value\r\n" * 2000)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moor_shim import protocol


@given(
    frames=st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=50)), max_size=10),
    sizes=st.lists(st.integers(1, 30), min_size=1),
)
def test_frames_survive_any_cutting(frames: list[tuple[int, bytes]], sizes: list[int]) -> None:
    stream = b"".join(protocol.frame(number, payload) for number, payload in frames)
    reader = protocol.FrameReader()
    read: list[tuple[int, bytes]] = []
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        read += reader.feed(stream[at : at + size])
        at += size
        turn += 1
    assert read == frames


def test_messages_are_cut_at_newlines() -> None:
    reader = protocol.LineReader()
    both = protocol.encode({"op": "a"}) + protocol.encode({"op": "b"})
    assert reader.feed(both[:5]) == []
    assert reader.feed(both[5:]) == [{"op": "a"}, {"op": "b"}]


def test_first_message_leaves_the_frames_behind_it() -> None:
    reader = protocol.LineReader()
    frame = protocol.frame(0, b"x\n")
    assert reader.first(protocol.encode({"op": "attach"}) + frame) == {"op": "attach"}
    assert reader.rest == frame


@pytest.mark.parametrize("line", [b"[]\n", b"nonsense\n", b"\xff\n", b"1\n"])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any kind of it closes the connection
        protocol.LineReader().feed(line)


def test_endless_message_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        protocol.LineReader().feed(b"x" * (protocol.MAX_LINE + 1))

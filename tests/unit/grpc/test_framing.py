"""Messages in a stream of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.grpc.framing import Unframer, frame
from moorage.grpc.status import CallFailed


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 9))
def test_messages_survive_any_cutting(messages: list[bytes], size: int) -> None:
    data = b"".join(map(frame, messages))
    unframer = Unframer()
    found = []
    for at in range(0, len(data), size):
        unframer.feed(data[at : at + size])
        while (one := unframer.next()) is not None:
            found.append(one)
    assert found == messages
    assert unframer.is_empty


def test_a_message_over_the_limit_is_refused_before_it_arrives() -> None:
    unframer = Unframer(limit=10)
    unframer.feed(b"\0\0\0\0\x0b")
    with pytest.raises(CallFailed, match="over the limit of 10"):
        unframer.next()


def test_what_nobody_asked_to_compress_is_refused() -> None:
    unframer = Unframer()
    unframer.feed(b"\1\0\0\0\0")
    with pytest.raises(CallFailed, match="compressed"):
        unframer.next()

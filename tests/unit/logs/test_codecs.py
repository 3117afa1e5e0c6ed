"""Log files that a crash has torn: whatever they hold, reading them goes on."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from moorage.logs.jsonfile import JsonFile
from moorage.logs.local import Local
from moorage.logs.selection import Selection, render

SCRAPS = (
    st.text(max_size=20) | st.integers() | st.none() | st.sampled_from(["2024-01-01T00:00:00Z"])
)
JSON_LINES = st.lists(
    st.dictionaries(st.sampled_from(["log", "stream", "time", "attrs"]), SCRAPS, max_size=4).map(
        lambda record: json.dumps(record).encode()
    )
    | st.binary(max_size=30).filter(lambda data: b"\n" not in data),
    max_size=6,
).map(lambda lines: b"".join(line + b"\n" for line in lines))
EVERYTHING = Selection(timestamps=True, details=True, since_ns=1)


def local_record(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message + len(message).to_bytes(4, "big")


@given(JSON_LINES | st.binary(max_size=100))
def test_any_json_lines_are_read(data: bytes) -> None:
    codec = JsonFile()
    whole = codec.whole(data)
    assert data[whole:].count(b"\n") == 0
    entries = codec.decode(data[:whole])
    for selection in (Selection(), EVERYTHING):
        list(render(entries, selection, codec.texts))


@given(st.lists(st.binary(max_size=40).map(local_record) | st.binary(max_size=12), max_size=5))
def test_any_local_records_are_read(parts: list[bytes]) -> None:
    codec = Local()
    data = b"".join(parts)
    whole = codec.whole(data)
    entries = codec.decode(data[:whole])
    assert codec.whole(data[:whole]) == whole
    for entry in entries:
        assert 0 <= entry.time_ns < 1 << 64
        assert isinstance(entry.text, bytes)


def test_a_number_without_end_is_no_record() -> None:
    assert Local().decode(local_record(b"\x10" + b"\xff" * (1 << 20))) == []


@given(st.lists(st.binary(max_size=9).filter(lambda data: b"\n" not in data)), st.integers(0, 9))
def test_a_tail_of_lines_is_the_last_of_them(lines: list[bytes], count: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    at, found = JsonFile().tail(data, count)
    assert found == min(count, len(lines))
    assert data[at:].count(b"\n") == found


@given(st.binary(max_size=80), st.integers(0, 9))
def test_a_tail_of_anything_lies_inside(data: bytes, count: int) -> None:
    for codec in (JsonFile(), Local()):
        at, found = codec.tail(data, count)
        assert 0 <= at <= len(data)
        assert found <= count

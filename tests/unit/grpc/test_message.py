"""The codec: known bytes, any message there and back, and bytes of somebody's own making."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field

from moorage.grpc import message
from moorage.lib.errors import InvalidParameter


class Inner(Struct, frozen=True, kw_only=True):
    number: Annotated[int, 1] = 0
    text: Annotated[str, 2] = ""


class Outer(Struct, frozen=True, kw_only=True):
    text: Annotated[str, 1] = ""
    data: Annotated[bytes, 2] = b""
    truth: Annotated[bool, 3] = False
    number: Annotated[int, 4] = 0
    inner: Annotated[Inner | None, 5] = None
    texts: Annotated[list[str], 6] = field(default_factory=list)
    inners: Annotated[list[Inner], 7] = field(default_factory=list)
    table: Annotated[dict[str, str], 8] = field(default_factory=dict)
    messages: Annotated[dict[str, Inner], 16] = field(default_factory=dict)
    numbered: Annotated[dict[int, bytes], 2000] = field(default_factory=dict)


class Nest(Struct, frozen=True, kw_only=True):
    inner: Annotated[Nest | None, 1] = None


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
INNER = st.builds(Inner, number=INT64, text=TEXT)
OUTER = st.builds(
    Outer,
    text=TEXT,
    data=st.binary(max_size=300),
    truth=st.booleans(),
    number=INT64,
    inner=st.none() | INNER,
    texts=st.lists(TEXT, max_size=3),
    inners=st.lists(INNER, max_size=3),
    table=st.dictionaries(TEXT, TEXT, max_size=3),
    messages=st.dictionaries(TEXT, INNER, max_size=3),
    numbered=st.dictionaries(INT64, st.binary(max_size=4), max_size=3),
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Outer(), ""),
        (Outer(text="testing"), "0a07 74657374696e67"),  # the examples of the encoding's guide
        (Outer(number=150), "20 9601"),
        (Outer(number=-2), "20 feffffffffffffffff01"),
        (Outer(truth=True), "1801"),
        (Outer(inner=Inner(number=150)), "2a03 08 9601"),
        (Outer(inner=Inner()), "2a00"),  # there, though it is empty
        (Outer(texts=["", "a"]), "3200 320161"),
        (Outer(table={"a": "b"}), "4206 0a0161 120162"),
        (Outer(messages={"a": Inner(number=1)}), "820107 0a0161 12020801"),
    ],
)
def test_known_bytes(value: Outer, written: str) -> None:
    assert message.encode(value).hex() == written.replace(" ", "")
    assert message.decode(Outer, bytes.fromhex(written)) == value


@given(OUTER)
def test_there_and_back(value: Outer) -> None:
    assert message.decode(Outer, message.encode(value)) == value


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = message.decode(Outer, data)
    except InvalidParameter:
        return
    assert message.decode(Outer, message.encode(found)) == found


@given(OUTER, st.integers(1, 40))
def test_what_is_cut_short_is_refused_or_ends_at_a_field(value: Outer, cut: int) -> None:
    data = message.encode(value)[:-cut]
    try:
        message.decode(Outer, data)
    except InvalidParameter as error:
        assert "protobuf" in str(error)  # noqa: PT017 - either is right


def test_names_that_are_no_utf_8_survive() -> None:
    found = message.decode(Outer, b"\x0a\x02\xff/")
    assert message.encode(found) == b"\x0a\x02\xff/"


def test_fields_of_a_newer_client_are_skipped() -> None:
    data = bytes.fromhex("a83f01 b13f0102030405060708 bd3f01020304 c23f0161 0a0161")
    assert message.decode(Outer, data) == Outer(text="a")


@pytest.mark.parametrize(
    "data",
    [
        "0a05 61",  # five bytes said, one there
        "0a ffffffffffffffffff01",  # a length beyond all bounds
        "20 ffffffffffffffffffff01",  # a number of more than ten bytes
        "20",
        "08 01",  # a number where a text belongs
        "0b 0c",  # a group
        "02 00",  # field 0
        "4204 0801 1201",  # a map whose key has another type
    ],
)
def test_what_cannot_be_is_refused(data: str) -> None:
    with pytest.raises(InvalidParameter, match="protobuf"):
        message.decode(Outer, bytes.fromhex(data))


def test_messages_nested_without_end_are_refused() -> None:
    data = b""
    for _ in range(100):
        data = b"\x0a" + message.varint(len(data)) + data
    with pytest.raises(InvalidParameter, match="nested too deeply"):
        message.decode(Nest, data)

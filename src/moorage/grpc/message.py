"""Protocol Buffers (proto3, binary) for messages that are declared as structs.

A message is a msgspec Struct whose fields carry their numbers::

    class Vertex(Struct, frozen=True, kw_only=True):
        digest: Annotated[str, 1] = ""
        inputs: Annotated[list[str], 2] = field(default_factory=list)

``str``, ``bytes``, ``bool``, ``int`` (int32 to int64, uint32, enums: one encoding), another message
or None, a list of one of these, and a dict from ``str`` or ``int`` (a map). Fields that are not
declared are skipped when read. Text that is no UTF-8 survives (surrogates), for names of files.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from moorage.lib.errors import InvalidParameter

M = TypeVar("M", bound=Struct)

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5
_DEPTH_LIMIT: Final = 32  # messages inside of messages
_MASK: Final = (1 << 64) - 1
_NEGATIVE: Final = 1 << 63

Value = object


class _Kind:
    """How values of one Python type are written and read, without their field number."""

    __slots__ = ("read", "wire", "write", "zero")

    def __init__(
        self,
        wire: int,
        write: Callable[[typing.Any], bytes],
        read: Callable[[int | bytes, int], Value],
        zero: Value,
    ) -> None:
        self.wire = wire
        self.write = write
        self.read = read
        self.zero = zero


class _Field:
    """One field of a message."""

    __slots__ = ("key", "kind", "map_key", "name", "shape")

    def __init__(self, name: str, number: int, shape: str, kind: _Kind, map_key: _Kind) -> None:
        self.name = name
        self.shape = shape  # one, many, map
        self.kind = kind
        self.map_key = map_key
        wire = _BYTES if shape == "map" else kind.wire
        self.key = varint(number << 3 | wire)


# --- writing -----------------------------------------------------------------------------------


def encode(message: Struct) -> bytes:
    """Return *message* as it travels; fields with their zero value take no room."""
    out: list[bytes] = []
    for field in _fields(type(message)).values():
        value = getattr(message, field.name)
        if field.shape == "one":
            if value is not None and value != field.kind.zero:
                _put(out, field.key, field.kind, value)
        elif field.shape == "many":
            for item in value:
                _put(out, field.key, field.kind, item)
        else:
            for key, item in value.items():
                entry: list[bytes] = []
                _put(
                    entry, b"\x0a" if field.map_key.wire == _BYTES else b"\x08", field.map_key, key
                )
                _put(entry, b"\x12" if field.kind.wire == _BYTES else b"\x10", field.kind, item)
                _put(out, field.key, _RAW, b"".join(entry))
    return b"".join(out)


def _put(out: list[bytes], key: bytes, kind: _Kind, value: Value) -> None:
    written = kind.write(value)
    out.append(key)
    if kind.wire == _BYTES:
        out.append(varint(len(written)))
    out.append(written)


def varint(value: int) -> bytes:
    """Return *value* in groups of seven bits, the lowest first; negative ones take ten bytes."""
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= _MASK
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# --- reading -----------------------------------------------------------------------------------


def decode(kind: type[M], data: bytes) -> M:
    """Read a message of *kind*.

    Raises: InvalidParameter (cut short, or not what the field's type says).
    """
    return _decode(kind, data, 0)


def _decode(kind: type[M], data: bytes, depth: int) -> M:
    if depth > _DEPTH_LIMIT:
        raise InvalidParameter(f"protobuf: {kind.__name__}: messages are nested too deeply")
    fields = _fields(kind)
    values: dict[str, typing.Any] = {}
    for number, wire, raw in _raw_fields(data):
        field = fields.get(number)
        if field is None:
            continue
        expected = _BYTES if field.shape == "map" else field.kind.wire
        if wire != expected:
            raise InvalidParameter(
                f"protobuf: {kind.__name__}.{field.name}: wire type {wire}, not {expected}"
            )
        if field.shape == "one":
            values[field.name] = field.kind.read(raw, depth)
        elif field.shape == "many":
            values.setdefault(field.name, []).append(field.kind.read(raw, depth))
        else:
            key, value = _map_entry(field, typing.cast("bytes", raw), depth)
            values.setdefault(field.name, {})[key] = value
    return kind(**values)


def _map_entry(field: _Field, data: bytes, depth: int) -> tuple[Value, Value]:
    found: dict[int, Value] = {1: field.map_key.zero, 2: field.kind.zero}
    for number, wire, raw in _raw_fields(data):
        part = {1: field.map_key, 2: field.kind}.get(number)
        if part is None:
            continue
        if wire != part.wire:
            raise InvalidParameter(f"protobuf: {field.name}: wire type {wire} in a map")
        found[number] = part.read(raw, depth)
    if found[2] is None:  # an absent value that is a message is an empty one
        found[2] = field.kind.read(b"", depth)
    return found[1], found[2]


def _raw_fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (number, wire type, value) of each field as it stands."""
    at, end = 0, len(data)
    raw: int | bytes
    while at < end:
        key, at = _read_varint(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise InvalidParameter(f"protobuf: illegal field number {number}")
        if wire == _VARINT:
            raw, at = _read_varint(data, at)
        elif wire in {_BYTES, _FIXED64, _FIXED32}:
            size = 8 if wire == _FIXED64 else 4
            if wire == _BYTES:
                size, at = _read_varint(data, at)
            if size > end - at:
                raise InvalidParameter("protobuf: the message is cut short")
            raw = data[at : at + size]
            at += size
        else:
            raise InvalidParameter(f"protobuf: illegal wire type {wire}")
        yield number, wire, raw


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    end = len(data)
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK, at
        shift += 7
        if shift >= 70:
            raise InvalidParameter("protobuf: a number of more than ten bytes")
    raise InvalidParameter("protobuf: the message is cut short")


# --- the declarations --------------------------------------------------------------------------


@functools.cache
def _fields(kind: type[Struct]) -> Mapping[int, _Field]:
    """Return the fields of a message by number, in the order of their numbers."""
    hints = typing.get_type_hints(kind, include_extras=True)
    found: dict[int, _Field] = {}
    for info in msgspec.structs.fields(kind):
        inner, number = typing.get_args(hints[info.name])
        found[number] = _field(info.name, number, inner)
    return dict(sorted(found.items()))


def _field(name: str, number: int, kind: typing.Any) -> _Field:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return _Field(name, number, "many", _kind(arguments[0]), _TEXT)
    if origin is dict:
        return _Field(name, number, "map", _kind(arguments[1]), _kind(arguments[0]))
    if origin in {types.UnionType, typing.Union}:
        kind = next(a for a in arguments if a is not types.NoneType)
    return _Field(name, number, "one", _kind(kind), _TEXT)


def _kind(kind: typing.Any) -> _Kind:
    known = _KINDS.get(kind)
    if known is not None:
        return known
    if not (isinstance(kind, type) and issubclass(kind, Struct)):
        raise TypeError(f"protobuf: no encoding for {kind!r}")

    def read(raw: int | bytes, depth: int) -> Value:
        return _decode(kind, typing.cast("bytes", raw), depth + 1)

    return _Kind(_BYTES, encode, read, None)


def _signed(raw: int | bytes, _depth: int) -> int:
    value = typing.cast("int", raw)
    return value - (1 << 64) if value & _NEGATIVE else value


def _write_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _read_text(raw: int | bytes, _depth: int) -> str:
    return typing.cast("bytes", raw).decode("utf-8", "surrogateescape")


def _as_it_is(raw: int | bytes, _depth: int) -> Value:
    return raw


_TEXT: Final = _Kind(_BYTES, _write_text, _read_text, "")
_RAW: Final = _Kind(_BYTES, bytes, _as_it_is, b"")
_KINDS: Final[dict[object, _Kind]] = {
    str: _TEXT,
    bytes: _RAW,
    bool: _Kind(_VARINT, varint, lambda raw, _: bool(raw), zero=False),
    int: _Kind(_VARINT, varint, _signed, 0),
}

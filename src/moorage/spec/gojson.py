"""JSON from outside, decoded as Go's encoding/json does: clients were written against that.

Go takes ``null`` for any field as its zero value, and matches keys without regard to case; msgspec
does neither. So the text is parsed first, brought into shape along the wanted type, and converted.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Hashable
from typing import Annotated, Final, TypeAlias, TypeVar, cast

import msgspec
from msgspec import inspect as mi

from moorage.lib.errors import InvalidParameter

T = TypeVar("T")
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

StrSlice: TypeAlias = Annotated[list[str], msgspec.Meta(extra={"of_one": True})]
"""A list of texts for which one text alone may stand, as Docker's ``strslice``."""

_INT64_MIN: Final = -(1 << 63)
_INT64_MAX: Final = (1 << 63) - 1

encode = msgspec.json.Encoder().encode


def decode(text: bytes | str, wanted: type[T]) -> T:
    """Decode *text* to *wanted*; an empty text is Go's zero value.

    Raises: InvalidParameter, naming the path of the field.
    """
    return convert(parse(text), wanted)


def parse(text: bytes | str) -> Json:
    """Parse *text* without a type; an empty text is an empty object.

    Raises: InvalidParameter.
    """
    try:
        raw: Json = msgspec.json.decode(text if text.strip() else b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid JSON: {error}") from error
    return raw


def convert(raw: Json, wanted: type[T]) -> T:
    """Convert a parsed document to *wanted*.

    Raises: InvalidParameter, naming the path of the field.
    """
    try:
        return msgspec.convert(shape(raw, wanted), wanted)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid request: {error}") from error
    except RecursionError as error:
        raise InvalidParameter("invalid JSON: nested too deeply") from error


def shape(raw: Json, wanted: type) -> Json:
    """Return what ``convert`` takes of *raw*, with the keys as *wanted* spells them.

    Of keys that differ in case alone the last one counts; unknown ones are left out.
    Raises: InvalidParameter (a number of more than 64 bits), RecursionError.
    """
    return _shape(raw, _type_info(cast("Hashable", wanted)))


@functools.lru_cache(maxsize=512)
def _type_info(wanted: Hashable) -> mi.Type:
    return mi.type_info(wanted)


@functools.lru_cache(maxsize=512)
def _fields(cls: type) -> dict[str, tuple[str, mi.Type, bool]]:
    """Map the lower-case key to (exact key, type, may be null)."""
    info = mi.type_info(cls)
    assert isinstance(info, mi.StructType)  # noqa: S101 - callers pass struct classes only
    return {f.encode_name.lower(): (f.encode_name, f.type, _nullable(f.type)) for f in info.fields}


def _nullable(info: mi.Type) -> bool:
    if isinstance(info, mi.UnionType):
        return any(isinstance(t, mi.NoneType) for t in info.types)
    return isinstance(info, mi.NoneType | mi.AnyType)


def _shape(raw: Json, info: mi.Type) -> Json:
    if isinstance(info, mi.UnionType):
        inner = [t for t in info.types if not isinstance(t, mi.NoneType)]
        return _shape(raw, inner[0]) if len(inner) == 1 and raw is not None else raw
    if (
        isinstance(info, mi.IntType)
        and isinstance(raw, int)
        and not _INT64_MIN <= raw <= _INT64_MAX
    ):
        raise InvalidParameter(f"invalid request: {raw} does not fit into 64 bits")
    if isinstance(info, mi.Metadata):
        return _shape([raw] if isinstance(raw, str) else raw, info.type)
    if isinstance(info, mi.StructType) and isinstance(raw, dict):
        return _shape_struct(raw, info.cls)
    if isinstance(info, mi.ListType) and isinstance(raw, list):
        return [_zero(info.item_type) if x is None else _shape(x, info.item_type) for x in raw]
    if isinstance(info, mi.DictType) and isinstance(raw, dict):
        value = info.value_type
        return {k: _zero(value) if v is None else _shape(v, value) for k, v in raw.items()}
    return raw


def _shape_struct(raw: dict[str, Json], cls: type) -> dict[str, Json]:
    fields = _fields(cls)
    shaped: dict[str, Json] = {}
    for key, value in raw.items():
        known = fields.get(key.lower())
        if known is None:
            continue  # Go ignores what it does not know
        name, info, nullable = known
        if value is None and not nullable:
            continue  # absent: the default is Go's zero value
        shaped[name] = _shape(value, info)
    return shaped


def _zero(info: mi.Type) -> Json:
    """Return what Go makes of a ``null`` inside a list or map."""
    if _nullable(info):
        return None
    zeros: tuple[tuple[type[mi.Type] | types.UnionType, Json], ...] = (
        (mi.StrType, ""),
        (mi.BoolType, False),
        (mi.IntType, 0),
        (mi.FloatType, 0.0),
        (mi.ListType, []),
        (mi.DictType | mi.StructType, {}),
    )
    return next((zero for kind, zero in zeros if isinstance(info, kind)), None)

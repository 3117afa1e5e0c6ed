"""A CDI file, JSON or YAML, as a document."""

from __future__ import annotations

from typing import Final, TypeAlias, cast

import msgspec
from msgspec import inspect as mi

from moorage.cdi import check
from moorage.lib.errors import InvalidParameter
from moorage.spec.cdi import Specification

Raw: TypeAlias = "bool | int | float | str | list[Raw] | dict[str, Raw] | None"

SUFFIXES: Final = (".json", ".yaml")
_DOCUMENT: Final = mi.type_info(Specification)


def parse(text: bytes, *, yaml: bool) -> Specification:
    """Parse and check a document; *yaml* says in which of the two languages it is.

    Raises: InvalidParameter.
    """
    raw = _parse_yaml(text) if yaml else _parse_json(text)
    try:
        document = msgspec.convert(_shaped(raw, _DOCUMENT), Specification)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidParameter(f"failed to unmarshal CDI Spec: {error}") from error
    check.check(document)
    return document


def _parse_json(text: bytes) -> Raw:
    try:
        return cast("Raw", msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"failed to unmarshal CDI Spec: {error}") from error


def _parse_yaml(text: bytes) -> Raw:
    import yaml  # noqa: PLC0415 - few hosts have such a file; nobody else pays for the reader

    class Plain(yaml.SafeLoader):
        """Values alone: what repeats itself by reference could grow without end."""

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                raise InvalidParameter("failed to unmarshal CDI Spec: aliases are not taken")
            return super().compose_node(parent, index)

    try:
        return cast("Raw", yaml.load(text, Loader=Plain))  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InvalidParameter(f"failed to unmarshal CDI Spec: {error}") from error


def _shaped(raw: Raw, wanted: mi.Type) -> Raw:
    """Return *raw* as the reference reads it: keys without regard to case, numbers as names.

    YAML takes the name of a device that is ``0`` for a number.
    """
    if isinstance(wanted, mi.UnionType):  # of something and None
        wanted = next(t for t in wanted.types if not isinstance(t, mi.NoneType))
    match wanted, raw:
        case mi.StructType(), dict():
            known = {field.encode_name.lower(): field for field in wanted.fields}
            shaped: dict[str, Raw] = {}
            for key, value in raw.items():
                field = known.get(str(key).lower())
                if field is None:
                    shaped[str(key)] = value  # msgspec says what is wrong with it
                elif value is not None:
                    shaped[field.encode_name] = _shaped(value, field.type)
            return shaped
        case mi.ListType(item_type=item), list():
            return [_shaped(value, item) for value in raw]
        case mi.DictType(value_type=item), dict():
            return {str(key): _shaped(value, item) for key, value in raw.items()}
        case mi.StrType(), int() | float() if not isinstance(raw, bool):
            return str(raw)
        case _:
            return raw

"""``RUN --device=…``: its value, and the devices of the host that it means (pure)."""

from __future__ import annotations

import csv
from typing import Final

from msgspec import Struct

from moorage.build.entitlements import Granted
from moorage.build.frontends.dockerfile.flags import BOOLEANS
from moorage.build.frontends.dockerfile.source import SyntaxFault, did_you_mean
from moorage.cdi import names
from moorage.cdi.catalogue import Catalogue
from moorage.lib.errors import InvalidParameter

_KEYS: Final = ("name", "required")
_CLASS: Final = "org.mobyproject.buildkit.device.class"  # the note that makes devices a group


class Device(Struct, frozen=True, kw_only=True):
    """One ``--device``. One that is not *required* is left out where there is none."""

    name: str = ""
    required: bool = False


def parse(text: str) -> Device:
    """Parse ``[name=]NAME[,required[=BOOL]]``.

    Raises: SyntaxFault.
    """
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise SyntaxFault(f"failed to parse csv devices: {error}") from error
    name, required = "", False
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.lower()
        if key == "required":
            required = _boolean(key, value) if equals else True
        elif key == "name" and equals:
            if name:
                raise SyntaxFault(f"device name already set to {name}")
            name = value
        elif not name:
            name = field
        elif not equals:
            raise SyntaxFault(f"invalid field '{field}' must be a key=value pair")
        else:
            raise SyntaxFault(f"unexpected key '{key}' in '{field}'", hint=did_you_mean(key, _KEYS))
    return Device(name=name, required=required)


def _boolean(key: str, value: str) -> bool:
    if value not in BOOLEANS:
        raise SyntaxFault(f"invalid value for {key}: {value}")
    return BOOLEANS[value]


def find(wanted: Device, catalogue: Catalogue, granted: Granted) -> list[str]:
    """Return the full names of the devices that are meant, as BuildKit finds them.

    ``vendor/class`` is the first of its kind, ``vendor/class=*`` is all of them, any other name is
    that device or, where there is none, those whose vendor has put them into a class of that name.
    Raises: InvalidParameter (no such device although it is required, no name of a device).
    """
    name = granted.aliases.get(wanted.name, wanted.name)
    kind, _, device = name.partition("=")
    try:
        names.parse_kind(kind)
    except InvalidParameter as error:
        raise InvalidParameter(f'invalid device "{name}": {error.message}') from error
    of_kind = catalogue.of_kind(kind)
    if not device:
        found = of_kind[:1]
    elif device == "*":
        found = of_kind
    elif name in catalogue.devices:
        found = [name]
    else:
        notes = ((n, catalogue.devices[n].annotations()) for n in of_kind)
        found = [n for n, noted in notes if noted.get(_CLASS) == device]
    if not found and wanted.required:
        raise InvalidParameter(
            f'required device "{name}" is not registered',
            hint="; ".join(catalogue.warnings()) or None,
        )
    return found

"""Names of devices, ``vendor/class=name``: taken apart and checked (pure)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from moorage.lib.errors import InvalidParameter

# the vendor or class, and the device; both ASCII
_WORD: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\Z", re.ASCII)
_DEVICE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?\Z", re.ASCII)


class Kind(NamedTuple):
    """The vendor and class of devices."""

    vendor: str
    class_: str


def parse_kind(text: str) -> Kind:
    """Take ``vendor/class`` apart.

    Raises: InvalidParameter.
    """
    vendor, _, class_ = text.partition("/")
    for what, word in (("vendor", vendor), ("class", class_)):
        if not _WORD.match(word):
            raise InvalidParameter(
                f"invalid {what} {word!r} of kind {text!r}",
                hint="a letter, then letters, digits, '_', '-' and '.', at last a letter or digit",
            )
    return Kind(vendor, class_)


def check_device(name: str) -> None:
    """Refuse what cannot be the name of a device within its kind.

    Raises: InvalidParameter.
    """
    if not _DEVICE.match(name):
        raise InvalidParameter(
            f"invalid device name {name!r}",
            hint="letters and digits, between them also '_', '-', '.' and ':'",
        )


def is_qualified(text: str) -> bool:
    """Tell whether *text* names one device in full."""
    kind, equals, name = text.partition("=")
    vendor, slash, class_ = kind.partition("/")
    return bool(
        equals and slash and _WORD.match(vendor) and _WORD.match(class_) and _DEVICE.match(name)
    )

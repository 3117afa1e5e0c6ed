"""What a build may do beyond the usual: the client asks (``--allow``), the daemon permits."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from moorage.lib.errors import InvalidParameter

if TYPE_CHECKING:
    from moorage.cdi.catalogue import Catalogue

NETWORK_HOST: Final = "network.host"
INSECURE: Final = "security.insecure"
DEVICE: Final = "device"

PERMITTED: Final = frozenset({NETWORK_HOST, DEVICE})  # by a daemon that is not told otherwise
_UNASKED: Final = frozenset({NETWORK_HOST})  # as the docker driver of buildx grants it
_NOTED: Final = "org.mobyproject.buildkit.device.autoallow"
_TRUE: Final = frozenset({"1", "t", "T", "true", "True", "TRUE"})


@dataclass(frozen=True, slots=True)
class Granted:
    """What one build may do."""

    names: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()  # names and kinds; of any device if DEVICE is in *names*
    aliases: Mapping[str, str] = field(default_factory=dict)  # name in the Dockerfile -> device

    def permits_device(self, name: str, catalogue: Catalogue) -> bool:
        """Tell whether a step may have the device *name*; its vendor may have opened it to all."""
        if DEVICE in self.names or not self.devices.isdisjoint({name, name.partition("=")[0]}):
            return True
        return catalogue.devices[name].annotations().get(_NOTED) in _TRUE


def grant(asked: Iterable[str], permitted: frozenset[str]) -> Granted:
    """Return what of *asked* the daemon permits.

    ``device=NAME`` asks for one device or one kind of them; ``device=NAME,alias=OTHER`` gives the
    steps that want OTHER the device NAME.
    Raises: InvalidParameter (unknown).
    """
    names, devices, aliases = set(_UNASKED), set(), {}
    for text in asked:
        key, equals, rest = text.partition("=")
        if key == DEVICE and equals:
            name, alias = _device(rest)
            devices.add(name)
            if alias:
                aliases[alias] = name
        elif text in {NETWORK_HOST, INSECURE, DEVICE}:
            names.add(text)
        else:
            raise InvalidParameter(
                f"unknown entitlement {text}",
                hint=f"{NETWORK_HOST}, {INSECURE}, {DEVICE} and {DEVICE}=NAME are known",
            )
    if DEVICE not in permitted:
        devices, aliases = set(), {}
    return Granted(frozenset(names) & permitted, frozenset(devices), aliases)


def _device(text: str) -> tuple[str, str]:
    """Return the device of ``NAME[,alias=OTHER]``, and the other name or ""."""
    fields = next(csv.reader([text], strict=True), [])
    alias = ""
    for option in fields[1:]:
        key, equals, value = option.partition("=")
        if key != "alias" or not equals:
            raise InvalidParameter(f'invalid device config "{option}"')
        alias = value
    if not fields or not fields[0]:
        raise InvalidParameter(f'invalid device config "{text}"')
    return fields[0], alias

"""``--security-opt``: parsed, with Docker's sentences for what is wrong (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from moorage.lib.errors import InvalidParameter

_BOOLEANS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("0", "f", "F", "false", "False", "FALSE"), False),
}


@dataclass(slots=True)
class SecurityOptions:
    """What was asked for; ``None`` leaves the daemon's default."""

    no_new_privileges: bool | None = None
    writable_cgroups: bool | None = None
    apparmor: str | None = None  # a profile, or "unconfined"
    seccomp: str | None = None  # "unconfined", "builtin", or the profile's JSON
    labels: list[str] = field(default_factory=list)  # SELinux: user: role: type: level: disable
    system_paths_unconfined: bool = False


def parse(options: Iterable[str]) -> SecurityOptions:
    """Parse the list of a host configuration.

    Raises: InvalidParameter.
    """
    parsed = SecurityOptions()
    for option in options:
        if option == "no-new-privileges":
            parsed.no_new_privileges = True
        elif option == "writable-cgroups":
            parsed.writable_cgroups = True
        elif option == "disable":
            parsed.labels.append(option)
        else:
            _pair(parsed, option)
    return parsed


def _pair(parsed: SecurityOptions, option: str) -> None:
    separator = "=" if "=" in option else ":"
    key, found, value = option.partition(separator)
    if not found:
        raise InvalidParameter(f'invalid --security-opt 1: "{option}"')
    if key == "label":
        parsed.labels.append(value)
    elif key == "apparmor":
        parsed.apparmor = value
    elif key == "seccomp":
        parsed.seccomp = value
    elif key == "systempaths" and value == "unconfined":
        parsed.system_paths_unconfined = True
    elif key in {"no-new-privileges", "writable-cgroups"} and value in _BOOLEANS:
        setattr(parsed, key.replace("-", "_"), _BOOLEANS[value])
    else:
        raise InvalidParameter(f'invalid --security-opt 2: "{option}"')

"""``RUN --mount=type=…``: the CSV of keys and values as a value."""

from __future__ import annotations

import csv
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from moorage.build.frontends.dockerfile.source import SyntaxFault, did_you_mean
from moorage.lib import units

TYPES: Final = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING: Final = ("shared", "private", "locked")

_ALLOWED: Final = {
    "bind": {"type", "target", "source", "from", "readwrite", "readonly"},
    "cache": {
        *("type", "id", "target", "source", "from", "readonly", "readwrite"),
        *("sharing", "mode", "uid", "gid"),
    },
    "tmpfs": {"type", "target", "size"},
    "secret": {"type", "id", "source", "target", "required", "mode", "uid", "gid", "env"},
    "ssh": {"type", "id", "source", "target", "required", "mode", "uid", "gid"},
}
_ALIASES: Final = {"src": "source", "dst": "target", "destination": "target"}
_READONLY: Final = {"ro": True, "readonly": True, "rw": False, "readwrite": False}
_TRUE: Final = {"", "true", "1", "t"}
_NUMBERS: Final = {"uid": 10, "gid": 10, "mode": 8}
_FALSE: Final = {"false", "0", "f"}


class Mount(Struct, frozen=True, kw_only=True):
    """One mount of a RUN."""

    type: str = "bind"
    id: str = ""
    target: str = ""
    source: str = ""
    from_: str = ""  # stage, image or named context; empty = the build context (bind)
    readonly: bool = False
    sharing: str = "shared"
    required: bool = False
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    size_bytes: int = 0  # tmpfs; 0 = half of the memory, as the kernel does
    env: str | None = None  # secret: name of the variable; None = a file


def parse(text: str) -> Mount:
    """Parse the value of one ``--mount``.

    Raises: SyntaxFault.
    """
    rows = list(csv.reader([text], strict=True)) if text else []
    pairs = [_pair(field) for field in (rows[0] if rows else [])]
    kind = dict(pairs).get("type", "bind").lower()
    if kind not in TYPES:
        raise SyntaxFault(
            f'unsupported mount type "{kind}"',
            hint=did_you_mean(kind, TYPES) or f"expected one of {', '.join(TYPES)}",
        )
    mount = Mount(type=kind, readonly=kind == "bind", mode=_default_mode(kind))
    for name, value in pairs:
        if name not in _ALLOWED[kind]:
            hint = did_you_mean(name, _ALLOWED[kind])
            raise SyntaxFault(f"unexpected key '{name}' for mount type '{kind}'", hint=hint)
        mount = _with(mount, name, value)
    return _checked(mount)


def _default_mode(kind: str) -> int | None:
    return {"cache": 0o755, "secret": 0o400, "ssh": 0o600}.get(kind)


def _pair(field: str) -> tuple[str, str]:
    name, equals, value = field.strip().partition("=")
    name = name.strip().lower()
    if name in _READONLY:
        flag = _boolean(name, value if equals else "")
        readonly = flag is _READONLY[name]
        return ("readonly" if readonly else "readwrite"), ""
    if not equals and name != "required":
        raise SyntaxFault(f"invalid field '{field}' must be a key=value pair")
    return _ALIASES.get(name, name), value


def _boolean(name: str, value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise SyntaxFault(f"invalid value for {name}: {value}", hint="expected true or false")


def _number(name: str, value: str, base: int = 10) -> int:
    try:
        number = int(value, base)
    except ValueError:
        number = -1
    if number < 0:
        raise SyntaxFault(f"invalid value {value} for {name}", hint="expected a number")
    return number


def _with(mount: Mount, name: str, value: str) -> Mount:
    if name in {"readonly", "readwrite"}:
        return replace(mount, readonly=name == "readonly")
    if name in _NUMBERS:
        return replace(mount, **{name: _number(name, value, _NUMBERS[name])})
    match name:
        case "size":
            change: dict[str, str | int | bool] = {"size_bytes": _size(value)}
        case "required":
            change = {"required": _boolean(name, value)}
        case "sharing":
            change = {"sharing": _sharing(value.lower())}
        case "from":
            change = {"from_": value}
        case _:
            change = {name: value.lower() if name == "type" else value}
    return replace(mount, **change)


def _size(value: str) -> int:
    try:
        return units.parse_bytes(value)
    except ValueError as error:
        raise SyntaxFault(f"invalid value for size: {value}") from error


def _sharing(value: str) -> str:
    if value not in SHARING and "$" not in value:
        raise SyntaxFault(
            f'unsupported sharing value "{value}"',
            hint=did_you_mean(value, SHARING) or f"expected one of {', '.join(SHARING)}",
        )
    return value


def _checked(mount: Mount) -> Mount:
    if mount.type in {"secret", "ssh"} and mount.source:
        mount = replace(mount, id=mount.source, source="")
    if mount.type in {"bind", "cache", "tmpfs"} and not mount.target:
        raise SyntaxFault(f"target is required for mount type '{mount.type}'")
    if mount.type == "secret" and not mount.id and not mount.target and not mount.env:
        raise SyntaxFault("invalid secret mount: one of id, target required")
    return mount

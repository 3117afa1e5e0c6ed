"""``--mount``, ``--volume`` and ``--tmpfs``."""

from __future__ import annotations

import os

from moorage.cli.kinds import convert, split_csv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.jsonwire import Json

TYPES = ("bind", "cluster", "image", "npipe", "tmpfs", "volume")
PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_SWITCHES = frozenset({"readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src"})


def mount(spec: str) -> Json:
    """Parse ``type=…,src=…,dst=…`` to the API's Mount."""
    parsed: Json = {"Type": "volume"}
    for field in split_csv(spec):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals:
            if key not in _SWITCHES:
                raise ValueError(f"invalid field '{field}' must be a key=value pair")
            value = "true"
        _set(parsed, key, value, spec)
    if not parsed.get("Target"):
        raise ValueError("target is required")
    kind = parsed["Type"]
    for name, owner in (
        ("VolumeOptions", "volume"),
        ("BindOptions", "bind"),
        ("TmpfsOptions", "tmpfs"),
        ("ImageOptions", "image"),
    ):
        if name in parsed and kind != owner:
            option = name.removesuffix("Options").lower()
            raise ValueError(f"cannot mix '{option}-*' options with mount type '{kind}'")
    return parsed


def _set(parsed: Json, key: str, value: str, spec: str) -> None:
    if key == "type":
        parsed["Type"] = value.lower()
    elif key in {"source", "src"}:
        path = value.startswith((".", "..")) and value
        parsed["Source"] = os.path.abspath(path) if path else value
    elif key in {"target", "dst", "destination"}:
        parsed["Target"] = value
    elif key in {"readonly", "ro"}:
        parsed["ReadOnly"] = _switch(key, value)
    elif key == "consistency":
        parsed["Consistency"] = value.lower()
    elif key.startswith("bind-"):
        _set_bind(parsed, key, value)
    elif key.startswith(("volume-", "image-")):
        _set_volume(parsed, key, value)
    elif key in {"tmpfs-size", "tmpfs-mode", "tmpfs-options"}:
        _set_tmpfs(parsed, key, value)
    else:
        raise ValueError(f"unexpected key '{key}' in '{spec}'")


def _set_bind(parsed: Json, key: str, value: str) -> None:
    options = parsed.setdefault("BindOptions", {})
    if key == "bind-propagation":
        options["Propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        options["NonRecursive"] = _switch(key, value)
    elif key == "bind-create-src":
        options["CreateMountpoint"] = _switch(key, value)
    elif key == "bind-recursive":
        changes: dict[str, Json] = {
            "enabled": {},
            "disabled": {"NonRecursive": True},
            "writable": {"ReadOnlyNonRecursive": True},
            "readonly": {"ReadOnlyForceRecursive": True},
        }
        if value not in changes:
            raise ValueError(
                f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", '
                'or "readonly")'
            )
        options.update(changes[value])
    else:
        raise ValueError(f"unexpected key '{key}'")


def _set_volume(parsed: Json, key: str, value: str) -> None:
    if key == "image-subpath":
        parsed.setdefault("ImageOptions", {})["Subpath"] = value
        return
    options = parsed.setdefault("VolumeOptions", {})
    if key == "volume-nocopy":
        options["NoCopy"] = _switch(key, value)
    elif key == "volume-subpath":
        options["Subpath"] = value
    elif key == "volume-label":
        name, _, text = value.partition("=")
        options.setdefault("Labels", {})[name] = text
    elif key == "volume-driver":
        options.setdefault("DriverConfig", {})["Name"] = value
    elif key == "volume-opt":
        name, _, text = value.partition("=")
        options.setdefault("DriverConfig", {}).setdefault("Options", {})[name] = text
    else:
        raise ValueError(f"unexpected key '{key}'")


def _set_tmpfs(parsed: Json, key: str, value: str) -> None:
    options = parsed.setdefault("TmpfsOptions", {})
    if key == "tmpfs-size":
        try:
            options["SizeBytes"] = convert("bytes", value)
        except ValueError as e:
            raise ValueError(f"invalid value for {key}: {value}") from e
    elif key == "tmpfs-mode":
        try:
            options["Mode"] = int(value, 8)
        except ValueError as e:
            raise ValueError(f"invalid value for {key}: {value}") from e
    else:
        options["Options"] = [option.split("=", 1) for option in value.split(":") if option]


def _switch(key: str, value: str) -> bool:
    try:
        return bool(convert("bool", value))
    except ValueError as e:
        raise ValueError(f"invalid value for {key}: {value}") from e


def volume(spec: str) -> tuple[str, str]:
    """Return a bind for HostConfig.Binds and a path for Config.Volumes; one of them is empty."""
    source, colon, rest = spec.partition(":")
    if not colon:
        return "", spec
    if source.startswith("."):
        source = os.path.abspath(source)
    return f"{source}:{rest}", ""


def tmpfs(spec: str) -> tuple[str, str]:
    """Return path and options."""
    path, _, options = spec.partition(":")
    return path, options

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
    if not spec:
        raise ValueError("EOF")
    parsed: Json = {"Type": "volume"}
    for field in split_csv(spec):
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals:
            if key not in _SWITCHES:
                raise ValueError(f"invalid field '{field}' must be a key=value pair")
            value = "true"
        _set(parsed, key, value, field)
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
    _check_recursion(parsed)
    return parsed


def _check_recursion(parsed: Json) -> None:
    """Refuse kinds of recursion that would say nothing without the options beside them."""
    options = parsed.get("BindOptions", {})
    for name, word in (
        ("ReadOnlyNonRecursive", "writable"),
        ("ReadOnlyForceRecursive", "readonly"),
    ):
        if options.get(name) and not parsed.get("ReadOnly"):
            raise ValueError(
                f"option 'bind-recursive={word}' requires 'readonly' to be specified in conjunction"
            )
    if options.get("ReadOnlyForceRecursive") and options.get("Propagation") != "rprivate":
        raise ValueError(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified"
            " in conjunction"
        )


def _set(parsed: Json, key: str, value: str, field: str) -> None:
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
        _set_bind(parsed, key, value, field)
    elif key.startswith("volume-"):
        _set_volume(parsed, key, value, field)
    elif key == "image-subpath":
        parsed.setdefault("ImageOptions", {})["Subpath"] = value
    elif key in {"tmpfs-size", "tmpfs-mode", "tmpfs-options"}:
        _set_tmpfs(parsed, key, value)
    else:
        raise _unexpected(key, field)


def _unexpected(key: str, field: str) -> ValueError:
    return ValueError(f"unexpected key '{key}' in '{field}'")


def _set_bind(parsed: Json, key: str, value: str, field: str) -> None:
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
        raise _unexpected(key, field)


def _set_volume(parsed: Json, key: str, value: str, field: str) -> None:
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
        raise _unexpected(key, field)


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
    """Return a bind for HostConfig.Binds and a path for Config.Volumes; one of them is empty.

    Raises: ValueError.
    """
    if not spec:
        raise ValueError("invalid empty volume spec")
    source, colon, rest = spec.partition(":")
    if not colon:
        return "", spec
    if not all(spec.split(":")):
        raise ValueError(f"invalid spec: {spec}: empty section between colons")
    if source.startswith("."):
        source = os.path.abspath(source)
    return f"{source}:{rest}", ""


def tmpfs(spec: str) -> tuple[str, str]:
    """Return path and options."""
    path, _, options = spec.partition(":")
    return path, options

"""From flags and ``daemon.json`` to one checked configuration; unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from moorage.daemon.commandline import FALSE, TRUE, CommandLine, Given
from moorage.daemon.config import Config
from moorage.daemon.options import BY_KEY, FLAG_ONLY, IGNORED_KEYS
from moorage.daemon.validate import validate
from moorage.lib.errors import InvalidParameter
from moorage.lib.units import parse_bytes

Document = dict[str, object]

_ALIASES: Final = {"graph": "data-root", "host-gateway-ip": "host-gateway-ips"}
_MERGED: Final = frozenset({"runtimes"})  # may be given in both places; the flags add to the file


def load(line: CommandLine) -> Config:
    """Read the file, lay the flags over it, and check the whole.

    Raises: InvalidParameter, naming the key and the reason.
    """
    document = read_file(line.config_file, required=line.config_file_given)
    flags = _from_flags(line.values)
    twice = sorted(set(document) & set(flags) - _MERGED)
    if twice:
        shown = ", ".join(
            f"{key}: (from flag: {flags[key]}, from file: {document[key]})" for key in twice
        )
        raise InvalidParameter(
            "the following directives are specified both as a flag and in the configuration"
            f" file: {shown}"
        )
    merged = {**document, **flags}
    if "runtimes" in document and "runtimes" in flags:
        merged["runtimes"] = {**_mapping(document["runtimes"]), **_mapping(flags["runtimes"])}
    try:
        config = msgspec.convert(merged, Config)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid configuration: {_explain(error)}") from error
    validate(config)
    return msgspec.structs.replace(
        config,  # monitors and runtimes work in directories of their own
        data_root=str(Path(config.data_root).absolute()),
        exec_root=str(Path(config.exec_root).absolute()),
    )


def read_file(path: Path, *, required: bool) -> Document:
    """Read ``daemon.json``; absent is empty unless it was asked for.

    Raises: InvalidParameter.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        if not required:
            return {}
        raise InvalidParameter(
            f"unable to configure the daemon with file {path}: no such file"
        ) from error
    except OSError as error:
        raise InvalidParameter(
            f"unable to configure the daemon with file {path}: {error.strerror}"
        ) from error
    try:
        document: Document = msgspec.json.decode(
            text.removeprefix(b"\xef\xbb\xbf") or b"{}", type=dict
        )
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidParameter(
            f"unable to configure the daemon with file {path}: {error}"
        ) from error
    return _known_only(document, path)


def _known_only(document: Document, path: Path) -> Document:
    document = {_ALIASES.get(key, key): value for key, value in document.items()}
    unknown = [
        key
        for key in document
        if key in FLAG_ONLY or (key not in BY_KEY and key not in IGNORED_KEYS)
    ]
    if unknown:
        import difflib  # noqa: PLC0415 - for a message that is seldom needed

        near = [m for key in unknown for m in difflib.get_close_matches(key, BY_KEY, n=1)]
        raise InvalidParameter(
            f"unable to configure the daemon with file {path}: the following directives don't"
            f" match any configuration option: {', '.join(unknown)}",
            hint=f"did you mean {', '.join(near)}?" if near else None,
        )
    return {key: value for key, value in document.items() if key not in IGNORED_KEYS}


def _from_flags(values: dict[str, Given]) -> Document:
    """Bring what flags write as text into the shape of the file."""
    flags: Document = {key: value for key, value in values.items() if key not in IGNORED_KEYS}
    if "add-runtime" in flags:
        flags["runtimes"] = dict(_runtime(text) for text in _texts(flags.pop("add-runtime")))
    if "default-address-pools" in flags:
        flags["default-address-pools"] = [_pool(t) for t in _texts(flags["default-address-pools"])]
    if "default-ulimits" in flags:
        flags["default-ulimits"] = dict(_ulimit(t) for t in _texts(flags["default-ulimits"]))
    if "default-network-opts" in flags:
        flags["default-network-opts"] = _network_opts(_texts(flags["default-network-opts"]))
    if "features" in flags:
        flags["features"] = {k: _switch(k, v) for k, v in _mapping(flags["features"]).items()}
    proxies = {
        key: flags.pop(key) for key in ("http-proxy", "https-proxy", "no-proxy") if key in flags
    }
    if proxies:
        flags["proxies"] = proxies
    return flags


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)  # noqa: S101 - a list option
    return value


def _mapping(value: object) -> Document:
    if not isinstance(value, dict):
        raise InvalidParameter(f"invalid configuration: expected an object, got {value!r}")
    return value


def _runtime(text: str) -> tuple[str, Document]:
    name, equals, path = text.partition("=")
    if not (equals and name and path):
        raise InvalidParameter(f"invalid argument {text!r} for --add-runtime: want name=path")
    return name, {"path": path}


def _pool(text: str) -> Document:
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    if set(parts) != {"base", "size"} or not parts["size"].isdecimal():
        raise InvalidParameter(
            f"invalid argument {text!r} for --default-address-pool: want base=CIDR,size=N"
        )
    return {"base": parts["base"], "size": int(parts["size"])}


def _ulimit(text: str) -> tuple[str, Document]:
    name, _, limits = text.partition("=")
    soft, colon, hard = limits.partition(":")
    try:
        return name, {"Name": name, "Soft": int(soft), "Hard": int(hard if colon else soft)}
    except ValueError as error:
        raise InvalidParameter(
            f"invalid argument {text!r} for --default-ulimit: want name=soft:hard"
        ) from error


def _network_opts(texts: list[str]) -> dict[str, dict[str, str]]:
    options: dict[str, dict[str, str]] = {}
    for text in texts:
        driver, first, pair = text.partition("=")
        key, second, value = pair.partition("=")
        if not (first and second):
            raise InvalidParameter(
                f"invalid argument {text!r} for --default-network-opt: want driver=key=value"
            )
        options.setdefault(driver, {})[key] = value
    return options


def _switch(name: str, value: object) -> bool:
    if value in TRUE | FALSE:
        return value in TRUE
    raise InvalidParameter(f"invalid argument for --feature: {name} must be true or false")


def _explain(error: msgspec.ValidationError) -> str:
    """Name the key as the file writes it: ``$.mtu`` becomes ``mtu``."""
    reason, _, where = str(error).partition(" - at ")
    return f"{where.strip('`').removeprefix('$.')}: {reason}" if where else reason


def shm_size(config: Config) -> int:
    """Return ``default-shm-size`` in bytes."""
    return parse_bytes(config.default_shm_size)

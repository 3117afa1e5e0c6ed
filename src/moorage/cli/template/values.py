"""What templates walk over: rows of a listing, and JSON dressed with the Go types it came from.

The daemon's answers are structs and maps in Go, and templates print, compare and miss fields of
the two differently. ``dress`` restores the difference: a ``Map`` where Go has a map, ``Nil`` of the
right kind where Go has a nil slice, map or pointer, and the zero of fields that were left out.
"""

from __future__ import annotations

from moorage.cli.failure import FunctionError
from moorage.cli.row import Row


class Map(dict[str, object]):
    """A Go map; a plain dict is a Go struct."""


class Nil:
    """A typed nil: ``slice``, ``map`` or ``pointer``."""

    def __init__(self, kind: str, name: str = "") -> None:
        self.kind = kind
        self.name = name  # the field that was left out of the JSON altogether

    def __len__(self) -> int:
        """Return 0: an empty collection is false, too."""
        return 0

    def __str__(self) -> str:
        """Return what Go prints for it."""
        return {"slice": "[]", "map": "map[]"}.get(self.kind, "<nil>")


MAPS = frozenset(
    {
        *(
            "Labels",
            "ExposedPorts",
            "Volumes",
            "Ports",
            "Networks",
            "Options",
            "DriverOpts",
            "PortBindings",
        ),
        *(
            "Sysctls",
            "Tmpfs",
            "StorageOpt",
            "Annotations",
            "LogConfig.Config",
            "Containers",
            "Opts",
        ),
        *("IndexConfigs", "Runtimes", "Status", "AuxiliaryAddresses", "Data", "Attributes"),
        *("Details", "TLSMaterial", "Endpoints"),
    }
)
NIL_MAPS = MAPS - {"Status"}
NIL_POINTERS = frozenset(
    {
        *("Health", "Healthcheck", "Init", "OomKillDisable", "PidsLimit", "MemorySwappiness"),
        *("IPAMConfig", "StopTimeout", "BindOptions", "VolumeOptions", "TmpfsOptions", "Error"),
        *("ContainerConfig", "GraphDriver", "Swarm", "Cluster", "Descriptor", "UsageData"),
        *("SizeRw", "SizeRootFs", "Value", "ExitCode", "Server"),
    }
)
OMITTED: dict[str, object] = {
    **{
        name: Nil("pointer", name)
        for name in (
            *("Health", "Healthcheck", "StopTimeout", "Init"),
            *("SizeRw", "SizeRootFs", "ContainerConfig", "UsageData"),
        )
    },
    **{
        name: Nil("slice")
        for name in (
            *("Shell", "Mounts", "OnBuild", "Tmpfs", "GroupAdd", "Links", "Manifests", "Peers"),
            *("DefaultAddressPools", "ClientErrors"),
        )
    },
    "VirtualSize": 0,
    **{name: Nil("map") for name in ("ExposedPorts", "Annotations", "StorageOpt", "Sysctls")},
    **dict.fromkeys(("StopSignal", "MacAddress", "Comment", "Variant", "OsVersion", "Parent"), ""),
    **dict.fromkeys(("NetworkDisabled", "ArgsEscaped"), False),
}


LEFT_OUT_IF_ZERO = frozenset(
    {"Healthcheck", "NetworkDisabled", "ArgsEscaped", "Shell", "StopSignal", "StopTimeout"}
)
TIMES = frozenset({"LastTagTime"})
_LOG_OPTIONS = {("LogConfig", "Config"): "LogConfig.Config"}


class Time(str):
    """A moment: RFC 3339 in JSON, Go's ``time.Time.String`` when printed."""

    __slots__ = ()


def dress(value: object, name: str = "", times: frozenset[str] = TIMES) -> object:
    """Give JSON the types Go has for it.

    *name* is the key it was found under, *times* are the keys of moments (containers and images
    have theirs as strings, in Go as well).
    """
    if isinstance(value, dict):
        dressed = {
            key: dress(item, _LOG_OPTIONS.get((name, str(key)), str(key)), times)
            for key, item in value.items()
        }
        for key in LEFT_OUT_IF_ZERO & dressed.keys():
            if not dressed[key]:
                del dressed[key]
        if name == "State" and "Running" in dressed:
            dressed.setdefault("Health", OMITTED["Health"])
        return Map(dressed) if name in MAPS else dressed
    if isinstance(value, list):
        return [dress(item, "", times) for item in value]
    if isinstance(value, str) and name in times:
        return Time(value)
    if value is None and name:
        if name in NIL_POINTERS:
            return Nil("pointer")
        return Nil("map" if name in NIL_MAPS else "slice")
    return value


def undress(value: object) -> object:
    """Return JSON again, rows included."""
    if isinstance(value, Row):
        return undress(value.plain())
    if isinstance(value, dict):
        return {
            key: undress(item)
            for key, item in value.items()
            if not (isinstance(item, Nil) and item.name)
        }
    if isinstance(value, list | tuple):
        return [undress(item) for item in value]
    return None if isinstance(value, Nil) else value


def to_json(value: object) -> str:
    """Format as ``{{json .}}`` does."""
    from moorage.client import jsonwire

    text = jsonwire.encode(undress(value))
    if isinstance(value, Row):  # rows go through Go's own marshaller, which escapes for HTML
        for char in "<>&":
            text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def field(  # noqa: C901 - by type
    value: object, name: str, arguments: list[object], *, static_types: bool = False
) -> object:
    """Evaluate ``.name`` on *value*, whose type Go knows in advance or not (decoded JSON).

    Raises: FunctionError.
    """
    if isinstance(value, Row):
        return value.get(name, arguments)
    if arguments:
        raise FunctionError(f"{name} is not a method but has arguments")
    if isinstance(value, Map):
        return value.get(name)
    if isinstance(value, dict):
        if name in value:
            return value[name]
        for key, item in value.items():  # Go's ``ID`` is ``Id`` in JSON
            if key.lower() == name.lower():
                return item
        if name in OMITTED:
            return OMITTED[name]
        raise FunctionError(f'map has no entry for key "{name}"')
    if isinstance(value, Nil) and value.kind == "pointer":
        raise FunctionError(f'map has no entry for key "{value.name or name}"')
    if value is None:
        return None  # of what a map had not
    kind = type_name(value) if static_types else "interface {}"
    raise FunctionError(f"can't evaluate field {name} in type {kind}")


def truth(value: object) -> bool:
    """Tell whether Go's ``if`` takes *value*: not its type's zero; a struct always."""
    if isinstance(value, dict) and not isinstance(value, Map):
        return True
    return isinstance(value, Row) or bool(value)


def type_name(value: object) -> str:
    """Return the Go type of *value*, for error messages and ``%T``."""
    if isinstance(value, Row):
        return f"*{value.kind}"
    if value is None or isinstance(value, Nil):
        return "interface {}"
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float64"), (str, "string")):
        if isinstance(value, kind):
            return name
    if isinstance(value, dict):
        return "map[string]interface {}"
    is_text = isinstance(value, list) and value and all(isinstance(item, str) for item in value)
    return "[]string" if is_text else "[]interface {}"

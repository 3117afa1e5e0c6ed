"""Devices, their limits, GPUs, ulimits."""

from __future__ import annotations

from moorage.cli.kinds import convert, split_csv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.jsonwire import Json

LOWEST_WEIGHT, HIGHEST_WEIGHT = 10, 1000


def device(spec: str) -> Json:
    """Parse ``host[:container[:rwm]]``."""
    parts = spec.split(":")
    source = parts[0]
    target, permissions = "", "rwm"
    if len(parts) == 3:
        target, permissions = parts[1], parts[2]
    elif len(parts) == 2:
        if parts[1] and set(parts[1]) <= set("rwm"):
            permissions = parts[1]
        else:
            target = parts[1]
    elif len(parts) != 1:
        raise ValueError(f"invalid device specification: {spec}")
    if not set(permissions) <= set("rwm"):
        raise ValueError(f"bad mode specified: {permissions}")
    for path in filter(None, (source, target)):
        if not path.startswith("/"):
            raise ValueError(f"{path} is not an absolute path")
    return {
        "PathOnHost": source,
        "PathInContainer": target or source,
        "CgroupPermissions": permissions,
    }


def is_cdi(spec: str) -> bool:
    """Tell whether *spec* is a CDI name, ``vendor/class=device``."""
    kind, equals, name = spec.partition("=")
    return bool(equals and name) and "/" in kind and not spec.startswith("/")


def gpus(spec: str) -> Json:  # noqa: C901 - one case for each key
    """Parse ``--gpus``: ``all``, a number, or ``device=…,capabilities=…``."""
    request: Json = {
        "Driver": "",
        "Count": 0,
        "DeviceIDs": None,
        "Capabilities": [["gpu"]],
        "Options": {},
    }
    seen: set[str] = set()
    for field in split_csv(spec):
        key, equals, value = field.partition("=")
        if not equals:
            if seen & {"count", "device"}:
                raise ValueError(f"gpu request key '{field}' can be specified only once")
            key, value = "count", field
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        if key == "count":
            request["Count"] = _count(value)
        elif key == "device":
            request["DeviceIDs"] = split_csv(value)
        elif key == "driver":
            request["Driver"] = value
        elif key == "capabilities":
            request["Capabilities"] = [[*split_csv(value), "gpu"]]
        elif key == "options":
            request["Options"] = dict(option.partition("=")[::2] for option in split_csv(value))
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if not seen & {"count", "device"}:
        request["Count"] = 1
    return request


def _count(text: str) -> int:
    if text == "all":
        return -1
    try:
        return int(text)
    except ValueError as e:
        raise ValueError(f'invalid count ({text}): value must be either "all" or an integer') from e


def ulimit(spec: str) -> Json:
    """Parse ``name=soft[:hard]``."""
    name, equals, text = spec.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {spec}")
    soft, colon, hard = text.partition(":")
    try:
        low = int(soft)
        high = int(hard) if colon else low
    except ValueError as e:
        raise ValueError(f"invalid ulimit argument: {spec}") from e
    if high != -1 and (low > high or low == -1):
        raise ValueError(
            f"ulimit soft limit must be less than or equal to hard limit: {low} > {high}"
        )
    return {"Name": name, "Soft": low, "Hard": high}


def weight(spec: str) -> Json:
    """Parse ``/dev/x:weight``."""
    path, number = _path_and_value(spec)
    if not number.isdigit() or not (
        int(number) == 0 or LOWEST_WEIGHT <= int(number) <= HIGHEST_WEIGHT
    ):
        raise ValueError(f"invalid weight for device: {spec}")
    return {"Path": path, "Weight": int(number)}


def byte_rate(spec: str) -> Json:
    """Parse ``/dev/x:10mb``."""
    path, text = _path_and_value(spec)
    try:
        rate = convert("bytes", text)
    except ValueError as e:
        raise ValueError(
            f"invalid rate for device: {spec}. The correct format is "
            "<device-path>:<number>[<unit>]. Number must be a positive integer. "
            "Unit is optional and can be kb, mb, or gb"
        ) from e
    return {"Path": path, "Rate": rate}


def operation_rate(spec: str) -> Json:
    """Parse ``/dev/x:1000``."""
    path, text = _path_and_value(spec)
    if not text.isdigit():
        raise ValueError(
            f"invalid rate for device: {spec}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(text)}


def _path_and_value(spec: str) -> tuple[str, str]:
    path, colon, value = spec.partition(":")
    if not colon or ":" in value:
        raise ValueError(f"bad format: {spec}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {spec}")
    return path, value

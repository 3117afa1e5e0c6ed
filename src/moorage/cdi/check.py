"""What is refused in a CDI document beyond its types (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from moorage.cdi import names
from moorage.lib.errors import InvalidParameter
from moorage.spec.cdi import ContainerEdits, Device, DeviceNode, Hook, Mount, Specification

HOOKS: Final = (
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
)  # fmt: skip
INSIDE: Final = "startContainer"  # the one hook whose program is the container's own
_VERSIONS: Final = tuple(
    f"{major}.{minor}.0"
    for major, minor in ((0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6), (0, 7), (0, 8), (1, 0))
)
_EARLIEST: Final = "0.3.0"
_TYPES: Final = ("", "b", "c", "u", "p")
_MAX_CLOS: Final = 4096
_MAX_ANNOTATIONS: Final = 256 << 10  # bytes of all keys and values, as in Kubernetes
_ANNOTATION: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?\Z",
    re.ASCII,
)
_NO_EDITS: Final = ContainerEdits()


def check(document: Specification) -> None:
    """Check everything.

    Raises: InvalidParameter.
    """
    if document.cdi_version not in _VERSIONS:
        raise InvalidParameter(
            f'invalid version "{document.cdi_version}"',
            hint=f"{_EARLIEST} to {_VERSIONS[-1]} are known",
        )
    least = _least_version(document)
    if _VERSIONS.index(document.cdi_version) < _VERSIONS.index(least):
        raise InvalidParameter(f"the spec version must be at least v{least}")
    names.parse_kind(document.kind)
    if b"\\u0000" in msgspec.json.encode(document):
        raise InvalidParameter("a null byte is not allowed")
    _check_annotations(document.annotations or {})
    _check_edits(document.container_edits)
    seen: set[str] = set()
    for device in document.devices or []:
        if device.name in seen:
            raise InvalidParameter(f'invalid spec, multiple device "{device.name}"')
        seen.add(device.name)
        try:
            _check_device(device)
        except InvalidParameter as error:
            raise InvalidParameter(
                f'invalid device "{device.name}": {error.message}', hint=error.hint
            ) from error


def _check_device(device: Device) -> None:
    names.check_device(device.name)
    _check_annotations(device.annotations or {})
    if device.container_edits == _NO_EDITS:
        raise InvalidParameter("empty container edits")
    _check_edits(device.container_edits)


def _check_annotations(annotations: Mapping[str, str]) -> None:
    for key in annotations:
        if not _ANNOTATION.match(key):
            raise InvalidParameter(f"invalid annotation key {key!r}")
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > _MAX_ANNOTATIONS:
        raise InvalidParameter(f"annotations take more than {_MAX_ANNOTATIONS} bytes")


def _check_edits(edits: ContainerEdits) -> None:
    _check_environment(edits.env or [], "container edits")
    for node in edits.device_nodes or []:
        _check_node(node)
    for hook in edits.hooks or []:
        _check_hook(hook)
    for mount in edits.mounts or []:
        _check_mount(mount)
    if (rdt := edits.intel_rdt) is not None:
        name = rdt.clos_id
        if len(name) >= _MAX_CLOS or name in {".", ".."} or "/" in name or "\n" in name:
            raise InvalidParameter("invalid ClosID")


def _check_environment(environment: Iterable[str], where: str) -> None:
    for entry in environment:
        if entry.find("=") <= 0:
            raise InvalidParameter(f'invalid {where}: invalid environment variable "{entry}"')


def _check_node(node: DeviceNode) -> None:
    if not node.path:
        raise InvalidParameter("invalid (empty) device path")
    _require_absolute(node.path, node.host_path)
    if node.type not in _TYPES:
        raise InvalidParameter(f'device "{node.path}": invalid type "{node.type}"')
    if not set(node.permissions) <= set("rwm"):
        raise InvalidParameter(f'device "{node.path}": invalid permissions "{node.permissions}"')


def _check_hook(hook: Hook) -> None:
    if hook.hook_name not in HOOKS:
        raise InvalidParameter(f'invalid hook name "{hook.hook_name}"')
    if not hook.path:
        raise InvalidParameter(f'invalid hook "{hook.hook_name}" with empty path')
    _require_absolute(hook.path)
    _check_environment(hook.env or [], f'hook "{hook.hook_name}"')


def _check_mount(mount: Mount) -> None:
    if not mount.host_path:
        raise InvalidParameter("invalid mount, empty host path")
    if not mount.container_path:
        raise InvalidParameter("invalid mount, empty container path")
    _require_absolute(mount.container_path)


def _require_absolute(*paths: str) -> None:
    for path in paths:
        if path and not path.startswith("/"):
            raise InvalidParameter(f"{path!r} is not an absolute path")


def _least_version(document: Specification) -> str:
    """Return the version of the specification that brought what the document uses."""
    devices = document.devices or []
    edits = [document.container_edits, *(device.container_edits for device in devices)]
    if any(e.intel_rdt is not None or e.additional_gids for e in edits):
        return "0.7.0"
    if document.annotations or any(device.annotations for device in devices):
        return "0.6.0"
    if "." in document.kind.partition("/")[2]:
        return "0.6.0"
    nodes: Sequence[DeviceNode] = [node for e in edits for node in e.device_nodes or []]
    if any(node.host_path for node in nodes) or any(
        device.name[:1].isdecimal() for device in devices
    ):
        return "0.5.0"
    if any(mount.type for e in edits for mount in e.mounts or []):
        return "0.4.0"
    return _EARLIEST

"""The list of mounts of a container: the standard ones, files of ours, then the user's (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from moorage.containers import mount_spec
from moorage.containers.record import MountRecord
from moorage.runtime import defaults
from moorage.spec.engine.hostconfig import HostConfig
from moorage.spec.oci.runtime import Mount

_SHM: Final = "/dev/shm"  # noqa: S108 - inside the container
_NO_MODES: Final[Mapping[str, int]] = MappingProxyType({})
_WRITABLE_IN_READONLY_ROOT: Final = frozenset({"/proc", "/dev", "/dev/pts", _SHM, "/dev/mqueue"})


@dataclass(frozen=True, slots=True)
class ReadyMount:
    """A mount whose source exists on the host now; tmpfs has none."""

    record: MountRecord
    source: str = ""
    recursive_readonly: bool = False


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file of the daemon shown inside, such as /etc/hosts."""

    source: str
    destination: str
    writable: bool = True


def mounts(
    host: HostConfig,
    *,
    ready: Sequence[ReadyMount],
    files: Iterable[OwnFile],
    shm_source: str,
    writable_cgroups: bool = False,
    modes: Mapping[str, int] = _NO_MODES,
) -> list[Mount]:
    """Return all mounts in the order they are made.

    *shm_source*: a directory of the host to show as /dev/shm (shared with other containers), or "".
    *modes*: of the directories that the image has where a tmpfs goes: it gets them, as with runc.
    """
    users = {m.record.destination: m for m in ready}
    tmpfs = {path.rstrip("/"): options for path, options in (host.tmpfs or {}).items()}
    taken = set(users) | set(tmpfs)
    made = [
        _readonly(m) if host.readonly_rootfs and not host.privileged else m
        for m in _standard(host, shm_source, writable_cgroups=writable_cgroups)
        if not _overridden(m.destination, taken)
    ]
    own = [_own(file) for file in files if file.destination not in taken]
    volatile = [
        Mount(
            destination=path,
            type="tmpfs",
            source="tmpfs",
            options=_with_mode(mount_spec.tmpfs_options(options), modes.get(path)),
        )
        for path, options in tmpfs.items()
    ]
    given = [_given(m, modes.get(m.record.destination)) for m in ready]
    rest = sorted([*volatile, *given, *own], key=lambda m: m.destination.count("/"))
    return [*made, *rest]


def _overridden(destination: str, taken: set[str]) -> bool:
    return destination in taken or (destination.startswith("/dev/") and "/dev" in taken)


def _standard(host: HostConfig, shm_source: str, *, writable_cgroups: bool) -> list[Mount]:
    standard = defaults.mounts(
        shm_size_bytes=host.shm_size,
        cgroup_readonly=not writable_cgroups,
        privileged=host.privileged,
    )
    if host.ipc_mode == "none":
        return [m for m in standard if m.destination != _SHM]
    if host.ipc_mode == "host":
        shm_source = _SHM
    if shm_source:
        return [m if m.destination != _SHM else _bind(_SHM, shm_source) for m in standard]
    return standard


def _bind(destination: str, source: str) -> Mount:
    return Mount(
        destination=destination,
        type="bind",
        source=source,
        options=["rbind", "rprivate"],
    )


def _readonly(mount: Mount) -> Mount:
    options = mount.options or []
    if mount.destination in _WRITABLE_IN_READONLY_ROOT or "ro" in options:
        return mount
    return Mount(
        destination=mount.destination,
        type=mount.type,
        source=mount.source,
        options=[*(o for o in options if o != "rw"), "ro"],
    )


def _own(file: OwnFile) -> Mount:
    return Mount(
        destination=file.destination,
        type="bind",
        source=file.source,
        options=["rbind", "rprivate", *([] if file.writable else ["ro"])],
    )


def _given(mount: ReadyMount, mode: int | None) -> Mount:
    record = mount.record
    if record.type == "tmpfs":
        return Mount(
            destination=record.destination,
            type="tmpfs",
            source="tmpfs",
            options=_with_mode(_tmpfs_mount_options(record), mode),
        )
    options = record.spec.bind_options if record.spec else None
    bind = "bind" if options and options.non_recursive else "rbind"
    access: list[str] = []
    if not record.writable:
        access = ["rro"] if mount.recursive_readonly else ["ro"]
    return Mount(
        destination=record.destination,
        type="bind",
        source=mount.source,
        options=[bind, *access, record.propagation or "rprivate"],
    )


def _with_mode(options: list[str], mode: int | None) -> list[str]:
    if mode is None or any(option.startswith("mode=") for option in options):
        return options
    return [*options, f"mode={mode:04o}"]


def _tmpfs_mount_options(record: MountRecord) -> list[str]:
    options = ["noexec", "nosuid", "nodev"]
    wanted = record.spec.tmpfs_options if record.spec else None
    if wanted and wanted.size_bytes:
        options.append(f"size={wanted.size_bytes}")
    if wanted and wanted.mode:
        options.append(f"mode={wanted.mode:o}")
    for pair in (wanted.options if wanted else None) or []:
        options = _with(options, pair)
    if not record.writable:
        options.append("ro")
    return options


def _with(options: list[str], pair: list[str]) -> list[str]:
    """Add one option of the API's list (``["exec"]`` or ``["uid", "5"]``)."""
    text = "=".join(pair)
    opposite = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}.get(text)
    return [*(o for o in options if o != opposite), text]


def rootfs_propagation(ready: Iterable[ReadyMount]) -> str | None:
    """Return what the root must have so that the wanted propagation of a bind can work."""
    wanted = {m.record.propagation for m in ready}
    if wanted & {"shared", "rshared"}:
        return "shared"
    if wanted & {"slave", "rslave"}:
        return "rslave"
    return None

"""From what the user wrote (``-v``, ``--mount``, ``--volumes-from``) to mounts (pure).

Sources are looked at elsewhere: here nothing touches the file system.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Final

from msgspec import structs

from moorage.containers import paths
from moorage.containers.record import MountRecord
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.hostconfig import HostConfig
from moorage.spec.engine.mount import Mount
from moorage.volumes import names

PROPAGATIONS: Final = frozenset({"shared", "slave", "private", "rshared", "rslave", "rprivate"})
_ACCESS: Final = frozenset({"ro", "rw"})
_LABELS: Final = frozenset({"z", "Z"})
_MAP_OWNER: Final = frozenset({"U"})
_CONSISTENCY: Final = frozenset({"consistent", "cached", "delegated", "default"})

_TMPFS_WORDS: Final = """
exec noexec suid nosuid dev nodev rw ro size mode uid gid nr_inodes nr_blocks atime noatime relatime
norelatime strictatime nostrictatime diratime nodiratime sync async dirsync mand nomand defaults
mpol
"""
TMPFS_OPTIONS: Final = PROPAGATIONS.union(_TMPFS_WORDS.split())


def plan(
    config: ContainerConfig,
    host: HostConfig,
    inherited: Iterable[MountRecord] = (),
) -> list[MountRecord]:
    """Return all mounts, later kinds winning over earlier ones as Docker's order has it.

    *inherited* are the mounts that ``--volumes-from`` brings. Volumes without name get theirs from
    the caller.
    Raises: InvalidParameter.
    """
    tmpfs = {_clean(path) for path in host.tmpfs or {}}
    mounts: dict[str, MountRecord] = {m.destination: m for m in inherited}
    explicit: set[str] = set()
    wanted = [parse_bind(text, host.volume_driver) for text in host.binds or []]
    wanted += [parse_mount(mount, host.volume_driver) for mount in host.mounts or []]
    for record in wanted:
        if record.destination in explicit or record.destination in tmpfs:
            raise InvalidParameter(f"Duplicate mount point: {record.destination}")
        explicit.add(record.destination)
        mounts[record.destination] = record
    for path in config.volumes or {}:
        destination = _destination(path, path)
        if destination not in mounts and destination not in tmpfs:
            mounts[destination] = MountRecord(
                type="volume",
                destination=destination,
                driver=host.volume_driver or "local",
                copy_up=True,
                anonymous=True,
            )
    for path, options in (host.tmpfs or {}).items():
        if reason := _wrong_target(path):
            raise InvalidParameter(reason)
        tmpfs_options(options)
    return list(mounts.values())


def parse_bind(text: str, volume_driver: str = "") -> MountRecord:
    """Parse ``source:destination[:mode]``, or a volume's ``destination`` alone.

    Raises: InvalidParameter.
    """
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    if len(parts) == 1:
        source, destination, mode = "", parts[0], ""
    elif len(parts) == 2 and _is_mode(parts[1]) and not parts[1].startswith("/"):
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    else:
        source, destination, mode = parts[0], parts[1], parts[2] if len(parts) > 2 else ""
    kind = "bind" if source.startswith("/") else "volume"
    words = _mode(mode, kind, text)
    writable = "ro" not in words
    target = _destination(destination, text, kind)
    relabel = next((w for w in words if w in _LABELS), "")
    propagation = next((w for w in words if w in PROPAGATIONS), "")
    if kind == "bind":
        return MountRecord(
            type="bind",
            source=posixpath.normpath(source),
            destination=target,
            mode=mode,
            writable=writable,
            propagation=propagation,
            create_source=True,
            relabel=relabel,
            map_owner="U" in words,
        )
    _check_volume_name(source)
    return MountRecord(
        type="volume",
        name=source,
        driver=volume_driver or "local",
        destination=target,
        mode=mode or "z",
        writable=writable,
        propagation=propagation,
        copy_up="nocopy" not in words,
        anonymous=not source,
        relabel=relabel,
        map_owner="U" in words,
    )


def _check_volume_name(name: str) -> None:
    if name:
        with names.operation("create", name):
            names.check_name(name)


def _is_mode(text: str) -> bool:
    return all(
        w in _ACCESS | _LABELS | _MAP_OWNER | PROPAGATIONS | _CONSISTENCY | {"nocopy"}
        for w in text.split(",")
    )


def _mode(mode: str, kind: str, text: str) -> list[str]:
    """Split and check the words of a mode: at most one of each sort."""
    if not mode:
        return []
    words = mode.split(",")
    sorts = (_ACCESS, _LABELS, _MAP_OWNER, PROPAGATIONS, _CONSISTENCY, frozenset({"nocopy"}))
    counts = [sum(w in sort for w in words) for sort in sorts]
    if sum(counts) != len(words) or max(counts) > 1:
        raise InvalidParameter(f"invalid mode: {mode}")
    foreign = ""
    if kind == "bind" and "nocopy" in words:
        foreign = "VolumeOptions"
    elif kind == "volume" and not PROPAGATIONS.isdisjoint(words):
        foreign = "BindOptions"
    if foreign:
        raise _bad_volume(text, kind, f"field {foreign} must not be specified")
    return words


def _bad_volume(text: str, kind: str, reason: str) -> InvalidParameter:
    return InvalidParameter(
        f"invalid volume specification: '{text}': invalid mount config for type"
        f' "{kind}": {reason}'
    )


def _clean(path: str) -> str:
    return posixpath.normpath(f"/{path.lstrip('/')}") if path.startswith("/") else path


def _destination(path: str, text: str, kind: str = "volume") -> str:
    if reason := _wrong_target(path):
        raise _bad_volume(text, kind, reason)
    return _clean(path)


def _wrong_target(path: str) -> str:
    """Return why nothing can be mounted at *path*; "": it can."""
    if not path.startswith("/"):
        return f"invalid mount path: '{path}' mount path must be absolute"
    if _clean(path) == "/":
        return "invalid specification: destination can't be '/'"
    if "\0" in path or not paths.fits(path):
        return f"invalid mount path: {path[:200]!r}"
    return ""


def parse_mount(mount: Mount, volume_driver: str = "") -> MountRecord:
    """Check and translate one ``--mount``.

    Raises: InvalidParameter, with Docker's ``invalid mount config`` sentences.
    """
    if not mount.target:
        raise _bad(mount, "field Target must not be empty")
    if mount.type not in {"bind", "volume", "tmpfs", "image"}:
        raise _bad(mount, "mount type unknown")
    if reason := _wrong_target(mount.target):
        raise _bad(mount, reason)
    foreign = (
        ("bind", "BindOptions", mount.bind_options),
        ("volume", "VolumeOptions", mount.volume_options),
        ("image", "ImageOptions", mount.image_options),
        ("tmpfs", "TmpfsOptions", mount.tmpfs_options),
    )
    for kind, name, options in foreign:
        if options is not None and mount.type != kind:
            raise InvalidParameter(f'{name} must not be specified on mount type "{mount.type}"')
    maker = {"bind": _bind, "volume": _volume, "tmpfs": _tmpfs, "image": _image}[mount.type]
    record = maker(mount, volume_driver)
    return structs.replace(record, destination=_clean(mount.target), spec=mount)


def _bad(mount: Mount, reason: str) -> InvalidParameter:
    return InvalidParameter(f'invalid mount config for type "{mount.type}": {reason}')


def _bind(mount: Mount, _driver: str) -> MountRecord:
    options = mount.bind_options
    propagation = options.propagation if options else ""
    if propagation and propagation not in PROPAGATIONS:
        raise _bad(mount, f"invalid propagation mode: {propagation}")
    if options and options.read_only_non_recursive and options.read_only_force_recursive:
        raise _bad(mount, "ReadOnlyNonRecursive and ReadOnlyForceRecursive are exclusive")
    if options and options.read_only_force_recursive and not mount.read_only:
        raise _bad(mount, "field ReadOnlyForceRecursive needs ReadOnly")
    if not mount.source:
        raise _bad(mount, "field Source must not be empty")
    if not mount.source.startswith("/"):
        raise _bad(mount, f"invalid mount path: '{mount.source}' mount path must be absolute")
    return MountRecord(
        type="bind",
        destination="",
        source=posixpath.normpath(mount.source),
        writable=not mount.read_only,
        propagation=propagation,
        create_source=bool(options and options.create_mountpoint),
    )


def _volume(mount: Mount, volume_driver: str) -> MountRecord:
    options = mount.volume_options
    subpath = options.subpath if options else ""
    if subpath and (subpath.startswith("/") or ".." in subpath.split("/")):
        raise _bad(mount, "subpath must be a relative path within the volume")
    _check_volume_name(mount.source)
    if subpath and not mount.source:
        raise _bad(mount, "must not set Subpath when using anonymous volumes")
    driver = options.driver_config.name if options and options.driver_config else ""
    return MountRecord(
        type="volume",
        destination="",
        name=mount.source,
        driver=driver or volume_driver or "local",
        mode="z",
        writable=not mount.read_only,
        copy_up=not (options and options.no_copy),
        anonymous=not mount.source,
        subpath=subpath,
    )


def _tmpfs(mount: Mount, _driver: str) -> MountRecord:
    if mount.source:
        raise _bad(mount, "field Source must not be specified")
    options = mount.tmpfs_options
    if options and (options.size_bytes < 0 or not 0 <= options.mode <= 0o7777):
        raise _bad(mount, "invalid tmpfs size or mode")
    return MountRecord(type="tmpfs", destination="", writable=not mount.read_only)


def _image(mount: Mount, _driver: str) -> MountRecord:
    if not mount.source:
        raise _bad(mount, "field Source must not be empty")
    subpath = mount.image_options.subpath if mount.image_options else ""
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise _bad(mount, "subpath must be a relative path within the image")
    return MountRecord(
        type="image",
        destination="",
        source=mount.source,
        writable=False,
        subpath=subpath,
    )


def tmpfs_options(text: str) -> list[str]:
    """Return the options of one ``--tmpfs``: Docker's defaults, then what was given.

    Raises: InvalidParameter.
    """
    given = [w for w in text.split(",") if w]
    for word in given:
        if word.partition("=")[0] not in TMPFS_OPTIONS:
            raise InvalidParameter(f'invalid tmpfs option "{word}"')
    negated = {"exec": "noexec", "suid": "nosuid", "dev": "nodev", "rw": "ro"}
    opposite = {**negated, **{v: k for k, v in negated.items()}}
    defaults = [
        w for w in ("noexec", "nosuid", "nodev") if opposite[w] not in given and w not in given
    ]
    return [*defaults, *given]


def parse_volumes_from(text: str) -> tuple[str, bool]:
    """Return container reference and whether writable, of ``container[:mode]``.

    Raises: InvalidParameter.
    """
    if not text:
        raise InvalidParameter("volumes-from specification cannot be an empty string")
    reference, _, mode = text.partition(":")
    if not reference:
        raise InvalidParameter('invalid name or ID supplied: ""')
    words = mode.split(",") if mode else []
    if any(w not in _ACCESS | _LABELS | _CONSISTENCY for w in words):
        raise InvalidParameter(f"invalid mode: {mode}")
    return reference, "ro" not in words


def inherit(mounts: Iterable[MountRecord], *, writable: bool) -> list[MountRecord]:
    """Return another container's mounts as ``--volumes-from`` shares them."""
    return [
        structs.replace(m, writable=m.writable and writable, copy_up=False, create_source=False)
        for m in mounts
        if m.type in {"volume", "bind"}
    ]


def with_propagation(mounts: Iterable[MountRecord], data_root: str) -> list[MountRecord]:
    """Return *mounts* with the propagation explicit.

    A bind that shows the daemon's own mounts follows them (``rslave``): else the container would
    keep every mount of others busy for as long as it runs.
    Raises: InvalidParameter, if what was asked for would do just that.
    """
    shown = []
    for mount in mounts:
        ours = mount.type == "bind" and _shows_daemon_root(mount.source, data_root)
        if mount.type != "bind":
            shown.append(mount)
        elif not mount.propagation:
            default = "rslave" if ours else "rprivate"
            shown.append(structs.replace(mount, propagation=default))
        elif ours and mount.propagation not in {"rslave", "rshared"}:
            raise InvalidParameter(
                'invalid mount config: must use either propagation mode "rslave" or "rshared" when'
                f' mount source is within the daemon root, daemon root: "{data_root}", bind mount'
                f' source: "{mount.source}", propagation: "{mount.propagation}"'
            )
        else:
            shown.append(mount)
    return shown


def _shows_daemon_root(source: str, data_root: str) -> bool:
    source, data_root = f"{source.rstrip('/')}/", f"{data_root}/"
    return source.startswith(data_root) or data_root.startswith(source)


def asks_propagation(record: MountRecord) -> bool:
    """Whether the user named the propagation of a bind, which then has to be possible."""
    options = record.spec.bind_options if record.spec else None
    asked = options.propagation if options else ""
    return bool(asked) or not PROPAGATIONS.isdisjoint(record.mode.split(","))

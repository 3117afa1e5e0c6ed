"""Puts devices into the OCI specification of a container, after everything else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from moorage.cdi import check, guarded
from moorage.lib.errors import Forbidden, System
from moorage.spec.cdi import ContainerEdits, DeviceNode, IntelRdt
from moorage.spec.cdi import Hook as CdiHook
from moorage.spec.cdi import Mount as CdiMount
from moorage.spec.oci.runtime import (
    Hook,
    Hooks,
    Linux,
    LinuxDevice,
    LinuxDeviceCgroup,
    LinuxIntelRdt,
    LinuxResources,
    Mount,
    Process,
    Spec,
)

_KINDS: Final = {stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}
_POINTS: Final = dict(
    zip(
        check.HOOKS,
        ("prestart", "create_runtime", "create_container", "start_container", "poststart",
         "poststop"),
        strict=True,
    )
)  # fmt: skip
_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FAILED: Final = "CDI device injection failed"


@dataclass(frozen=True, slots=True)
class Injection:
    """Edits whose devices have been looked at: nothing is left to be found out."""

    environment: tuple[str, ...] = ()
    nodes: tuple[LinuxDevice, ...] = ()
    rules: tuple[LinuxDeviceCgroup, ...] = ()
    mounts: tuple[Mount, ...] = ()
    hooks: tuple[tuple[str, Hook], ...] = ()  # point of life (a field of ``Hooks``), program
    intel_rdt: LinuxIntelRdt | None = None
    groups: tuple[int, ...] = ()


NOTHING: Final = Injection()


def prepare(edits: Iterable[ContainerEdits]) -> Injection:
    """Look at the devices and programs on the host. Blocks in lstat(2).

    Raises: System (no such device, a program that others than root can change).
    """
    every = list(edits)
    nodes = [(given, _node(given)) for e in every for given in e.device_nodes or []]
    rdt = [e.intel_rdt for e in every if e.intel_rdt is not None]
    return Injection(
        environment=tuple(entry for e in every for entry in e.env or []),
        nodes=tuple({node.path: node for _, node in nodes}.values()),
        rules=tuple(
            LinuxDeviceCgroup(
                allow=True,
                type=node.type,
                major=node.major,
                minor=node.minor,
                access=given.permissions or "rwm",
            )
            for given, node in nodes
            if node.type in {"b", "c"}
        ),
        mounts=tuple(_mount(mount) for e in every for mount in e.mounts or []),
        hooks=tuple(
            (_POINTS[hook.hook_name], _hook(hook)) for e in every for hook in e.hooks or []
        ),
        intel_rdt=_intel_rdt(rdt[-1]) if rdt else None,
        groups=tuple(gid for e in every for gid in e.additional_gids or [] if gid),
    )


def _node(given: DeviceNode) -> LinuxDevice:
    kind, major, minor = given.type, given.major, given.minor
    if not kind or (not major and kind != "p"):
        source = given.host_path or given.path
        try:
            status = os.lstat(source)
        except OSError as error:
            raise System(
                f'{_FAILED}: failed to stat CDI host device "{source}":'
                f" {os.strerror(error.errno or 0).lower()}"
            ) from error
        there = _KINDS.get(stat.S_IFMT(status.st_mode))
        if there is None:
            raise System(f'{_FAILED}: CDI host device "{source}": not a device node')
        if kind and kind != there:
            raise System(
                f'{_FAILED}: CDI device ("{given.path}", "{source}"),'
                f" host type mismatch ({kind}, {there})"
            )
        kind = there
        if not major and kind != "p":
            major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return LinuxDevice(
        path=os.path.normpath(given.path),
        type=kind,
        major=major,
        minor=minor,
        file_mode=given.file_mode,
        uid=given.uid,
        gid=given.gid,
    )


def _mount(given: CdiMount) -> Mount:
    options = list(given.options or [])
    if not given.type and not {"bind", "rbind"} & set(options):
        options.append("bind")
    return Mount(
        destination=os.path.normpath(given.container_path),
        type=given.type or "bind",
        source=given.host_path,
        options=options or None,
    )


def _hook(given: CdiHook) -> Hook:
    """Return the hook; it is run by root on the host, so its program must be root's.

    It is never without an environment: a runtime gives a hook that has none the container's, and
    with it what an image says of LD_PRELOAD (CVE-2025-23266).
    """
    if given.hook_name != check.INSIDE:
        try:
            guarded.resolve(given.path)
        except Forbidden as error:
            raise System(f"{_FAILED}: hook {given.path}: {error}") from error
        except OSError as error:
            raise System(
                f"{_FAILED}: hook {given.path}: {os.strerror(error.errno or 0).lower()}"
            ) from error
    return Hook(
        path=given.path,
        args=given.args or None,
        env=given.env or [_PATH],
        timeout=given.timeout or None,
    )


def _intel_rdt(given: IntelRdt) -> LinuxIntelRdt:
    return LinuxIntelRdt(
        clos_id=given.clos_id,
        l3_cache_schema=given.l3_cache_schema,
        mem_bw_schema=given.mem_bw_schema,
        enable_cmt=given.enable_cmt,
        enable_mbm=given.enable_mbm,
    )


def apply(spec: Spec, injection: Injection) -> Spec:
    """Return *spec* with what *injection* says, which goes before what was there (pure)."""
    if injection == NOTHING:
        return spec
    process = spec.process
    return structs.replace(
        spec,
        process=_process(process, injection) if process else None,
        mounts=_mounts(spec.mounts or [], injection.mounts),
        hooks=_hooks(spec.hooks or Hooks(), injection.hooks) if injection.hooks else spec.hooks,
        linux=_linux(spec.linux or Linux(), process, injection),
    )


def _process(process: Process, injection: Injection) -> Process:
    merged = {entry.partition("=")[0]: entry for entry in process.env or []}
    merged |= {entry.partition("=")[0]: entry for entry in injection.environment}
    groups = dict.fromkeys([*(process.user.additional_gids or []), *injection.groups])
    return structs.replace(
        process,
        env=list(merged.values()),
        user=structs.replace(process.user, additional_gids=list(groups) or None),
    )


def _mounts(there: Sequence[Mount], added: Sequence[Mount]) -> list[Mount]:
    """Add mounts; one place is mounted on once, and what lies higher before what lies deeper."""
    wanted = {mount.destination: mount for mount in added}
    kept = [mount for mount in there if os.path.normpath(mount.destination) not in wanted]
    if not wanted:
        return kept
    return sorted(
        [*kept, *wanted.values()], key=lambda m: os.path.normpath(m.destination).count("/")
    )


def _hooks(there: Hooks, added: Iterable[tuple[str, Hook]]) -> Hooks:
    for point, hook in added:
        before: list[Hook] = getattr(there, point) or []
        there = structs.replace(there, **{point: [*before, hook]})
    return there


def _linux(linux: Linux, process: Process | None, injection: Injection) -> Linux:
    paths = {node.path for node in injection.nodes}
    kept = [node for node in linux.devices or [] if node.path not in paths]
    nodes = [*kept, *(_owned(node, process) for node in injection.nodes)]
    resources = linux.resources or LinuxResources()
    rules = [*(resources.devices or []), *injection.rules]
    return structs.replace(
        linux,
        devices=nodes or None,
        resources=structs.replace(resources, devices=rules or None),
        intel_rdt=injection.intel_rdt or linux.intel_rdt,
    )


def _owned(node: LinuxDevice, process: Process | None) -> LinuxDevice:
    """Give a node that says no owner to who will use it."""
    if process is None:
        return node
    return structs.replace(
        node,
        uid=(process.user.uid or None) if node.uid is None else node.uid,
        gid=(process.user.gid or None) if node.gid is None else node.gid,
    )

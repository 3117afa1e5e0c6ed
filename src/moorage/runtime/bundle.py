"""The bundle: the specification as this host and this OCI runtime can take it, on disk."""

from __future__ import annotations

import logging
import re
import resource
from pathlib import Path
from typing import Any, Final

import msgspec

from moor_shim import protocol
from moorage.kernel import capability
from moorage.kernel.cgroup.contract import Cgroup
from moorage.lib import offload
from moorage.lib.errors import InvalidParameter, System
from moorage.runtime import cgrouppath, rootfs, seccomp
from moorage.runtime.contract import ProcessIO
from moorage.runtime.oci import OciRuntime
from moorage.spec.oci.runtime import Box, Linux, LinuxResources, POSIXRlimit, Process, Spec

log = logging.getLogger(__name__)

UNLIMITED: Final = (1 << 64) - 1  # RLIM_INFINITY as the specification writes it
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}\Z")


def check_id(identifier: str) -> str:
    """Return *identifier* if it may name a directory and a cgroup.

    Raises: InvalidParameter.
    """
    if not _ID.match(identifier):
        raise InvalidParameter(f"invalid id: {identifier!r}")
    return identifier


async def prepare(
    container_id: str, spec: Spec, io: ProcessIO, runtime: OciRuntime, filters: seccomp.FilterCache
) -> Spec:
    """Return *spec* with what depends on host and runtime filled in.

    Raises: InvalidParameter (seccomp profile that cannot be compiled, a root or a mount that
    would lead the runtime elsewhere).
    """
    rootfs.check(spec)
    linux = spec.linux or Linux()
    annotations = dict(spec.annotations or {})
    if linux.cgroups_path is None:
        driver: cgrouppath.CgroupDriver = "systemd" if runtime.systemd else "cgroupfs"
        path = cgrouppath.of(driver, "", container_id)
        linux = msgspec.structs.replace(linux, cgroups_path=path)
    if linux.seccomp is not None and runtime.is_crun:
        compiled = (
            filters.annotation(linux.seccomp)
            if filters.is_ready(linux.seccomp)
            else await offload.run("cpu", filters.annotation, linux.seccomp)
        )
        if compiled is not None:
            annotations[seccomp.ANNOTATION] = compiled
            linux = msgspec.structs.replace(linux, seccomp=None)
    process = prepare_process(spec.process, io) if spec.process is not None else None
    return msgspec.structs.replace(
        spec, linux=linux, process=process, annotations=annotations or None
    )


def prepare_process(process: Process, io: ProcessIO) -> Process:
    """Return *process* with the terminal that *io* asks for and limits that can be set."""
    box = Box(height=io.console_size[0], width=io.console_size[1]) if io.console_size else None
    rlimits = process.rlimits
    if rlimits and "CAP_SYS_RESOURCE" not in capability.effective():
        rlimits = [clamp(limit, _hard_limit(limit.type)) for limit in rlimits]
    adjustment = process.oom_score_adj
    return msgspec.structs.replace(
        process,
        terminal=io.tty,
        console_size=box if io.tty else None,
        rlimits=rlimits,
        oom_score_adj=_oom_score() if adjustment is None else adjustment,
    )


def _oom_score() -> int:
    """Return the neutral adjustment: a daemon that is spared does not spare its containers.

    Without CAP_SYS_RESOURCE it cannot be lower than the daemon's own.
    """
    if "CAP_SYS_RESOURCE" in capability.effective():
        return 0
    return max(0, int(Path("/proc/self/oom_score_adj").read_text()))


def clamp(limit: POSIXRlimit, maximum: int) -> POSIXRlimit:
    """Return *limit* within *maximum*: without CAP_SYS_RESOURCE no runtime can set more."""
    if limit.hard <= maximum:
        return limit
    log.warning(
        "%s: hard limit %d is above the daemon's, using %d", limit.type, limit.hard, maximum
    )
    return POSIXRlimit(type=limit.type, hard=maximum, soft=min(limit.soft, maximum))


def _hard_limit(name: str) -> int:
    number = getattr(resource, name, None)
    if not isinstance(number, int):
        return UNLIMITED
    hard = resource.getrlimit(number)[1]
    return UNLIMITED if hard == resource.RLIM_INFINITY else hard


def job(
    *,
    kind: str,
    container_id: str,
    directory: Path,
    runtime: OciRuntime,
    io: ProcessIO,
    program: str = "",
    start_fifo: str | None = None,
    plain_state: str | None = None,
    group: Cgroup | None = None,
    has_pids: bool = True,
) -> protocol.Message:
    """Return the monitor's order; see ``moor_shim.process`` and ``moor_shim.sinks``.

    *has_pids*: the container has a pid namespace, so that its orphans are none of the monitor's.
    """
    return {
        "kind": kind,
        "container_id": container_id,
        "directory": str(directory),
        "runtime": runtime.command(),
        "sealed": False,
        "attach": None,
        "rests": has_pids,
        "start_fifo": start_fifo,
        "plain_state": plain_state,
        "cgroup": str(group.directory()) if group else None,
        "cgroups": [str(directory) for directory in group.directories()] if group else [],
        "oom": str(group.oom_file()) if group else None,
        "io": {
            "tty": io.tty,
            "open_stdin": io.open_stdin,
            "stdin_once": io.stdin_once,
            "console_size": io.console_size,
            "program": program,
            "log": {
                "driver": io.log_driver,
                "options": dict(io.log_options),
                "path": str(io.log_path) if io.log_path else None,
                "attributes": dict(io.log_attributes),
                "tags": dict(io.log_tags),
            },
        },
    }


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a later daemon must know of a task to take it over: ``record.json``."""

    container_id: str
    kind: str
    runtime: OciRuntime
    cgroups_path: str
    note: str = ""  # of an exec: what its maker wants to be reminded of
    job: dict[str, Any] | None = None  # of a container: the order for another monitor


RECORD_FILE: Final = "record.json"


def make_log_directory(io: ProcessIO) -> None:
    """Make the directory of the log, but not those above it.

    Raises: System.
    """
    if io.log_path is not None:
        try:
            io.log_path.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise System(f"failed to initialize logging driver: {error}") from error


def write(directory: Path, name: str, content: Spec | Process | Record | LinuxResources) -> None:
    """Write one file of a task's directory, which is made if it is not there.

    Raises: System (disk full).
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / name).write_bytes(msgspec.json.encode(content))
    except OSError as error:
        raise System(f"cannot write {directory / name}: {error.strerror}") from error


def read_record(directory: Path) -> Record | None:
    """Return the record, or None if there is none (whole)."""
    try:
        return msgspec.json.decode((directory / RECORD_FILE).read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None

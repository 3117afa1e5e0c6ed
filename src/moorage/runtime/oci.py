"""What there is to know of an OCI runtime: how it is called, what its complaints mean."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Final, NoReturn

from msgspec import Struct

from moorage.kernel.cgroup import systemd
from moorage.lib.errors import System
from moorage.runtime.contract import RuntimeConfig, StartFailed
from moorage.spec.oci.runtime import Spec

_SUBGROUP: Final = "container"  # crun's default for run.oci.systemd.subgroup
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126

LOGGING_FAILED: Final = "failed to initialize logging driver"  # a complaint of the monitor's own

_CRUN_MISSING: Final = re.compile(r"executable file `(.*)` not found")
_CRUN_OPEN: Final = "open executable: "


class OciRuntime(Struct, frozen=True, kw_only=True):
    """One configured runtime."""

    name: str
    path: str  # absolute
    args: tuple[str, ...]
    root: str  # directory of its state, --root
    systemd: bool = False  # it asks systemd for the cgroups

    @property
    def is_crun(self) -> bool:
        """Whether it is crun, by its file's name."""
        return PurePath(self.path).name == "crun"

    @property
    def shares_kernel(self) -> bool:
        """Whether its processes are ours to signal and freeze; else it is asked (gVisor, Kata)."""
        return PurePath(self.path).name in {"crun", "runc", "youki", "crun-wasm"}

    def may_know(self, container_id: str) -> bool:
        """Whether it may have state of the container, so that ``delete`` has something to do."""
        return not self.shares_kernel or Path(self.root, container_id).exists()

    def group_path(self, cgroups_path: str, *, unified: bool) -> str:
        """Return the group of a container's processes below the root of the hierarchy.

        *unified*: it is v2, where crun makes a group of its own in the scope. systemd never touches
        that one; to the scope it writes again, at each reload, the limits that it has been told of,
        of which crun 1.8 tells none.
        """
        if not self.systemd:
            return cgroups_path
        scope = systemd.scope_path(cgroups_path)
        return f"{scope}/{_SUBGROUP}" if unified and self.is_crun else scope

    def command(self) -> list[str]:
        """Return the command line up to the verb."""
        driver = ["--systemd-cgroup"] if self.systemd else []
        return [self.path, *self.args, *driver, "--root", self.root]

    def plain_state(self, container_id: str, spec: Spec) -> str | None:
        """Return the directory whose removal is all that ``crun delete`` does beside the cgroup's.

        Other runtimes, and hooks that wait for the end, need the real ``delete``; so does systemd,
        which must have let go of the scope before another of its name can be made.
        """
        if self.systemd or not self.is_crun or (spec.hooks is not None and spec.hooks.poststop):
            return None
        return f"{self.root}/{container_id}"

    def start_fifo(self, container_id: str, spec: Spec) -> str | None:
        """Return the fifo that ``crun start`` would write to, if nothing else is to be done.

        Other runtimes, and hooks that wait for the start, need the real ``start``.
        """
        if not self.is_crun or (spec.hooks is not None and spec.hooks.poststart):
            return None
        return f"{self.root}/{container_id}/exec.fifo"


def make(
    name: str, config: RuntimeConfig, path: str, root: Path, *, systemd: bool = False
) -> OciRuntime:
    """Describe the runtime *name* found at *path*; each keeps its state in its own directory."""
    return OciRuntime(
        name=name, path=path, args=config.args, root=str(root / name), systemd=systemd
    )


def raise_failure(complaint: str, *, verb: str, program: str, runtime: str) -> NoReturn:
    """Raise what the runtime's *complaint* means, in Docker's words, which clients match.

    *verb* is ``create`` or ``exec``; *program* the first argument of the process.
    """
    if complaint.startswith(LOGGING_FAILED):
        raise System(f"failed to create task for container: {complaint}")
    cause, code = _explain(complaint, program)
    if verb == "exec":
        message = f"OCI runtime exec failed: exec failed: {_prefix(cause, code)}: unknown"
    else:
        message = (
            "failed to create task for container: failed to create shim task:"
            f" OCI runtime create failed: {runtime} create failed: {_prefix(cause, code)}: unknown"
        )
    if code:
        raise StartFailed(message, code)
    raise System(message)


def _prefix(cause: str, code: int) -> str:
    return f"unable to start container process: {cause}" if code else cause


def _explain(complaint: str, program: str) -> tuple[str, int]:
    """Return (cause, exit code); 0 for all that is not about the program itself."""
    missing = _CRUN_MISSING.search(complaint)
    if missing or (complaint.startswith(_CRUN_OPEN) and not program):  # it looks at the directory
        name = missing[1] if missing else ""
        if "/" in name:
            return f'exec: "{name}": stat {name}: no such file or directory', NOT_FOUND
        return f'exec: "{name}": executable file not found in $PATH', NOT_FOUND
    if complaint.startswith(_CRUN_OPEN) and program:
        reason = complaint.removeprefix(_CRUN_OPEN).lower()
        if reason == "operation not permitted":  # crun's way to say that it is a directory
            reason = "is a directory"
        code = NOT_FOUND if reason == "not a directory" else NOT_EXECUTABLE
        return f'exec: "{program}": {reason}', code
    if "exec:" in complaint:  # runc
        cause = complaint[complaint.index("exec:") :]
        if "not found in $PATH" in cause or "no such file or directory" in cause:
            return cause, NOT_FOUND
        if "permission denied" in cause or "is a directory" in cause or "format" in cause:
            return cause, NOT_EXECUTABLE
    lowered = complaint[:1] + complaint[1:].replace(": No such", ": no such").replace(
        ": Permission", ": permission"
    ).replace(": Not a dir", ": not a dir")
    return lowered.removeprefix("runc create failed: "), 0

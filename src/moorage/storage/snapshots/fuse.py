"""fuse-overlayfs: the overlay in a process, where the kernel's cannot be mounted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from moorage.kernel import spawn
from moorage.lib.errors import System
from moorage.storage.snapshots.overlay import OverlayDriver

_PROGRAM: Final = "fuse-overlayfs"
_MESSAGE_MAX: Final = 4096


class FuseOverlayDriver(OverlayDriver):
    """The same layers on disk as overlay2 has, mounted by a program.

    The program runs for as long as the mount is there, and outlives the daemon.
    """

    name = "fuse-overlayfs"
    known_options = frozenset()

    def probe(self) -> None:
        """Its program and /dev/fuse must be there."""
        if spawn.find(_PROGRAM) is None or not Path("/dev/fuse").exists():
            raise System(
                "the storage driver fuse-overlayfs needs its program and /dev/fuse",
                hint="apt-get install fuse-overlayfs; modprobe fuse",
            )

    def mount_stack(self, target: Path, parents: Sequence[str], *, upper: str | None) -> None:
        """Start the program; it goes to the background when the mount is ready."""
        options = self.stack_options(f"{self.root}/", parents, upper)
        said = os.memfd_create("stderr")
        try:
            process = spawn.start([_PROGRAM, "-o", options, str(target)], files={2: said})
            code = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
            os.close(process.pidfd)
            if code:
                text = os.pread(said, _MESSAGE_MAX, 0).decode(errors="replace").strip()
                raise System(f"cannot mount {target}: {text}")
        finally:
            os.close(said)

    def status(self) -> list[list[str]]:
        """Return what ``info`` shows."""
        return super().status()[:1]

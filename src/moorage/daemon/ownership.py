"""What makes a daemon the only one of its roots: locks, the pid file, and limits of the process."""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from moorage.lib import atomicfile, clock
from moorage.lib.errors import System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

PATIENCE_S: Final = 2.0  # for a former daemon to be gone altogether


@contextmanager
def locked(root: Path, what: str, *, private: bool = False) -> Iterator[None]:
    """Hold *root* against other daemons; the kernel lets go when the process ends.

    A *private* one is closed to other users, even if it was open before.

    Raises: System, naming the holder.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o711)
    if private:  # CVE-2021-41091, CVE-2024-25621
        root.chmod(root.stat().st_mode & 0o7770)
    fd = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _within_patience(lambda: _locked(fd)):
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            raise System(
                f"{what} {root} is in use by another daemon (pid {holder})",
                hint="give this one a --data-root and an --exec-root of its own",
            )
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


@contextmanager
def pid_file(path: Path) -> Iterator[None]:
    """Keep our pid in *path*.

    Raises: System, if it names a living process.
    """
    with suppress(FileNotFoundError, ValueError):
        holder = int(path.read_text())
        if holder != os.getpid() and not _within_patience(lambda: not _alive(holder)):
            raise System(
                f"pid file {path} names process {holder}, which is running",
                hint="stop it, or remove the file if it is no moord",
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    atomicfile.write(path, f"{os.getpid()}\n".encode(), mode=0o644, sync=False)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def _within_patience(done: Callable[[], bool]) -> bool:
    """Whether *done* comes true soon: a daemon just killed still holds its things for a moment."""
    deadline = clock.monotonic() + PATIENCE_S
    while not done():
        if clock.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: int) -> bool:
    """Whether *pid* runs: one that nobody has reaped yet (Z, X) does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def prepare_process(oom_score_adjust: int) -> None:
    """Raise the limit of open files, and set umask and OOM score."""
    os.umask(0o022)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if oom_score_adjust:
        try:
            Path("/proc/self/oom_score_adj").write_text(str(oom_score_adjust))
        except OSError as error:
            log.warning("cannot set the OOM score: %s", error)

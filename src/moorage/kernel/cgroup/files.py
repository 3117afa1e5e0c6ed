"""Reading and walking the files of a control group."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from moorage.kernel.cgroup.contract import UNLIMITED, IOEntry

GONE = (FileNotFoundError, ProcessLookupError)
AT_ONCE: Final = 256  # processes signalled together: a group may hold more than we may open
GONE_NUMBERS = {2, 3, 19, 95}  # ENOENT, ESRCH, ENODEV (being removed), EOPNOTSUPP


def text(path: Path) -> str:
    """Return the content without its newline; "" if the file or the group is not there."""
    try:
        return path.read_text().strip()
    except OSError as error:
        if error.errno in GONE_NUMBERS:
            return ""
        raise


def number(path: Path) -> int:
    """Return the number in a file; 0 if there is none."""
    content = text(path)
    return int(content) if content.lstrip("-").isdigit() else 0


def limit(path: Path) -> int | None:
    """Return the limit in a file; None for ``max``, -1 and the huge numbers of v1."""
    content = text(path)
    if not content.isdigit():
        return None
    value = int(content)
    return None if value >= UNLIMITED - (1 << 20) else value  # v1 rounds down to a page


def table(path: Path) -> dict[str, int]:
    """Return a flat keyed file (``memory.stat``, ``cpu.stat``)."""
    pairs = (line.split() for line in text(path).splitlines())
    return {p[0]: int(p[1]) for p in pairs if len(p) == 2 and p[1].isdigit()}


def io_table(path: Path) -> list[IOEntry]:
    """Return a blkio file of v1: ``8:0 Read 4096``; the total line has no device."""
    entries = []
    for line in text(path).splitlines():
        fields = line.split()
        if len(fields) == 3 and ":" in fields[0]:
            major, minor = map(int, fields[0].split(":"))
            entries.append(IOEntry(major, minor, fields[1], int(fields[2])))
    return entries


def groups(directory: Path) -> Iterator[Path]:
    """Yield *directory* and the groups below it, deepest first."""
    with suppress(*GONE):
        for entry in sorted(os.scandir(directory), key=lambda e: e.name):
            if entry.is_dir(follow_symlinks=False):
                yield from groups(Path(entry.path))
    yield directory


def procs(directory: Path) -> list[int]:
    """Return the processes of the group and below."""
    found: set[int] = set()
    for group in groups(directory):
        with suppress(OSError):
            found.update(map(int, (group / "cgroup.procs").read_text().split()))
    return sorted(found)


def send(directory: Path, signum: int) -> None:
    """Send a signal to all members, through descriptors: a number may be reused meanwhile.

    Raises: OSError (no descriptors left; those before have been signalled).
    """
    pids = procs(directory)
    for at in range(0, len(pids), AT_ONCE):
        _send(directory, pids[at : at + AT_ONCE], signum)


def _send(directory: Path, pids: Sequence[int], signum: int) -> None:
    with ExitStack() as closing:
        held: dict[int, int] = {}
        for pid in filter(None, pids):  # 0 is one that is not of this PID namespace
            with suppress(ProcessLookupError):
                held[pid] = os.pidfd_open(pid)
                closing.callback(os.close, held[pid])
        members = set(procs(directory))
        for pid, pidfd in held.items():
            if pid in members:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signum)


def remove(directory: Path) -> None:
    """Remove the group and those below.

    Raises: OSError (EBUSY: a process is still in it).
    """
    for group in groups(directory):
        with suppress(*GONE):
            group.rmdir()

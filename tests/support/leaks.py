"""The leak guard: what a daemon's containers leave on the host after they are gone.

Several daemons may run on the machine, so only what bears the marks of the guarded one is looked
at: its roots, its instance digits, the names of its bridges, and the ids of what it made.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_ID_SIZE = 64
NET = Path("/sys/class/net")
# The name server is the daemon's, not the containers': it stays for a minute after the last one.
_OF_A_LIVING_DAEMON = re.compile(r"nameserver\.program|/names\.sock$|/bin/moord --data-root ")
SETTLE_S = 8.0  # the kernel frees namespaces and links on its own time


@dataclass(slots=True)
class Snapshot:
    """What bears a daemon's marks, by kind; each item is a line that a person understands."""

    items: dict[str, set[str]] = field(default_factory=dict)

    def beyond(self, before: Snapshot) -> list[str]:
        """Return what is here and was not there."""
        return [
            f"{kind}: {item}"
            for kind, items in self.items.items()
            for item in sorted(items - before.items.get(kind, set()))
        ]


def take(root: Path, marks: Collection[str]) -> Snapshot:
    """Look at the host now; *marks* beside the root: instance digits, bridges, ids."""
    marks = {str(root), *marks, *(mark[:12] for mark in marks if len(mark) == _ID_SIZE)}
    pattern = re.compile("|".join(map(re.escape, marks)))
    return Snapshot(
        {
            "mount": set(_mounts(pattern)),
            "link": set(_links(pattern)),
            "cgroup": set(_cgroups(pattern)),
            "process": set(_processes(pattern)),
            "nftables": set(_nftables(pattern)),
            "loop device": set(_loop_devices(pattern)),
            "file": set(_files(root)),
        }
    )


def _mounts(pattern: re.Pattern[str]) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        if pattern.search(fields[4]):
            yield f"{fields[4]} ({line.partition(' - ')[2].split(' ')[0]})"


def link_mark(link: Path) -> str:
    """Return what tells a link from a later one of the same name: names are used again."""
    try:
        return f"{link.name}#{(link / 'ifindex').read_text().strip()}#"
    except OSError:
        return link.name


def _links(pattern: re.Pattern[str]) -> Iterator[str]:
    for link in NET.iterdir():
        marks = link_mark(link)
        if (link / "master").exists():
            marks += " of " + link_mark((link / "master").resolve())
        if pattern.search(marks):
            yield marks


def _cgroups(pattern: re.Pattern[str]) -> Iterator[str]:
    for path, _, _ in os.walk("/sys/fs/cgroup"):
        if pattern.search(path):
            yield path


def _processes(pattern: re.Pattern[str]) -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            group = (entry / "cgroup").read_text()
        except OSError:
            continue
        if pattern.search(command) or pattern.search(group):
            yield f"{entry.name} {command.strip()[:200]}"


def _nftables(pattern: re.Pattern[str]) -> Iterator[str]:
    listed = subprocess.run(
        ["nft", "-s", "list", "ruleset"], capture_output=True, text=True, check=False
    ).stdout
    table = ""
    for line in listed.splitlines():
        if line.startswith("table"):
            table = line.strip(" {")
        if pattern.search(table):
            yield f"{table}: {line.strip()}"


def _loop_devices(pattern: re.Pattern[str]) -> Iterator[str]:
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = backing.read_text().strip()
        except OSError:
            continue
        if pattern.search(file):
            yield f"{backing.parts[3]} {file}"


def _files(root: Path) -> Iterator[str]:
    """Yield directories that a container or a transfer has of its own; blobs and layers stay."""
    for below in ("d/containers", "d/volumes", "d/content/ingest", "e"):
        top = root / below
        if not top.is_dir():
            continue
        for entry in top.rglob("*"):
            if len(entry.relative_to(top).parts) <= 2:
                yield str(entry)


def assert_none(
    before: Snapshot,
    root: Path,
    marks: Collection[str],
    *,
    alive: bool = False,
    settle_s: float = SETTLE_S,
) -> None:
    """Demand that the host is as *before*, waiting a while for what ends by itself.

    *alive*: the daemon still runs, and may have started what belongs to it.
    """
    deadline = time.monotonic() + settle_s
    while left := [
        item
        for item in take(root, marks).beyond(before)
        if not (alive and _OF_A_LIVING_DAEMON.search(item))
    ]:
        if time.monotonic() > deadline:
            raise AssertionError("left on the host:\n  " + "\n  ".join(left))
        time.sleep(0.05)

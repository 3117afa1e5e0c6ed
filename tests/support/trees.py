"""File trees with everything an image may hold, and what is to be compared of them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from support.cli import Cli

PROGRAMS: Final = ("/usr/bin/passwd", "/usr/bin/newgrp", "/bin/mount", "/bin/busybox")
TIME_NS: Final = 1_600_000_000_000_000_000
# cap_net_raw=ep, as the kernel stores it (VFS_CAP_REVISION_2)
CAPABILITY: Final = bytes.fromhex("0100000200200000000000000000000000000000")


class Member(NamedTuple):
    """What an engine must keep of a file."""

    kind: int
    mode: int
    owner: tuple[int, int]
    size: int  # of regular files
    content: str  # digest, or where a link points
    mtime: int  # whole seconds
    device: int
    xattrs: tuple[tuple[str, bytes], ...]
    links: tuple[str, ...]  # other names of the same file


def make(root: Path) -> None:
    """Fill *root* with programs of this machine and all kinds of files."""
    (root / "usr/bin").mkdir(parents=True)
    for program in filter(os.path.exists, PROGRAMS):
        copied = shutil.copy2(program, root / "usr/bin")
        os.chown(copied, 0, 0)
        shutil.copymode(program, copied)
    setuid = root / "usr/bin/setuid"
    setuid.write_bytes(b"#!/bin/sh\n")
    os.chown(setuid, 0, 42)
    setuid.chmod(0o6755)
    ping = root / "usr/bin/ping"
    ping.write_bytes(b"no real ping")
    os.setxattr(ping, "security.capability", CAPABILITY)
    (root / "usr/bin/ping-too").hardlink_to(ping)
    (root / "usr/bin/link").symlink_to("../bin/ping")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "empty").mkdir(mode=0o700)
    owned = root / "owned"
    owned.write_text("by somebody with a large number")
    os.chown(owned, 2_000_000, 3_000_000)
    with (root / "sparse").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"behind a hole")
        file.truncate(8 << 20)
    deep = root / ("d" * 100) / ("e" * 100) / ("f" * 100)
    deep.mkdir(parents=True)
    (deep / ("a long name with spaces, ümlauts and \N{SNOWMAN} " + "x" * 150)).write_text("deep")
    (root / ("l" * 90)).symlink_to("t" * 200)
    os.mkfifo(root / "fifo", 0o640)
    os.mknod(root / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (root / "odd\nname").write_text("with a line break")
    for path in [root, *root.rglob("*")]:
        os.utime(path, ns=(TIME_NS, TIME_NS), follow_symlinks=False)


@contextmanager
def mounted(client: Cli, image: str, place: Path) -> Iterator[Path]:
    """Show the files of an image of an engine on this machine, out of its layers (overlay2)."""
    data = json.loads(client("image", "inspect", "-f", "{{json .GraphDriver.Data}}", image))
    lower = ":".join(filter(None, [data["UpperDir"], data.get("LowerDir")]))
    if ":" not in lower:
        yield Path(lower)
        return
    place.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={lower}", place], check=True
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def same(found: dict[str, Member], wanted: dict[str, Member]) -> None:
    """Compare trees name by name: a whole dictionary would be no message."""
    assert set(found) == set(wanted)
    for name, member in wanted.items():
        assert found[name] == member, (name, found[name], member)


def members(root: Path) -> dict[str, Member]:
    """Return what there is below *root*, by name."""
    names: dict[tuple[int, int], list[str]] = {}
    found = {str(path.relative_to(root)): path for path in sorted(root.rglob("*"))}
    for name, path in found.items():
        status = path.lstat()
        if not path.is_dir() or path.is_symlink():
            names.setdefault((status.st_dev, status.st_ino), []).append(name)
    return {name: _member(path, names) for name, path in found.items()}


def _member(path: Path, names: dict[tuple[int, int], list[str]]) -> Member:
    status = path.lstat()
    regular = stat.S_ISREG(status.st_mode)
    content = ""
    if regular:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    elif path.is_symlink():
        content = str(path.readlink())
    return Member(
        kind=stat.S_IFMT(status.st_mode),
        mode=stat.S_IMODE(status.st_mode),
        owner=(status.st_uid, status.st_gid),
        size=status.st_size if regular else 0,
        content=content,
        mtime=status.st_mtime_ns // 1_000_000_000,
        device=status.st_rdev,
        xattrs=tuple(
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
            if not name.startswith("trusted.overlay.")
        ),
        links=tuple(names.get((status.st_dev, status.st_ino), ())),
    )

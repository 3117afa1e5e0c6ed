"""The small files of a container: hostname, hosts, resolv.conf.

::

    containers/<id>/            0710
      hostname hosts resolv.conf   shown inside by bind mounts, so they are rewritten in place
      <id>-json.log                by the monitor
"""

from __future__ import annotations

import os
from pathlib import Path

from moorage.containers.spec_mounts import OwnFile
from moorage.networks.values import NameFiles

_SHOWN = {
    "resolv.conf": "/etc/resolv.conf",
    "hostname": "/etc/hostname",
    "hosts": "/etc/hosts",
}


def make_directory(directory: Path) -> None:
    """Make the directory of a new container. Raises: OSError."""
    directory.mkdir(mode=0o710, parents=True)


def write(directory: Path, *, hostname: str, hosts: bytes, resolv_conf: bytes) -> None:
    """Write all three. Raises: OSError."""
    rewrite(directory / "hostname", f"{hostname}\n".encode())
    rewrite(directory / "hosts", hosts)
    rewrite(directory / "resolv.conf", resolv_conf)


def give(directory: Path, uid: int, gid: int) -> None:
    """Let a container's root write to its files. Raises: OSError."""
    for name in _SHOWN:
        os.chown(directory / name, uid, gid, follow_symlinks=False)


def rewrite(path: Path, content: bytes) -> None:
    """Replace the content of a file that may be mounted somewhere: same inode, world-readable.

    What is the same already is left alone, and nothing is cut off first: ext4 takes a file that
    was made empty for one that is being replaced, and writes it to the disk when it is closed.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        if os.pread(fd, len(content) + 1, 0) == content:
            return
        written = 0
        while written < len(content):
            written += os.pwrite(fd, content[written:], written)
        if os.fstat(fd).st_size > len(content):
            os.ftruncate(fd, len(content))
    finally:
        os.close(fd)


def write_name_files(directory: Path, files: NameFiles) -> None:
    """Rewrite what the networks know. Raises: OSError."""
    rewrite(directory / "hosts", files.hosts)
    rewrite(directory / "resolv.conf", files.resolv_conf)


def shown(directory: Path, *, writable: bool) -> list[OwnFile]:
    """Return the files as the container sees them."""
    return [
        OwnFile(source=str(directory / name), destination=target, writable=writable)
        for name, target in _SHOWN.items()
    ]

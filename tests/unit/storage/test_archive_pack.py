"""Trees as archives."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from moorage.storage.archive.pack import pack


def test_every_name_of_a_file_bears_its_attributes(tmp_path: Path) -> None:
    """dockerd changes the owner at each name, by which the kernel takes capabilities away."""
    first = tmp_path / "first"
    first.write_text("content")
    os.setxattr(first, "user.kept", b"yes")
    (tmp_path / "second").hardlink_to(first)
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        data = b"".join(pack(fd))
    finally:
        os.close(fd)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: member for member in tar if member.isfile() or member.islnk()}
    assert members["second"].linkname == "first"
    for member in members.values():
        assert member.pax_headers["SCHILY.xattr.user.kept"] == "yes"

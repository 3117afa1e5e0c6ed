"""binfmt_misc: for which machines' programs the kernel knows an interpreter (qemu)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/proc/sys/fs/binfmt_misc")
_MACHINE: Final = slice(18, 20)  # e_machine in the header of an ELF file, little-endian machines


def machines(root: Path = _ROOT) -> set[int]:
    """Return the ``e_machine`` of the ELF files that an enabled entry takes; none if unmounted."""
    found: set[int] = set()
    with suppress(OSError):
        for entry in root.iterdir():
            header = _magic(entry)
            if header[:4] == b"\x7fELF" and len(header) >= _MACHINE.stop:
                little = header[5:6] != b"\x02"
                found.add(int.from_bytes(header[_MACHINE], "little" if little else "big"))
    return found


def _magic(entry: Path) -> bytes:
    """Return the bytes that an enabled entry goes by; none if it has none, or cannot be read."""
    try:
        text = entry.read_text()
    except OSError:  # "register" is for writing only, and others remove entries
        return b""
    if not text.startswith("enabled"):
        return b""
    return bytes.fromhex(text.partition("magic ")[2].split("\n", 1)[0])

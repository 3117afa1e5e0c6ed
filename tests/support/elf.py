"""Programs of nothing but system calls, for x86-64: what a libc would not let a test ask for."""

from __future__ import annotations

import struct
from collections.abc import Sequence

BASE = 0x400000  # below 4 GiB, so that 32-bit calls can point into it
_HEADERS = 64 + 56
_ELF = b"\x7fELF\x02\x01\x01" + bytes(9)
Call = tuple[int, ...]  # number and arguments

# where the arguments of `syscall` and of `int 0x80` go: mov edi/esi/edx/r10d/r8d/r9d, imm32
_WIDE = (b"\xbf", b"\xbe", b"\xba", b"\x41\xba", b"\x41\xb8", b"\x41\xb9")
_NARROW = (b"\xbb", b"\xb9", b"\xba", b"\xbe", b"\xbf")  # mov ebx/ecx/edx/esi/edi, imm32


def program(calls: Sequence[Call], *, narrow: bool = False, data: bytes = b"") -> bytes:
    """Return a static program that makes *calls* and writes each result as 8 bytes to stdout.

    *narrow*: as a 32-bit program makes them. *data* lies at ``BASE + 120``.
    """
    code = b"".join(_call(call, narrow=narrow) + _report() for call in calls)
    code += b"\xb8\x3c\0\0\0\x31\xff\x0f\x05"  # exit(0)
    size = _HEADERS + len(data) + len(code)
    entry = BASE + _HEADERS + len(data)
    head = _ELF + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 7, 0, BASE, BASE, size, size, 0x1000)
    return head + segment + data + code


def _call(call: Call, *, narrow: bool) -> bytes:
    number, *arguments = call
    code = b"\xb8" + struct.pack("<I", number)
    for move, value in zip(_NARROW if narrow else _WIDE, arguments, strict=False):
        code += move + struct.pack("<I", value & 0xFFFFFFFF)
    return code + (b"\xcd\x80" if narrow else b"\x0f\x05")


def _report() -> bytes:
    """Write rax: push rax; write(1, rsp, 8); pop rax."""
    return b"\x50\x48\x89\xe6\xb8\x01\0\0\0\xbf\x01\0\0\0\xba\x08\0\0\0\x0f\x05\x58"


def results(written: bytes, *, narrow: bool = False) -> list[int]:
    """Return what the calls returned; errors are negative."""
    found = [value for (value,) in struct.iter_unpack("<q", written)]
    return [(v & 0xFFFFFFFF) - ((v & 0x80000000) << 1) for v in found] if narrow else found

"""Seccomp filters: libseccomp by ctypes, from rules to the BPF program that the kernel takes."""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

KILL_PROCESS: Final = 0x80000000  # linux/seccomp.h
KILL_THREAD: Final = 0x00000000
TRAP: Final = 0x00030000
ERRNO: Final = 0x00050000
TRACE: Final = 0x7FF00000
LOG: Final = 0x7FFC0000
ALLOW: Final = 0x7FFF0000

ACTIONS: Final = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": TRAP,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRACE": TRACE,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_ALLOW": ALLOW,
}
"""The specification's names; SCMP_ACT_NOTIFY needs a listener: left to the runtime."""

OPERATORS: Final = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}

NEW_SYSCALLS: Final = {
    # numbers that every architecture but mips and alpha shares; newer than many a libseccomp
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
}
LAST_SYSCALL: Final = 466  # above it: ENOSYS, so that a libc falls back as on an older kernel

_ENOSYS: Final = 38
_X32_BIT: Final = 0x40000000
_INSTRUCTION: Final = struct.Struct("=HBBI")
_LOAD_NR: Final = (0x20, 0, 0, 0)  # BPF_LD | BPF_W | BPF_ABS of seccomp_data.nr
_JEQ: Final = 0x15
_JGE: Final = 0x35
_RET: Final = 0x06
_SCMP_FLTATR_CTL_OPTIMIZE: Final = 8
_MIPS: Final = "SCMP_ARCH_MIPS"


class Condition(Struct, frozen=True):
    """A comparison of one argument."""

    index: int
    operator: int
    value: int
    value_two: int = 0


class Rule(Struct, frozen=True):
    """What happens to a system call under conditions that must all hold."""

    names: tuple[str, ...]
    action: int  # with the errno or message in its low 16 bits
    conditions: tuple[Condition, ...] = ()


class _ArgCmp(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


@functools.lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_release.restype = None
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_arch_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_ArgCmp),
    )
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library


def compile_filter(default: int, architectures: Sequence[str], rules: Sequence[Rule]) -> bytes:
    """Return the BPF program for *rules* on the native architecture and *architectures*.

    System calls that neither libseccomp nor ``NEW_SYSCALLS`` know are left out; those newer than
    both give ENOSYS instead of *default*, for a libc takes EPERM as an answer and does not fall
    back.
    Raises: OSError (libseccomp missing or refusing a rule).
    """
    library = _library()
    context = library.seccomp_init(default)
    if not context:
        raise OSError(22, "seccomp_init failed")
    try:
        for name in architectures:
            token = library.seccomp_arch_resolve_name(
                name.removeprefix("SCMP_ARCH_").lower().encode()
            )
            if token:
                _check(library.seccomp_arch_add(context, token), name, exists_is_fine=True)
        library.seccomp_attr_set(context, _SCMP_FLTATR_CTL_OPTIMIZE, 2)  # binary tree; 2.5
        new: list[tuple[int, int]] = []
        for rule in rules:
            _add(library, context, default, rule, new)
        program = _export(library, context)
    finally:
        library.seccomp_release(context)
    if any(name.startswith(_MIPS) for name in architectures) or default & ~0xFFFF != ERRNO:
        return program
    return _prologue(new) + program


def _add(
    library: ctypes.CDLL, context: int, default: int, rule: Rule, new: list[tuple[int, int]]
) -> None:
    if rule.action == default:
        return  # libseccomp refuses a rule that changes nothing
    count = len(rule.conditions)
    array = (_ArgCmp * count)(
        *(_ArgCmp(c.index, c.operator, c.value, c.value_two) for c in rule.conditions)
    )
    for name in rule.names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            if name in NEW_SYSCALLS and not rule.conditions:
                new.append((NEW_SYSCALLS[name], rule.action))
            continue
        result = library.seccomp_rule_add_array(context, rule.action, number, count, array)
        _check(result, name, exists_is_fine=True)


def _check(result: int, what: str, *, exists_is_fine: bool) -> None:
    if result < 0 and not (exists_is_fine and result == -17):
        raise OSError(-result, f"libseccomp: {os.strerror(-result)}", what)


def _export(library: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("seccomp")
    try:
        _check(library.seccomp_export_bpf(context, fd), "export", exists_is_fine=False)
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def _prologue(new: list[tuple[int, int]]) -> bytes:
    """Return instructions that come before libseccomp's: newer calls, by number.

    A call of x32 carries a bit above all numbers and is libseccomp's matter.
    """
    lines = [_LOAD_NR]
    body: list[tuple[int, int, int, int]] = []
    for number, action in sorted(set(new)):
        body += [(_JEQ, 0, 1, number), (_RET, 0, 0, action)]
    body += [(_JGE, 0, 1, LAST_SYSCALL + 1), (_RET, 0, 0, ERRNO | _ENOSYS)]
    lines += [(_JGE, len(body), 0, _X32_BIT), *body]
    return b"".join(_INSTRUCTION.pack(*line) for line in lines)

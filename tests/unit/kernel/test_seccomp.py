"""Compiled filters, run by an interpreter of their own: no process need be confined."""

from __future__ import annotations

import struct

import pytest

from moorage.kernel import seccomp
from moorage.kernel.seccomp import ALLOW, ERRNO, Condition, Rule

X86_64 = 0xC000003E  # AUDIT_ARCH_X86_64
EPERM, ENOSYS = 1, 38


def run(program: bytes, number: int, *args: int, arch: int = X86_64) -> int:
    """Interpret classic BPF over a seccomp_data; return the action."""
    data = struct.pack("=iIQ6Q", number, arch, 0, *(*args, *[0] * (6 - len(args))))
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = 0
    while True:
        operation, if_true, if_false, value = code[at]
        at += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif operation == 0x06:
            return int(value)
        elif operation == 0x54:
            accumulator &= value
        elif operation == 0x05:
            at += value
        else:
            tests = {0x15: accumulator == value, 0x25: accumulator > value}
            tests |= {0x35: accumulator >= value, 0x45: bool(accumulator & value)}
            at += if_true if tests[operation] else if_false


@pytest.fixture
def program() -> bytes:
    rules = (
        Rule(names=("read", "no_such_call"), action=ALLOW),
        Rule(names=("mseal",), action=ALLOW),
        Rule(names=("socket",), action=ALLOW, conditions=(Condition(0, 2, 12),)),
        Rule(names=("personality",), action=ALLOW, conditions=(Condition(0, 4, 8),)),
    )
    return seccomp.compile_filter(ERRNO | EPERM, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], rules)


def test_calls_are_allowed_and_refused(program: bytes) -> None:
    assert run(program, 0) == ALLOW  # read
    assert run(program, 1) == ERRNO | EPERM  # write
    assert run(program, 3, arch=0x40000003) == ALLOW  # read of i386


def test_arguments_decide(program: bytes) -> None:
    assert run(program, 41, 2) == ALLOW  # socket(AF_INET)
    assert run(program, 41, 38) == ERRNO | EPERM  # socket(AF_ALG)
    assert run(program, 41, 1 << 32 | 2) == ERRNO | EPERM  # the upper half counts too
    assert run(program, 135, 8) == ALLOW
    assert run(program, 135, 9) == ERRNO | EPERM


def test_calls_newer_than_the_library(program: bytes) -> None:
    assert run(program, 462) == ALLOW  # mseal
    assert run(program, 461) == ERRNO | EPERM  # lsm_list_modules: known, not allowed
    assert run(program, seccomp.LAST_SYSCALL + 1) == ERRNO | ENOSYS
    assert run(program, 0x40000000 | 1) not in {ALLOW, ERRNO | ENOSYS}  # x32 was not asked for


def test_profile_that_allows_by_default_is_left_as_it_is() -> None:
    program = seccomp.compile_filter(ALLOW, (), (Rule(names=("mkdir",), action=ERRNO | 13),))
    assert run(program, 83) == ERRNO | 13
    assert run(program, 9999) == ALLOW


def test_refused_rule_names_the_call() -> None:
    rule = Rule(names=("read",), action=ALLOW, conditions=(Condition(9, 4, 1),))
    with pytest.raises(OSError, match="read"):
        seccomp.compile_filter(ERRNO | EPERM, (), (rule,))

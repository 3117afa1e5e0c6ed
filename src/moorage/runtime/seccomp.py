"""Filters for the OCI runtime: compiled once to BPF, kept on disk, handed over ready.

crun compiles a profile of JSON in 10 ms at every start; given the program it takes none.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Final

import msgspec

from moorage.kernel import seccomp
from moorage.lib import atomicfile
from moorage.lib.errors import InvalidParameter
from moorage.spec.oci.runtime import LinuxSeccomp

ANNOTATION: Final = "run.oci.seccomp_bpf_data"  # crun's: base64 of the program
_FORMAT: Final = b"1"  # of the compilation; another gives other cache names
_DEFAULT_ERRNO: Final = 1  # EPERM
_READY_MAX: Final = 32  # programs kept in memory, some 20 KiB each
_KEPT_MAX: Final = 256  # files
_INSTRUCTION_SIZE: Final = 8  # bytes of a sock_filter


class FilterCache:
    """Compiled filters.

    ``directory/<sha256 of the filter's JSON>.bpf``, each whole (rename); any may be deleted. A
    client may send as many profiles as it likes, so both are bounded.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ready: dict[str, str] = {}

    def is_ready(self, profile: LinuxSeccomp) -> bool:
        """Whether ``annotation`` would not have to compile (which takes 40 ms)."""
        return self._name(profile) in self._ready

    def _name(self, profile: LinuxSeccomp) -> str:
        return hashlib.sha256(_FORMAT + msgspec.json.encode(profile)).hexdigest()

    def annotation(self, profile: LinuxSeccomp) -> str | None:
        """Return the value of ``ANNOTATION``; None where only the runtime can do it (NOTIFY).

        Raises: InvalidParameter (unknown action or operator, or libseccomp refuses).
        """
        if profile.listener_path or profile.flags:
            return None
        name = self._name(profile)
        ready = self._ready.get(name)
        if ready is None:
            ready = base64.b64encode(self._program(name, profile)).decode()
            while len(self._ready) >= _READY_MAX:
                del self._ready[next(iter(self._ready))]
            self._ready[name] = ready
        return ready

    def _program(self, name: str, profile: LinuxSeccomp) -> bytes:
        path = self._directory / f"{name}.bpf"
        try:
            program = path.read_bytes()
        except FileNotFoundError:
            program = b""
        if program and len(program) % _INSTRUCTION_SIZE == 0:
            return program
        program = compile_profile(profile)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room()
        atomicfile.write(
            path, program
        )  # a filter that a power cut has emptied would filter nothing
        return program

    def _make_room(self) -> None:
        kept = sorted(self._directory.glob("*.bpf"), key=lambda path: path.stat().st_mtime_ns)
        for oldest in kept[: max(0, len(kept) - _KEPT_MAX + 1)]:
            oldest.unlink(missing_ok=True)


def compile_profile(profile: LinuxSeccomp) -> bytes:
    """Compile.

    Raises: InvalidParameter.
    """
    default = _action(profile.default_action, profile.default_errno_ret)
    rules = [
        seccomp.Rule(
            names=tuple(syscall.names),
            action=_action(syscall.action, syscall.errno_ret),
            conditions=tuple(
                seccomp.Condition(arg.index, _operator(arg.op), arg.value, arg.value_two)
                for arg in syscall.args or ()
            ),
        )
        for syscall in profile.syscalls or ()
    ]
    try:
        return seccomp.compile_filter(default, profile.architectures or (), rules)
    except OSError as error:
        raise InvalidParameter(f"invalid seccomp profile: {error}") from error


def _action(name: str, errno: int | None) -> int:
    try:
        action = seccomp.ACTIONS[name]
    except KeyError:
        raise InvalidParameter(f"invalid seccomp profile: unknown action {name}") from None
    if action in {seccomp.ERRNO, seccomp.TRACE}:
        action |= (_DEFAULT_ERRNO if errno is None else errno) & 0xFFFF
    return action


def _operator(name: str) -> int:
    try:
        return seccomp.OPERATORS[name]
    except KeyError:
        raise InvalidParameter(f"invalid seccomp profile: unknown operator {name}") from None

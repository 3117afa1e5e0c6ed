"""The default seccomp profile on the real kernel: calls that a container must not get through."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import containers as c
from support import elf, images
from support.daemon import Daemon
from support.elf import Call

pytestmark = [
    pytest.mark.requires("root", "overlayfs"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="machine code of x86-64"),
]
BOTH = pytest.mark.parametrize("runtime", ["crun", "runc"])

AF_INET, AF_ALG, AF_VSOCK = 2, 38, 40
SOCK_STREAM, SOCK_SEQPACKET = 1, 5
CLONE_NEWUSER = 0x10000000
SYS_SOCKET = 1  # of socketcall(2)

REFUSED: dict[str, Call] = {
    "socket(AF_ALG)": (41, AF_ALG, SOCK_SEQPACKET, 0),
    "socket(AF_VSOCK)": (41, AF_VSOCK, SOCK_STREAM, 0),
    "keyctl": (250, 0, 0xFFFFFFFD, 0),
    "add_key": (248, 0, 0, 0, 0, 0),
    "request_key": (249, 0, 0, 0, 0),
    "bpf": (321, 0, 0, 0),
    "userfaultfd": (323, 1),
    "io_uring_setup": (425, 0, 0),
    "io_uring_enter": (426, 0xFFFFFFFF, 0, 0, 0, 0, 0),
    "io_uring_register": (427, 0xFFFFFFFF, 0, 0, 0),
    "clone(CLONE_NEWUSER)": (56, CLONE_NEWUSER, 0, 0, 0, 0),
    "unshare(CLONE_NEWUSER)": (272, CLONE_NEWUSER),
    "setns": (308, 0xFFFFFFFF, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "open_tree": (428, 0xFFFFFFFF, 0, 0),
    "move_mount": (429, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0, 0),
    "fsopen": (430, 0, 0),
    "pivot_root": (155, 0, 0),
    "perf_event_open": (298, 0, 0, 0, 0, 0),
    "open_by_handle_at": (304, 0xFFFFFFFF, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "init_module": (175, 0, 0, 0),
    "syslog": (103, 10, 0, 0),
    "personality(ADDR_NO_RANDOMIZE)": (135, 0x40000),
    "quotactl": (179, 0, 0, 0, 0),
}
REFUSED_NARROW: dict[str, Call] = {
    "socket(AF_ALG)": (359, AF_ALG, SOCK_SEQPACKET, 0),
    "socket(AF_VSOCK)": (359, AF_VSOCK, SOCK_STREAM, 0),
    "keyctl": (288, 0, 0xFFFFFFFD, 0),
    "bpf": (357, 0, 0, 0),
    "userfaultfd": (374, 1),
    "io_uring_setup": (425, 0, 0),
    "unshare(CLONE_NEWUSER)": (310, CLONE_NEWUSER),
    "mount": (21, 0, 0, 0, 0, 0),
}
UNKNOWN: dict[str, Call] = {"clone3": (435, 0, 0), "open_tree_attr": (467, 0, 0), "none": (999,)}
SOCKET_ARGUMENTS = struct.pack("<III", AF_INET, SOCK_STREAM, 0)
Probe = Callable[..., dict[str, int]]


@pytest.fixture
def probe(daemon: Daemon, tmp_path: Path) -> Iterator[Probe]:
    """Return what makes calls in a container and tells what each has returned."""

    def ask(calls: dict[str, Call], *, narrow: bool = False, **host: Any) -> dict[str, int]:
        program = elf.program(list(calls.values()), narrow=narrow, data=SOCKET_ARGUMENTS)
        extra = (images.Entry("bin/probe", program, mode=0o755),)
        daemon.load(images.busybox("probe:1", extra=extra))
        c.ask(
            daemon.api,
            *("sh", "-c", "/bin/probe > /out/results"),
            Image="probe:1",
            host={"Binds": [f"{tmp_path}:/out"], **host},
        )
        found = elf.results((tmp_path / "results").read_bytes(), narrow=narrow)
        return dict(zip(calls, found, strict=True))

    yield ask
    daemon.api.delete("/images/probe:1", force=True).ok(200, 404)


@BOTH
def test_r15_calls_that_reach_deep_into_the_kernel(probe: Probe, runtime: str) -> None:
    """CVE-2026-31431 and many before it."""
    assert set(probe(REFUSED, Runtime=runtime).values()) == {-errno.EPERM}


@BOTH
def test_r15_the_same_from_a_32_bit_program(probe: Probe, runtime: str) -> None:
    assert set(probe(REFUSED_NARROW, narrow=True, Runtime=runtime).values()) == {-errno.EPERM}


@BOTH
def test_r15_32_bit_programs_still_have_sockets(probe: Probe, runtime: str) -> None:
    """The first mending of CVE-2026-31431 elsewhere took ``socketcall`` away from them."""
    calls: dict[str, Call] = {
        "socket": (359, AF_INET, SOCK_STREAM, 0),
        "socketcall": (102, SYS_SOCKET, elf.BASE + 120),
    }
    assert min(probe(calls, narrow=True, Runtime=runtime).values()) >= 0


def test_r15_what_is_not_known_does_not_exist(probe: Probe) -> None:
    """ENOSYS makes a libc take the older call; EPERM would be taken for the answer."""
    assert set(probe(UNKNOWN).values()) == {-errno.ENOSYS}


@BOTH
@pytest.mark.usefixtures("probe")  # takes the image away
def test_r15_an_exec_is_confined_as_well(daemon: Daemon, runtime: str) -> None:
    program = elf.program(list(REFUSED.values()))
    daemon.load(images.busybox("probe:1", extra=(images.Entry("bin/probe", program, mode=0o755),)))
    running = c.run(daemon.api, "sleep", "100", Image="probe:1", host={"Runtime": runtime})
    code, said = c.exec_(daemon.api, running, "sh", "-c", "/bin/probe | od -A n -t d8 -v")
    assert code == 0
    assert {int(number) for number in said.split()} == {-errno.EPERM}


def test_r15_without_the_profile_they_get_through(probe: Probe) -> None:
    """So that it is the profile that the tests above have seen."""
    alone = {name: call for name, call in REFUSED.items() if name != "clone(CLONE_NEWUSER)"}
    free = probe(alone, SecurityOpt=["seccomp=unconfined"])  # a clone would speak as well
    through = {name for name, result in free.items() if result != -errno.EPERM}
    assert through >= {
        "keyctl",
        "socket(AF_ALG)",
        "socket(AF_VSOCK)",
        "personality(ADDR_NO_RANDOMIZE)",
    }
    assert probe({"clone3": (435, 0, 0)}, SecurityOpt=["seccomp=unconfined"])["clone3"] != -38

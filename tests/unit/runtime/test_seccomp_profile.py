"""Docker's profile format, and its default profile as facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moorage.lib.errors import InvalidParameter
from moorage.runtime import defaults, seccomp, seccomp_default, seccomp_profile
from moorage.spec.oci.runtime import LinuxSeccomp

X86 = {"machine": "x86_64", "kernel": "6.1.0"}


def allowed(filter_: LinuxSeccomp) -> set[str]:
    """Return the calls allowed whatever their arguments."""
    return {
        name
        for rule in filter_.syscalls or ()
        if rule.action == "SCMP_ACT_ALLOW" and not rule.args
        for name in rule.names
    }


def resolve(*extra: str, machine: str = "x86_64", kernel: str = "6.1.0") -> LinuxSeccomp:
    capabilities = (*defaults.CAPABILITIES, *extra)
    return seccomp_profile.resolve(
        seccomp_default.PROFILE, capabilities, machine=machine, kernel=kernel
    )


def test_dangerous_calls_are_refused_by_default() -> None:
    dangerous = (
        "keyctl add_key request_key bpf userfaultfd io_uring_setup io_uring_enter perf_event_open"
        " mount umount2 pivot_root unshare setns kexec_load init_module swapon reboot ptrace_x"
        " open_by_handle_at clone3 fsopen move_mount settimeofday iopl quotactl nfsservctl"
    )
    assert allowed(resolve()).isdisjoint(dangerous.split())
    assert resolve().default_action == "SCMP_ACT_ERRNO"


def test_usual_calls_are_allowed() -> None:
    usual = (
        "read openat2 clone execveat futex_wait mseal chroot ptrace arch_prctl landlock_add_rule"
    )
    assert set(usual.split()) - {"clone"} <= allowed(resolve())


def test_capabilities_open_more() -> None:
    assert {"mount", "unshare", "clone", "clone3", "bpf"} <= allowed(resolve("CAP_SYS_ADMIN"))
    assert "bpf" in allowed(resolve("CAP_BPF"))
    assert "mount" not in allowed(resolve("CAP_BPF"))
    assert "chroot" not in allowed(seccomp_profile.resolve(seccomp_default.PROFILE, (), **X86))


def test_socket_families_without_alg_and_vsock() -> None:
    rules = [rule for rule in resolve().syscalls or () if rule.names == ["socket"]]
    families = {arg.value for rule in rules for arg in rule.args or () if arg.op == "SCMP_CMP_EQ"}
    assert families.isdisjoint({12, 38, 40})
    assert {16, 17, 29, 44} <= families
    assert [a.value for r in rules for a in r.args or () if a.op == "SCMP_CMP_LT"] == [12]


def test_new_namespaces_by_clone_are_refused() -> None:
    (rule,) = [rule for rule in resolve().syscalls or () if rule.names == ["clone"]]
    assert rule.args is not None
    assert (rule.args[0].op, rule.args[0].value) == ("SCMP_CMP_MASKED_EQ", 0x7E020000)
    (rule,) = [rule for rule in resolve().syscalls or () if rule.names == ["clone3"]]
    assert (rule.action, rule.errno_ret) == ("SCMP_ACT_ERRNO", 38)


def test_machine_and_kernel_decide() -> None:
    assert "ptrace" not in allowed(resolve(kernel="4.4.0"))
    assert "set_tls" in allowed(resolve(machine="aarch64"))
    assert "modify_ldt" not in allowed(resolve(machine="aarch64"))
    assert resolve().architectures == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    assert resolve(machine="riscv64").architectures == ["SCMP_ARCH_RISCV64"]


def test_default_profile_compiles() -> None:
    assert len(seccomp.compile_profile(resolve())) % 8 == 0


def test_own_profile_in_dockers_format() -> None:
    text = json.dumps(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                {"name": "mkdir", "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": None},
                {
                    "names": ["chmod"],
                    "action": "SCMP_ACT_ERRNO",
                    "args": [],
                    "comment": "x",
                    "includes": {"caps": ["CAP_SYS_ADMIN"], "minKernel": "5.0"},
                    "excludes": {},
                },
            ],
        }
    )
    filter_ = seccomp_profile.resolve(seccomp_profile.parse(text), (), **X86)
    assert filter_.architectures == ["SCMP_ARCH_X86_64"]
    assert [(r.names, r.errno_ret) for r in filter_.syscalls or ()] == [(["mkdir"], 5)]
    seccomp.compile_profile(filter_)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Decoding seccomp profile failed"),
        ("[]", "Decoding seccomp profile failed"),
        ('{"syscalls": []}', "defaultAction"),
        (
            '{"defaultAction":"x","architectures":["a"],"archMap":[{"architecture":"b"}]}',
            "use either 'architectures' or 'archMap'",
        ),
        (
            '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"x"}]}',
            "use either 'name' or 'names'",
        ),
    ],
)
def test_bad_profiles_say_why(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        seccomp_profile.parse(text)


def test_unknown_words_are_refused() -> None:
    for profile in (
        LinuxSeccomp(default_action="SCMP_ACT_DANCE"),
        seccomp_profile.resolve(
            seccomp_profile.parse(
                '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":'
                '"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"SCMP_CMP_LIKE"}]}]}'
            ),
            (),
        ),
    ):
        with pytest.raises(InvalidParameter, match="unknown"):
            seccomp.compile_profile(profile)


def test_compiled_filters_are_kept_on_disk(tmp_path: Path) -> None:
    profile = resolve()
    first = seccomp.FilterCache(tmp_path / "seccomp")
    assert not first.is_ready(profile)
    compiled = first.annotation(profile)
    assert first.is_ready(profile)
    (kept,) = (tmp_path / "seccomp").iterdir()
    second = seccomp.FilterCache(tmp_path / "seccomp")
    assert second.annotation(profile) == compiled
    assert kept.read_bytes() == seccomp.compile_profile(profile)


@pytest.mark.parametrize("left", [b"", b"cut off in the middle"])
def test_a_filter_that_a_power_cut_has_spoiled_is_made_again(tmp_path: Path, left: bytes) -> None:
    profile = resolve()
    compiled = seccomp.FilterCache(tmp_path).annotation(profile)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(left)
    assert seccomp.FilterCache(tmp_path).annotation(profile) == compiled
    assert kept.read_bytes() == seccomp.compile_profile(profile)


def test_any_number_of_profiles_takes_bounded_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "_READY_MAX", 2)
    monkeypatch.setattr(seccomp, "_KEPT_MAX", 3)
    cache = seccomp.FilterCache(tmp_path)
    profiles = [
        LinuxSeccomp(default_action="SCMP_ACT_ERRNO", default_errno_ret=number, syscalls=[])
        for number in range(1, 6)
    ]
    for profile in profiles:
        assert cache.annotation(profile)
    assert [cache.is_ready(profile) for profile in profiles] == [False] * 3 + [True] * 2
    assert len(list(tmp_path.iterdir())) == 3


def test_filter_with_a_listener_is_the_runtimes_matter(tmp_path: Path) -> None:
    profile = LinuxSeccomp(default_action="SCMP_ACT_ALLOW", listener_path="/run/agent")
    assert seccomp.FilterCache(tmp_path).annotation(profile) is None

"""AppArmor: the default profile, and which one a container gets. The kernel here may have none."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.lib.errors import System
from moorage.runtime import apparmor_profile
from moorage.runtime.apparmor import AppArmor
from moorage.runtime.apparmor_profile import NAME, others

TEXT = apparmor_profile.profile(NAME)
FILE_NAME = st.text(alphabet="abcgkmorsy019*_-", min_size=1, max_size=8).filter(
    lambda name: "*" not in name
)


def expression(glob: str) -> re.Pattern[str]:
    """Return what a glob of AppArmor matches (apparmor.d(5), Globbing)."""
    tokens = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")", ",": "|"}
    parts = re.findall(r"\*\*|\[[^\]]*\]|.", glob)
    return re.compile("".join(tokens.get(p, p if p[0] == "[" else re.escape(p)) for p in parts))


def denied(path: str, access: str) -> bool:
    """Tell whether a rule of the profile denies that access to a file."""
    rules = re.findall(r"^  deny (/\S+) ([rwklx]+),$", TEXT, re.MULTILINE)
    return any(access in what and expression(glob).fullmatch(path) for glob, what in rules)


@given(st.sets(FILE_NAME, min_size=1, max_size=4), FILE_NAME)
def test_globs_match_all_names_but_those(names: set[str], name: str) -> None:
    globs = others(names)
    assert any(expression(g).fullmatch(name) for g in globs) is (name not in names)
    assert not any(expression(g).fullmatch(f"{name}/x") for g in globs)


@given(FILE_NAME)
def test_globs_spare_what_begins_so(name: str) -> None:
    matched = any(expression(g).fullmatch(name) for g in others(["sy*"], spared="0-9"))
    assert matched is not (name.startswith("sy") or name[0].isdecimal())


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sysrq-trigger",
        "/proc/kcore",
        "/proc/mtrr",
        "/proc/s",
        "/proc/sy",
        "/proc/irq/1/smp_affinity",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/sh",
        "/proc/sys/net/ipv4/ip_forward",
        "/sys/kernel/uevent_helper",
        "/sys/kernel/security/apparmor/.load",
        "/sys/firmware/efi/efivars/x",
        "/sys/fs/bpf/x",
        "/sys/f/x",
        "/sys/devices/virtual/powercap/x",
        "/sys/class/net/eth0/mtu",
    ],
)
def test_what_cannot_be_written(path: str) -> None:
    assert denied(path, "w")


@pytest.mark.parametrize(
    "path",
    [
        "/proc/1/oom_score_adj",
        "/proc/4711/attr/exec",
        "/proc/12/task/13/comm",
        "/proc/sys/kernel/shmmax",
        "/sys/fs/cgroup/memory/x",
        "/etc/passwd",
        "/procs",
        "/system/x",
    ],
)
def test_what_can_be_written(path: str) -> None:
    assert not denied(path, "w")


def test_what_cannot_even_be_read() -> None:
    assert denied("/proc/kcore", "r")
    assert denied("/sys/firmware/acpi/tables/DSDT", "r")
    assert denied("/sys/devices/virtual/powercap/intel-rapl/energy_uj", "r")
    assert not denied("/proc/meminfo", "r")
    assert not denied("/sys/class/net", "r")


def test_who_may_send_signals_and_look() -> None:
    text = apparmor_profile.profile("name", daemon="moord")
    assert text.startswith("profile name flags=(attach_disconnected,mediate_deleted) {\n")
    senders = re.findall(r"signal \((\S+)\) peer=(\S+),", text)
    assert senders == [
        *(("receive", peer) for peer in ("unconfined", "runc", "crun", "moord")),
        ("send,receive", "name"),
    ]
    assert "ptrace (readby,tracedby) peer=moord," in text
    assert "ptrace (read,readby,trace,tracedby) peer=name," in text
    assert {"  deny mount,", "  deny network alg,", "  deny network vsock,"} <= set(
        text.splitlines()
    )


@pytest.mark.requires("apparmor_parser")
@pytest.mark.parametrize("daemon", ["unconfined", "moord"])
def test_the_real_parser_compiles_it(daemon: str, tmp_path: Path) -> None:
    def compiled(text: str) -> subprocess.CompletedProcess[bytes]:
        command = ["apparmor_parser", "-Q", "-K", "-o", str(tmp_path / "out")]
        return subprocess.run(command, input=text.encode(), capture_output=True, check=False)

    text = apparmor_profile.profile(NAME, daemon=daemon)
    done = compiled(text)
    assert done.returncode == 0, done.stderr
    assert NAME.encode() in (tmp_path / "out").read_bytes()
    assert compiled(text.replace("deny mount", "deny no-such-rule")).returncode != 0


# --- which profile a container gets ------------------------------------------------------------

PARSER = """#!/bin/sh
cat > {root}/loaded
[ -z "$(cat {root}/fault 2>/dev/null)" ] || {{ cat {root}/fault >&2; exit 1; }}
echo "moorage-default (enforce)" >> {root}/kernel/security/apparmor/profiles
"""


@pytest.fixture
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with AppArmor, and a parser that notes what it is given."""
    monkeypatch.delenv("container", raising=False)
    (tmp_path / "module/apparmor/parameters").mkdir(parents=True)
    (tmp_path / "module/apparmor/parameters/enabled").write_text("Y\n")
    (tmp_path / "kernel/security/apparmor").mkdir(parents=True)
    profiles = tmp_path / "kernel/security/apparmor/profiles"
    profiles.write_text("/usr/bin/man (enforce)\nmine with spaces (complain)\n")
    (tmp_path / "attr").mkdir()
    (tmp_path / "attr/current").write_text("moord (enforce)\n")
    (tmp_path / "parser").write_text(PARSER.format(root=tmp_path))
    (tmp_path / "parser").chmod(0o755)
    return tmp_path


async def opened(sysfs: Path, parser: str = "parser") -> AppArmor:
    made = AppArmor(sysfs=sysfs, attributes=sysfs / "attr", parser=str(sysfs / parser))
    await made.open()
    return made


async def test_the_default_is_loaded_at_the_start_and_again_when_it_has_gone(sysfs: Path) -> None:
    apparmor = await opened(sysfs)
    assert (apparmor.enabled, apparmor.warnings) == (True, [])
    assert (sysfs / "loaded").read_text() == apparmor_profile.profile(NAME, daemon="moord")
    (sysfs / "loaded").unlink()
    assert await apparmor.profile(None, privileged=False) == NAME
    assert not (sysfs / "loaded").exists()
    (sysfs / "kernel/security/apparmor/profiles").write_text("")
    assert await apparmor.profile(None, privileged=False) == NAME
    assert (sysfs / "loaded").exists()


async def test_the_users_choice_goes_before_all_else(sysfs: Path) -> None:
    apparmor = await opened(sysfs)
    assert await apparmor.profile(None, privileged=True) == "unconfined"
    assert await apparmor.profile("unconfined", privileged=False) == "unconfined"
    assert await apparmor.profile("mine with spaces", privileged=True) == "mine with spaces"
    with pytest.raises(System, match=r"apparmor failed to apply profile: no such file.*other"):
        await apparmor.profile("other", privileged=False)


async def test_a_profile_that_cannot_be_loaded_stops_who_needs_it(sysfs: Path) -> None:
    (sysfs / "fault").write_text("syntax error")
    apparmor = await opened(sysfs)
    said = f"AppArmor enabled on system but the {NAME} profile could not be loaded: syntax error"
    assert apparmor.warnings == [f"WARNING: {said}"]
    with pytest.raises(System, match=said):
        await apparmor.profile(None, privileged=False)
    assert await apparmor.profile(None, privileged=True) == "unconfined"
    (sysfs / "fault").unlink()
    assert await apparmor.profile(None, privileged=False) == NAME


async def test_without_the_parser_containers_have_no_profile_and_info_says_so(sysfs: Path) -> None:
    apparmor = await opened(sysfs, "none")
    assert "install the package apparmor" in apparmor.warnings[0]
    assert await apparmor.profile(None, privileged=False) == ""
    assert await apparmor.profile("/usr/bin/man", privileged=False) == "/usr/bin/man"


async def test_without_apparmor_nothing_is_done(
    sysfs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sysfs / "module/apparmor/parameters/enabled").write_text("N\n")
    apparmor = await opened(sysfs)
    assert (apparmor.enabled, apparmor.warnings) == (False, [])
    assert await apparmor.profile("other", privileged=False) == ""
    (sysfs / "module/apparmor/parameters/enabled").write_text("Y\n")
    monkeypatch.setenv("container", "docker")
    assert not (await opened(sysfs)).enabled
    assert not (sysfs / "loaded").exists()

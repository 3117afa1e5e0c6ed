"""Images and requests that try to lead the OCI runtime, or the daemon, out of the container.

Where a guard is missing the damage is done to a directory of the test, never to the host's own.
"""

from __future__ import annotations

import hashlib
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import containers as c
from support import images
from support.api import Api, Response
from support.daemon import Daemon
from support.images import Entry, symlink
from support.swapping import swapping

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def hostile(daemon: Daemon) -> Iterator[Callable[..., str]]:
    """Return a maker of images on busybox with more layers; they go with the test."""
    made: list[str] = []

    def make(*layers: list[Entry], **config: object) -> str:
        tag = f"hostile:{len(made)}"
        made.append(tag)
        stack = [images.busybox_layer(), *(images.layer(entries) for entries in layers)]
        settings = {"Env": ["PATH=/bin"], "Cmd": ["sh"], **config}
        daemon.load(images.docker_archive(stack, tags=[tag], config=settings))
        return tag

    yield make
    for container in daemon.api.get("/containers/json", all=True).json():
        daemon.api.delete(f"/containers/{container['Id']}", force=True, v=True)
    for tag in made:
        daemon.api.delete(f"/images/{tag}", force=True).ok()


def start(api: Api, image: str, *command: str, **config: Any) -> Response:
    """Create and start; return the answer that went wrong, or that of the start."""
    host = {"NetworkMode": "none", **config.pop("host", {})}
    body = {"Image": image, "Cmd": list(command) or ["true"], "HostConfig": host, **config}
    made = api.post("/containers/create", body, name="attack")
    return api.post("/containers/attack/start") if made.status == 201 else made


def told(api: Api, image: str, *command: str, **config: Any) -> str:
    """Run to the end; return what it wrote."""
    start(api, image, *command, **config).ok(204)
    c.wait(api, "attack")
    said = c.output(api, "attack")
    api.delete("/containers/attack", force=True, v=True).ok()
    return said


class BurdenedDaemon(Daemon):
    """A daemon whose parent was careless: it has left the host's root open as descriptor 77."""

    @property
    def command(self) -> list[str]:
        code = (
            "import os, sys; os.dup2(os.open('/', os.O_RDONLY), 77);"
            "os.execv(sys.argv[1], sys.argv[1:])"
        )
        return [sys.executable, "-c", code, *super().command]


def test_r1_what_the_daemons_parent_left_open_goes_no_further(kit_root: Path) -> None:
    """CVE-2024-21626's kind: neither to a monitor and what it starts, nor into containers."""
    daemon = BurdenedDaemon(kit_root / "heir").start()
    try:
        daemon.load(images.busybox())
        assert Path(f"/proc/{daemon.pid}/fd/77").readlink() == Path("/")
        container_id = c.sleeper(daemon.api)
        pid = c.inspect(daemon.api, container_id)["State"]["Pid"]
        assert _descriptors(pid) == {"0", "1", "2"}
        _, said = c.exec_(daemon.api, container_id, "ls", "/proc/self/fd")
        assert said.split() == ["0", "1", "2", "3"]  # and the directory that ls reads
        monitor = _parent(pid)
        assert "77" not in _descriptors(monitor)
        children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
        assert [child for child in children if "77" in _descriptors(int(child))] == []
    finally:
        daemon.destroy()


def _descriptors(pid: int) -> set[str]:
    return {link.name for link in Path(f"/proc/{pid}/fd").iterdir()}


def _parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid"))


@pytest.mark.parametrize("runtime", ["crun", "runc"])
@pytest.mark.parametrize("link", ["", "link"])
def test_r1_no_working_directory_is_the_hosts(
    api: Api, hostile: Callable[..., str], tmp_path: Path, runtime: str, link: str
) -> None:
    """CVE-2024-21626: neither as it is given, nor through a link of the image, nor by exec -w."""
    canary = tmp_path / "canary"
    canary.write_text("of the host")
    image = hostile([symlink(f"fd{n}", f"/proc/self/fd/{n}") for n in range(3, 24)])
    look = f"cat ../../../../../../../..{canary} 2>/dev/null; ls -A . | head -n 200"
    start(api, image, "sleep", "1000", host={"Runtime": runtime}).ok(204)
    said = ""
    for number in range(3, 24):
        place = f"/fd{number}" if link else f"/proc/self/fd/{number}"
        _, seen = c.exec_(api, "attack", "sh", "-c", look, WorkingDir=place)
        host = {"NetworkMode": "none", "Runtime": runtime}
        command = ["sh", "-c", look]
        body = {"Image": image, "Cmd": command, "WorkingDir": place, "HostConfig": host}
        made = api.post("/containers/create", body, name=f"w{number}").ok(201).json()["Id"]
        if api.post(f"/containers/{made}/start").status == 204:
            c.wait(api, made)
            seen += c.output(api, made)
        said += seen
    assert "of the host" not in said
    assert "monitor.sock" not in said


def test_r16_kernel_paths_are_hidden_from_every_container_that_is_not_privileged(api: Api) -> None:
    """GHSA-6fw5-f8r9-fgfm: also where a request brings settings of its own, and after a restart."""
    script = """
        for f in acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list; do
            [ ! -e /proc/$f ] || grep -q " /proc/$f " /proc/mounts || echo shown $f
        done
        cpus=/sys/devices/system/cpu
        for f in /sys/firmware /sys/devices/virtual/powercap $cpus/*/thermal_throttle; do
            [ ! -e $f ] || [ -z "$(ls -A $f)" ] || echo shown $f
        done
        for f in bus fs irq sys sysrq-trigger; do
            [ ! -e /proc/$f ] || grep -q " /proc/$f proc ro," /proc/mounts || echo writable $f
        done
    """
    for host in ({}, {"CapAdd": ["ALL"]}, {"SecurityOpt": ["seccomp=unconfined"]}, {"Init": True}):
        assert c.ask(api, "sh", "-c", script, host=host) == "", host
    assert c.ask(api, "sh", "-c", script, host={"Privileged": True}) != ""


@pytest.mark.parametrize("runtime", ["crun", "runc"])
@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_r6_an_image_whose_dev_is_a_link_makes_nothing_on_the_host(
    api: Api, hostile: Callable[..., str], tmp_path: Path, name: str, runtime: str
) -> None:
    """CVE-2026-41579, CVE-2026-47766: crun makes the device nodes where the link leads."""
    for target in (str(tmp_path), f"../../../../../../..{tmp_path}"):
        image = hostile([Entry(f".wh.{name}")], [symlink(name, target)])
        failed = start(api, image, host={"Runtime": runtime})
        assert failed.status == 400
        assert f"/{name} is a symbolic link" in failed.message
        assert list(tmp_path.iterdir()) == []
        api.delete("/containers/attack", force=True).ok()


def test_r3_r4_links_of_an_image_at_the_places_of_devices(
    api: Api, hostile: Callable[..., str]
) -> None:
    """CVE-2025-31133, CVE-2025-52565: what is masked stays so, what is bound lands on no link."""
    links = [
        symlink("dev/null", "/proc/sys/kernel/core_pattern"),
        symlink("dev/console", "/proc/sys/kernel/core_pattern"),
        symlink("dev/pts", "/proc/sys"),
        symlink("dev/ptmx", "/etc/passwd"),
    ]
    image = hostile(links)
    script = """
        ls -l /dev/null | cut -c1; ls -l /dev/console | cut -c1
        grep -c core_pattern /proc/mounts
        cat /proc/keys /proc/timer_list | wc -c; head -n 1 /etc/passwd
        (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null || echo refused
    """
    said = told(api, image, "sh", "-c", script, Tty=True).split()
    assert said == ["c", "c", "0", "0", "root:x:0:0:root:/root:/bin/sh", "refused"]


def test_r4_a_volume_at_dev_with_links_in_it(
    api: Api, hostile: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "dev").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    for name in ("console", "null", "zero", "ptmx", "pts", "shm", "mqueue"):
        (tmp_path / "dev" / name).symlink_to(victim)
    start(api, hostile(), "sh", "-c", "echo x", Tty=True, host={"Binds": [f"{tmp_path}/dev:/dev"]})
    assert victim.read_text() == "untouched"
    assert not victim.is_mount()


@pytest.mark.parametrize("place", ["/proc", "/proc/self/attr", "/proc/sys", "/x/sys", "/x"])
def test_r5_nothing_is_mounted_over_proc(
    api: Api, hostile: Callable[..., str], tmp_path: Path, place: str
) -> None:
    """CVE-2019-16884, CVE-2023-28642: a fake /proc takes the labels that were meant for the real.

    Neither by an image's VOLUME, nor by a request, nor through a link of the image.
    """
    link = [symlink("x", "/proc")]
    expected = f'"{place}" cannot be mounted because it is inside /proc'
    failed = start(api, hostile(link, Volumes={place: {}}))
    assert (failed.status, failed.message) == (400, expected)
    api.delete("/containers/attack", force=True, v=True).ok()
    for host in ({"Binds": [f"{tmp_path}:{place}"]}, {"Tmpfs": {place: ""}}):
        failed = start(api, hostile(link), host=host)
        assert (failed.status, failed.message) == (400, expected)
        api.delete("/containers/attack", force=True, v=True).ok()


def test_r5_what_may_be_shown_in_proc(api: Api, tmp_path: Path) -> None:
    (tmp_path / "uptime").write_text("1.00 1.00")
    host = {"Binds": [f"{tmp_path}/uptime:/proc/uptime:ro", "/proc:/host/proc:ro"]}
    said = c.ask(api, "sh", "-c", "cat /proc/uptime; ls /host/proc/1/status", host=host)
    assert said.split() == ["1.00", "1.00/host/proc/1/status"]


def test_r2_the_runtime_cannot_be_written_from_a_container(
    api: Api, hostile: Callable[..., str]
) -> None:
    """CVE-2019-5736: a program of the image that is /proc/self/exe is the runtime for a moment."""
    programs = [Path(p) for p in ("/usr/bin/crun", "/usr/sbin/runc", "/usr/bin/runc")]
    programs = [p for p in programs if p.exists()]
    before = [hashlib.sha256(p.read_bytes()).digest() for p in programs]
    image = hostile([symlink("bin/evil", "/proc/self/exe")])
    writer = """
        echo ready
        while :; do for p in /proc/[0-9]*; do
            [ "$(readlink $p/exe)" = /bin/busybox ] || (echo pwned >> $p/exe) 2>/dev/null
        done; done
    """
    start(api, image, "sh", "-c", writer).ok(204)
    c.until(lambda: "ready" in c.output(api, "attack"))
    for _ in range(5):
        code, _ = c.exec_(api, "attack", "/bin/evil")
        assert code != 0
    assert [hashlib.sha256(p.read_bytes()).digest() for p in programs] == before


def test_r7_a_mount_target_swapped_for_a_link_meanwhile(api: Api, tmp_path: Path) -> None:
    """CVE-2021-30465, CVE-2024-45310: the target lies in a volume that somebody else changes."""
    shared, canary, inner = tmp_path / "shared", tmp_path / "canary", tmp_path / "inner"
    for directory in (shared, canary, inner):
        directory.mkdir()
    (canary / "secret").write_text("of the host")
    binds = [f"{shared}:/v", f"{inner}:/v/d/made"]
    with swapping(shared, str(canary)):
        for _ in range(15):
            if start(api, "busybox", "ls", "/v/d", host={"Binds": binds}).status == 204:
                c.wait(api, "attack")
                assert "secret" not in c.output(api, "attack")
            api.delete("/containers/attack", force=True).ok()
    assert [entry.name for entry in canary.iterdir()] == ["secret"]


@pytest.mark.parametrize("name", ["passwd", "group"])
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (Entry("", kind=tarfile.FIFOTYPE), "not a regular file"),
        (Entry("", b"x:0:0::/:/bin/sh\n" * 1_000_000), "larger than"),
        (symlink("", "/dev/zero"), "no matching entries"),
        (symlink("", "../../../../../../../../etc/SAME"), "no matching entries"),
        (symlink("", "/etc"), "not a regular file"),
    ],
)
def test_r12_user_files_that_are_none(
    api: Api, hostile: Callable[..., str], name: str, entry: Entry, words: str
) -> None:
    """CVE-2024-9676: neither read outside of the root, nor waited for, nor taken in without end."""
    link = entry.link.replace("SAME", name)
    planted = Entry(f"etc/{name}", entry.data, entry.kind, link)
    failed = start(api, hostile([planted]), User="daemon:daemon")
    assert failed.status == 400
    assert words in failed.message


def test_r13_top_runs_nothing_of_the_container(
    api: Api, hostile: Callable[..., str], tmp_path: Path
) -> None:
    """CVE-2022-1227: ``ps`` is the host's own, whatever the container's environment says."""
    fake = Entry("bin/ps", b"#!/bin/sh\ntouch /canary/pwned\n", mode=0o755)
    host = {"Binds": [f"{tmp_path}:/canary"]}
    env = ["PATH=/bin", "LD_PRELOAD=/bin/ps"]
    start(api, hostile([fake]), "sleep", "100", host=host, Env=env).ok(204)
    for arguments in ("", "-ef", "aux", "-o pid,cmd"):
        shown = api.get("/containers/attack/top", ps_args=arguments).ok().json()
        assert len(shown["Processes"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_r14_the_environment_of_a_container_reaches_no_program_of_the_host(api: Api) -> None:
    """CVE-2024-0132, CVE-2025-23267: what runs on the host does not load what an image names."""
    marks = ["LD_PRELOAD=/evil-r14.so", "PYTHONPATH=/evil-r14", "GCONV_PATH=/evil-r14"]
    container_id = c.sleeper(api, Env=["PATH=/bin", *marks])
    c.exec_(api, container_id, "true")
    inside = c.inspect(api, container_id)["State"]["Pid"]
    own = Path(f"/proc/{inside}/ns/pid").readlink()
    outside = [
        p.name
        for p in Path("/proc").iterdir()
        if p.name.isdecimal() and _environ(p).find(b"evil-r14") >= 0 and _namespace(p) != own
    ]
    assert outside == []
    assert b"evil-r14" in _environ(Path(f"/proc/{inside}"))


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def _namespace(process: Path) -> Path | None:
    try:
        return (process / "ns" / "pid").readlink()
    except OSError:
        return None


def test_r18_an_exec_that_joins_shows_nothing_of_the_host(api: Api) -> None:
    """CVE-2016-9962: a process of the container looks at one that is joining."""
    spy = """
        echo ready
        while :; do for p in /proc/[0-9]*; do
            for f in $p/fd/* $p/cwd $p/root; do
                case "$(readlink $f)" in *.json|*/d/*|*/e/*|*crun*) echo "SEEN $f";; esac
            done
        done; done 2>/dev/null
    """
    c.run(api, "sh", "-c", spy, name="spy")
    c.until(lambda: "ready" in c.output(api, "spy"))
    for _ in range(8):
        c.exec_(api, "spy", "true")
    assert "SEEN" not in c.output(api, "spy")


@pytest.mark.parametrize(
    ("host", "config"),
    [
        ({"Memory": -5}, {}),
        ({"Memory": 1 << 63}, {}),
        ({"NanoCpus": -1}, {}),
        ({"CgroupParent": "../../../x"}, {}),
        ({"CgroupParent": "/a/../../x"}, {}),
        ({"CgroupParent": "/a\nb"}, {}),
        ({"Sysctls": {"net.ipv4/../../kernel/core_pattern": "x"}}, {}),
        ({"Binds": ["/tmp:/" + "a" * 70_000]}, {}),
        ({"Binds": ["/tmp:/" + "a/" * 40_000]}, {}),
        ({"Mounts": [{"Type": "tmpfs", "Target": "/" + "a/" * 40_000}]}, {}),
        ({"Mounts": [{"Type": "tmpfs", "Target": "/a\0b"}]}, {}),
        ({"Runtime": "../../bin/sh"}, {}),
        ({"Tmpfs": {"/t": "size=1,lowerdir=/"}}, {}),
        ({}, {"WorkingDir": "/" + "a/" * 40_000}),
        ({}, {"Hostname": "a\nb"}),
        ({}, {"Hostname": "a" * 65}),
        ({}, {"Env": ["A\0B=1"]}),
    ],
)
def test_r19_numbers_and_paths_that_cannot_be(
    api: Api, host: dict[str, Any], config: dict[str, Any]
) -> None:
    """CVE-2021-43784: nothing that would be cut or wrapped on its way gets as far."""
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": host, **config}
    refused = api.post("/containers/create", body)
    assert refused.status == 400, refused.message
    assert api.get("/containers/json", all=True).json() == []


def test_r19_a_command_longer_than_the_kernel_takes_is_an_error_that_says_so(api: Api) -> None:
    failed = start(api, "busybox", *["x" * 1000] * 3000)
    assert failed.status in {204, 400, 500}
    assert failed.status == 204 or "monitor is gone" not in failed.message
    c.until(lambda: c.state(api, "attack")["Running"] is False)


def test_a_tree_deeper_than_any_path_can_be_listed_and_removed(api: Api) -> None:
    """A container nests directories by the thousand; neither ``ps -s`` nor ``rm`` may fail."""
    nest = "for i in 1 2 3 4 5 6; do mkdir -p $p && cd -P $p || exit 3; done"
    script = f"""
        p=$(printf 'd/%.0s' $(seq 500)); mkdir /data/x /deep
        cd /deep; {nest}; cd /data/x; {nest}
    """
    container_id = c.run(api, "sh", "-c", script, Volumes={"/data": {}})
    assert c.wait(api, container_id) == 0, c.output(api, container_id)
    assert len(api.get("/containers/json", all=True, size=True).ok().json()) == 1
    api.get("/system/df").ok()
    compared = api.get(f"/containers/{container_id}/changes")
    assert max(change["Path"].count("/") for change in compared.ok().json()) > 3000
    api.delete(f"/containers/{container_id}", v=True).ok(204)

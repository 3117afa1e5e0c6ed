"""``userns-remap``: root of a container is nobody on the host; its files look right."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.kernel import mount as k
from support import images
from support.cli import Cli
from support.daemon import Daemon, temporary

pytestmark = pytest.mark.requires("root", "overlayfs")

BASE = 3_000_000
USER = "daemon"  # every Debian has it, with a group of that name
STAT = "stat -c %u:%g"


@pytest.fixture(scope="module")
def subordinate_ids() -> Iterator[None]:
    """Give the user ranges for as long as these tests run."""
    before = {path: path.read_bytes() if path.exists() else b"" for path in _files()}
    for path, content in before.items():
        kept = [line for line in content.splitlines() if not line.startswith(f"{USER}:".encode())]
        ranges = [f"{USER}:{BASE}:1000".encode(), f"{USER}:{BASE + 500_000}:64536".encode()]
        path.write_bytes(b"\n".join([*kept, *ranges, b""]))
    yield
    for path, content in before.items():
        path.write_bytes(content)


def _files() -> list[Path]:
    return [Path("/etc/subuid"), Path("/etc/subgid")]


@pytest.fixture(scope="module")
def remapping(kit_root: Path, subordinate_ids: None) -> Iterator[Daemon]:  # noqa: ARG001
    kit_root.chmod(0o711)
    with temporary(kit_root, flags=["--userns-remap", USER]) as daemon:
        daemon.root.chmod(0o711)
        daemon.start()
        daemon.load(images.busybox())
        yield daemon
    kit_root.chmod(0o700)


@pytest.fixture
def docker(remapping: Daemon, tmp_path: Path) -> Iterator[Cli]:
    yield Cli("docker", remapping.socket, tmp_path)
    remapping.clean()
    mounts = [m.target for m in k.mountinfo() if m.target.startswith(f"{remapping.root}/")]
    below = [m for m in mounts if "/netns/" not in m]  # those the kernel frees when it likes
    assert below == [f"{remapping.exec_root}/mapped/layers"]
    assert list((remapping.exec_root / "containers").glob("*")) == []
    assert not (remapping.exec_root / "idmapped").exists()


def upper(docker: Cli, name: str) -> Path:
    return Path(docker("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", name))


def members(archive: bytes) -> dict[str, tuple[int, int]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: (member.uid, member.gid) for member in tar}


def archive_of(name: str, owner: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.uid = member.gid = owner
        tar.addfile(member)
    return packed.getvalue()


def test_root_inside_is_nobody_outside_and_stored_as_root(docker: Cli, remapping: Daemon) -> None:
    assert "name=userns" in docker("info", "-f", "{{.SecurityOptions}}")
    docker("run", "-d", "--name", "mapped", "busybox", "sleep", "1000")
    pid = docker("inspect", "-f", "{{.State.Pid}}", "mapped")
    extents = Path(f"/proc/{pid}/uid_map").read_text().split()
    assert extents == f"0 {BASE} 1000 1000 {BASE + 500_000} 64536".split()
    assert Path(f"/proc/{pid}").stat().st_uid == BASE
    docker(
        "exec", "mapped", "sh", "-c", "echo x >/of-root; echo y >/of-user; chown 1234:5 /of-user"
    )
    assert docker(
        "exec", "mapped", "sh", "-c", f"{STAT} /of-root /of-user /bin /etc/hosts"
    ).split() == [
        "0:0",
        "1234:5",
        "0:0",
        "0:0",
    ]
    docker("exec", "mapped", "sh", "-c", "echo 192.0.2.1 more >> /etc/hosts")
    stored = {name: (upper(docker, "mapped") / name).stat() for name in ("of-root", "of-user")}
    assert [(s.st_uid, s.st_gid) for s in stored.values()] == [(0, 0), (1234, 5)]
    assert docker("exec", "-u", "1234", "mapped", "id", "-u") == "1234"
    lower = docker("inspect", "-f", "{{.GraphDriver.Data.LowerDir}}", "mapped").split(":")
    assert {Path(layer).stat().st_uid for layer in lower} == {0}
    mapped = remapping.exec_root / "mapped"
    assert (mapped.stat().st_uid, mapped.stat().st_mode & 0o777) == (0, 0o700)


def test_the_host_is_out_of_reach(docker: Cli, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    tried = docker.run("run", "--rm", "-v", f"{secret}:/s", "busybox", "cat", "/s")
    assert "Permission denied" in tried.err
    denied = docker.run(
        "run", "--rm", "--cap-add", "ALL", "busybox", "mknod", "/sda", "b", "8", "0"
    )
    assert "Operation not permitted" in denied.err


def test_root_inside_rules_its_own_network_only(docker: Cli) -> None:
    said = docker(
        *("run", "--rm", "--cap-add", "NET_ADMIN", "--sysctl", "net.ipv4.ip_forward=0"),
        *("busybox", "sh", "-c", "ip link set eth0 mtu 1234; cat /sys/class/net/eth0/mtu"),
    )
    assert said == "1234"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--privileged"], "privileged mode is incompatible with user namespaces"),
        (["--pid", "host"], "cannot share the host PID namespace when user namespaces are enabled"),
        (["--network", "host"], "cannot share the host's network namespace when user namespaces"),
        (["--ipc", "host"], "cannot share the host's IPC namespace when user namespaces"),
    ],
)
def test_what_needs_the_host_is_refused_unless_opted_out(
    docker: Cli, flags: list[str], sentence: str
) -> None:
    assert sentence in docker.run("run", "--rm", *flags, "busybox", "true").err
    shown = docker(
        "run", "--rm", "--userns", "host", *flags, "busybox", "cat", "/proc/self/uid_map"
    )
    assert shown.split() == ["0", "0", "4294967295"]


def test_both_kinds_share_images_and_volumes(docker: Cli, remapping: Daemon) -> None:
    make = f"chown 7:8 /data; touch /data/made; {STAT} /data /data/made"
    shown = docker("run", "--rm", "-v", "both:/data", "busybox", "sh", "-c", make)
    assert shown.split() == ["7:8", "0:0"]
    stored = remapping.data_root / "volumes" / "both" / "_data" / "made"
    assert (stored.stat().st_uid, stored.stat().st_gid) == (0, 0)
    look = f"{STAT} /data /data/made /bin"
    for flags in ([], ["--userns", "host"]):
        shown = docker("run", "--rm", *flags, "-v", "both:/data", "busybox", "sh", "-c", look)
        assert shown.split() == ["7:8", "0:0", "0:0"]


def test_copy_up_image_mounts_and_owned_binds(docker: Cli, tmp_path: Path) -> None:
    docker(
        "run",
        "--name",
        "maker",
        "busybox",
        "sh",
        "-c",
        "mkdir /full; echo x >/full/f; chown 9:9 /full/f",
    )
    docker("commit", "maker", "full")
    tmp_path.chmod(0o755)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 4321, 4321)
    script = f"touch /own/made; {STAT} /full/f /image/full/f /own /own/made /seen"
    shown = docker(
        *("run", "--rm", "-v", "/full", "--mount", "type=image,source=full,target=/image"),
        *("-v", f"{theirs}:/own:U", "-v", f"{theirs}:/seen", "full", "sh", "-c", script),
    )
    assert shown.split() == ["9:9", "9:9", "0:0", "0:0", "65534:65534"]
    assert (theirs / "made").stat().st_uid == 4321
    docker("rm", "maker")
    docker("rmi", "full")


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_cp_export_and_commit_speak_of_the_owners_inside(
    docker: Cli, remapping: Daemon, *, running: bool
) -> None:
    docker("run", "-d", "--name", "copied", "-v", "/data", "busybox", "sleep", "1000")
    make = "echo x >/tmp/f; chown 12:34 /tmp/f; echo y >/data/g; chown 5:6 /data/g"
    docker("exec", "copied", "sh", "-c", make)
    if not running:
        docker("stop", "-t", "0", "copied")
    api, archive = remapping.api, "/containers/copied/archive"
    for path, owner in (("/tmp/f", (12, 34)), ("/data/g", (5, 6))):
        got = api.request("GET", archive, query={"path": path}).ok().body
        assert list(members(got).values()) == [owner]
    fits, beyond = archive_of("in", 77), archive_of("beyond", 70_000)
    for directory in ("/tmp", "/data"):
        api.request("PUT", archive, fits, query={"path": directory}).ok()
    refused = api.request("PUT", archive, beyond, query={"path": "/tmp"})
    assert "cannot be mapped to a host ID" in refused.message
    exported = members(api.get("/containers/copied/export").ok().body)
    assert (exported["tmp/f"], exported["tmp/in"], exported["bin/busybox"]) == (
        (12, 34),
        (77, 77),
        (0, 0),
    )
    docker("commit", "copied", "committed")
    for flags in ([], ["--userns", "host"]):
        look = f"{STAT} /tmp/f /tmp/in"
        shown = docker("run", "--rm", *flags, "committed", "sh", "-c", look)
        assert shown.split() == ["12:34", "77:77"]
    docker("start", "copied")
    assert docker("exec", "copied", "stat", "-c", "%u", "/data/in") == "77"
    docker("rm", "-f", "-v", "copied")
    docker("rmi", "committed")


def test_containers_that_share_namespaces_share_the_users(docker: Cli) -> None:
    docker("run", "-d", "--name", "first", "--ipc", "shareable", "busybox", "sleep", "1000")
    own = docker("exec", "first", "readlink", "/proc/self/ns/user")
    shared = [f"--{kind}=container:first" for kind in ("network", "pid", "ipc")]
    script = "touch /dev/shm/x; hostname -i; readlink /proc/self/ns/user"
    said = docker("run", "--rm", *shared, "busybox", "sh", "-c", script).split()
    assert said[-1] == own
    other = docker("run", "--rm", "busybox", "readlink", "/proc/self/ns/user")
    assert other != own
    mixed = docker.run("run", "--rm", "--userns", "host", shared[0], "busybox", "true")
    assert "with and without --userns=host" in mixed.err


def test_a_crash_of_the_daemon_and_a_daemon_that_maps_no_more(
    docker: Cli, remapping: Daemon
) -> None:
    docker("run", "-d", "--name", "lives", "-v", "kept:/data", "busybox", "sleep", "1000")
    docker("exec", "lives", "sh", "-c", "echo x >/f; echo x >/data/f; chown 3:3 /f")
    remapping.restart(kill=True)
    assert docker("exec", "lives", "stat", "-c", "%u", "/f") == "3"
    remapping.flags = []
    remapping.restart(kill=True)
    try:
        got = (
            remapping.api.request("GET", "/containers/lives/archive", query={"path": "/f"})
            .ok()
            .body
        )
        assert list(members(got).values()) == [(3, 3)]
        docker("restart", "-t", "0", "lives")
        shown = docker("exec", "lives", "sh", "-c", f"cat /proc/self/uid_map; {STAT} /f /data/f")
        assert shown.split() == ["0", "0", "4294967295", "3:3", "0:0"]
    finally:
        remapping.flags = ["--userns-remap", USER]
        remapping.restart()
    docker("restart", "-t", "0", "lives")
    assert docker("exec", "lives", "sh", "-c", f"{STAT} /f /data/f").split() == ["3:3", "0:0"]


def test_builds_run_as_mapped_users(docker: Cli, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        "FROM busybox\n"
        "RUN head -c 30 /proc/self/uid_map >/map; echo x >/made; chown 11:12 /made\n"
        "COPY --chown=13:14 Dockerfile /copied\n"
        "RUN stat -c %u:%g /made /copied /bin >/seen\n"
        "USER 1234\nRUN id -u >/tmp/who\n"
    )
    docker("build", "-t", "built", context)
    for flags in ([], ["--userns", "host"]):
        look = f"cat /seen /tmp/who; {STAT} /made /copied; cat /map"
        said = docker("run", "--rm", *flags, "built", "sh", "-c", look).split()
        assert said[:6] == ["11:12", "13:14", "0:0", "1234", "11:12", "13:14"]
        assert said[6:8] == ["0", str(BASE)]
    refused = docker.run("build", "--no-cache", "--network", "host", context)
    assert "cannot share the host's network namespace" in refused.out + refused.err
    docker("rmi", "built")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("nosuchuser", 'Error during uid lookup for "nosuchuser"'),
        (f"{USER}:nosuchgroup", 'Error during groupname lookup for "nosuchgroup"'),
        ("a:b:c", 'Invalid user/group specification in --userns-remap: "a:b:c"'),
        ("bin", 'no subuid ranges found for user "bin"'),
    ],
)
def test_a_daemon_that_cannot_map_says_why(kit_root: Path, value: str, sentence: str) -> None:
    with temporary(kit_root, flags=["--userns-remap", value]) as daemon:
        assert daemon.spawn().wait(60) != 0
        assert sentence in daemon.log_tail()

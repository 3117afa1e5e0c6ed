"""What a container gets of its host: user, limits, namespaces, files, devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moorage.kernel import mount
from support import containers as c
from support import images
from support.api import Api
from support.cli import Cli
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["busybox", "sh", "-c", "exit 7"], 7),
        (["busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137),
        (["busybox", "sh", "-c", "sh -c 'kill -15 $$'; exit $?"], 143),
        (["busybox", "nosuch"], 127),
        (["busybox", "/etc/passwd"], 126),
        (["--memory", "1", "busybox", "true"], 125),
    ],
)
def test_exit_codes_of_the_official_client(docker: Cli, arguments: list[str], code: int) -> None:
    assert docker.run("run", "--rm", "--network", "none", *arguments).code == code


def test_input_and_output_of_the_official_client(docker: Cli) -> None:
    run = ["run", "--rm", "-i", "--network", "none", "busybox"]
    assert docker(*run, "wc", "-c", stdin=b"x" * 200_000) == "200000"
    result = docker.run(*run, "sh", "-c", "echo out; echo err >&2")
    assert (result.out, result.err) == ("out\n", "err\n")


def test_environment_and_names(api: Api) -> None:
    script = "echo $HOSTNAME; hostname; cat /etc/hostname; echo $PATH; echo $HOME; echo $A"
    said = c.ask(api, "sh", "-c", script, Hostname="box", Env=["A=1"], User="tester")
    assert said.splitlines() == [
        *["box"] * 3,
        "/bin:/usr/bin",
        "/home/tester",
        "1",
    ]


def test_users_and_groups(api: Api) -> None:
    """CVE-2022-36109: the primary group is among the supplementary ones."""
    assert c.ask(api, "id", "-G", User="tester") == "1000 2000"
    more = {"GroupAdd": ["77", "extra"]}
    assert set(c.ask(api, "id", "-G", User="tester", host=more).split()) == {"1000", "2000", "77"}
    assert c.ask(api, "sh", "-c", "id -u; id -g", User="1234:55").split() == ["1234", "55"]


def test_a_missing_working_directory_is_made(api: Api) -> None:
    assert c.ask(api, "pwd", WorkingDir="/a/b") == "/a/b"


def test_limits_reach_the_kernel(api: Api) -> None:
    host = {
        "Memory": 64 << 20,
        "MemorySwap": 64 << 20,
        "NanoCpus": 500_000_000,
        "PidsLimit": 50,
        "CpusetCpus": "0",
        "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
        "OomScoreAdj": 500,
        "ShmSize": 1 << 20,
    }
    script = """
        ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj
        grep Cpus_allowed_list /proc/self/status
        df /dev/shm | tail -1
        cd /sys/fs/cgroup
        if [ -e memory.max ]; then cat memory.max cpu.max pids.max
        else cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max; fi
    """
    said = c.ask(api, "sh", "-c", script, host=host).split()
    assert said[:3] == ["100", "200", "500"]
    assert said[4] == "0"
    assert said[6] == "1024"
    assert str(64 << 20) in said
    assert said[-1] == "50"
    assert "50000" in said


def test_out_of_memory_is_told(api: Api) -> None:
    eater = "x=a; while true; do x=$x$x; done"
    container_id = c.run(api, "sh", "-c", eater, host={"Memory": 20 << 20, "MemorySwap": 20 << 20})
    assert c.wait(api, container_id) == 137
    assert c.state(api, container_id)["OOMKilled"] is True


def test_masked_and_read_only_paths(api: Api) -> None:
    """GHSA-6fw5-f8r9-fgfm: what tells of the host, or changes it, is out of reach."""
    script = """
        cat /proc/kcore /proc/keys /proc/timer_list /proc/interrupts 2>/dev/null | wc -c
        ls /sys/firmware /sys/devices/virtual/powercap 2>/dev/null | grep -v : | wc -w
        echo 1 2>/dev/null > /proc/sys/kernel/domainname || echo refused
        echo b 2>/dev/null > /proc/sysrq-trigger || echo refused
        touch /sys/x 2>/dev/null || echo refused
    """
    assert c.ask(api, "sh", "-c", script).split() == ["0", "0", "refused", "refused", "refused"]


def test_privileges_are_as_asked(api: Api) -> None:
    def status(field: str, **host: Any) -> str:
        return c.ask(api, "grep", f"{field}:", "/proc/self/status", host=host).split()[1]

    assert status("CapEff") == "00000000a80425fb"
    assert status("CapInh") == "0" * 16
    assert status("CapEff", CapDrop=["ALL"], CapAdd=["CHOWN"]) == "0000000000000001"
    assert status("Seccomp") == "2"
    assert status("Seccomp", SecurityOpt=["seccomp=unconfined"]) == "0"
    assert status("NoNewPrivs", SecurityOpt=["no-new-privileges"]) == "1"
    assert status("Seccomp", Privileged=True) == "0"


def test_namespaces_of_the_host_and_of_another_container(api: Api) -> None:
    def namespaces(**host: Any) -> list[str]:
        kinds = ("pid", "ipc", "uts", "net", "cgroup")
        script = "; ".join(f"readlink /proc/self/ns/{kind}" for kind in kinds)
        return c.ask(api, "sh", "-c", script, host=host).split()

    ours = [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("pid", "ipc", "uts", "net")]
    assert not set(namespaces()[:4]) & set(ours)
    host_modes = {"PidMode": "host", "IpcMode": "host", "UTSMode": "host", "NetworkMode": "host"}
    assert namespaces(**host_modes)[:4] == ours
    donor = c.sleeper(api, name="donor", host={"IpcMode": "shareable"})
    script = "; ".join(f"readlink /proc/1/ns/{kind}" for kind in ("pid", "ipc", "net"))
    theirs = c.exec_(api, donor, "sh", "-c", script)[1].split()
    shared = namespaces(
        PidMode="container:donor", IpcMode="container:donor", NetworkMode="container:donor"
    )
    assert [shared[0], shared[1], shared[3]] == theirs
    api.post("/containers/donor/exec", {"Cmd": ["true"]}).ok()
    assert c.exec_(api, donor, "touch", "/dev/shm/seen")[0] == 0
    assert c.ask(api, "ls", "/dev/shm", host={"IpcMode": "container:donor"}) == "seen"
    private = c.sleeper(api)
    refused = c.create(api, host={"IpcMode": f"container:{private}"})
    assert "non-shareable IPC" in api.post(f"/containers/{refused}/start").message


def test_devices(api: Api) -> None:
    host = {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/mine"}]}
    assert c.ask(api, "sh", "-c", "echo x > /dev/mine && echo ok", host=host) == "ok"
    missing = c.create(api, host={"Devices": [{"PathOnHost": "/dev/nosuch"}]})
    failed = api.post(f"/containers/{missing}/start")
    assert "error gathering device information" in failed.message
    gpu = c.create(api, host={"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]})
    wanted = 'could not select device driver "" with capabilities: [[gpu]]'
    assert wanted in api.post(f"/containers/{gpu}/start").message


def test_an_init_reaps_what_the_program_leaves(api: Api) -> None:
    said = c.ask(api, "sh", "-c", "readlink /proc/1/exe; echo $$", host={"Init": True}).split()
    assert said[0] == "/sbin/docker-init"
    assert said[1] != "1"


def test_a_read_only_root(api: Api) -> None:
    script = "touch /x 2>/dev/null || echo refused; touch /run/x && echo ok"
    host = {"ReadonlyRootfs": True, "Tmpfs": {"/run": "size=1m"}}
    assert c.ask(api, "sh", "-c", script, host=host).split() == ["refused", "ok"]


def test_bind_mounts_with_access_and_propagation(api: Api, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "file").write_text("content")
    host = {"Binds": [f"{source}:/rw", f"{source}:/ro:ro", f"{tmp_path}/made:/made"]}
    script = "cat /rw/file; touch /rw/new && echo w; touch /ro/x 2>/dev/null || echo r; ls -d /made"
    assert c.ask(api, "sh", "-c", script, host=host).split() == ["contentw", "r", "/made"]
    assert (source / "new").exists()
    assert (tmp_path / "made").is_dir()
    mount = {"Type": "bind", "Source": f"{tmp_path}/nosuch", "Target": "/x"}
    refused = api.post(
        "/containers/create", {"Image": "busybox", "HostConfig": {"Mounts": [mount]}}
    )
    assert (refused.status, "bind source path does not exist" in refused.message) == (400, True)


def test_a_bind_that_shows_the_daemons_own_mounts_keeps_none_of_them_busy(api: Api) -> None:
    holder = c.sleeper(api, host={"Binds": ["/:/host"]})
    assert c.inspect(api, holder)["Mounts"][0]["Propagation"] == "rslave"
    other = c.sleeper(api)
    api.delete(f"/containers/{other}", force=True).ok(204)


def test_a_read_only_bind_is_read_only_below_as_well(api: Api) -> None:
    """/proc holds a writable mount below /proc/sys on hosts with binfmt_misc; /sys has several."""
    mount = {"Type": "bind", "Source": "/sys", "Target": "/y", "ReadOnly": True}
    options = "awk '$2 ~ \"^/y\" {print $4}' /proc/mounts"
    said = c.ask(api, "sh", "-c", options, host={"Mounts": [mount]}).split()
    assert said
    assert all(line.split(",")[0] == "ro" for line in said)
    shallow = {**mount, "BindOptions": {"ReadOnlyNonRecursive": True}}
    said = c.ask(api, "sh", "-c", options, host={"Mounts": [shallow]}).split()
    assert said[0].split(",")[0] == "ro"
    assert any(line.split(",")[0] == "rw" for line in said)


def test_a_file_is_shown_read_only(api: Api, tmp_path: Path) -> None:
    source = tmp_path / "plain"
    source.write_text("plain\n")
    command = "cat /etc/plain; (echo more > /etc/plain) 2> /dev/null || echo refused"
    for host in (
        {"Binds": [f"{source}:/etc/plain:ro"]},
        {
            "Mounts": [
                {"Type": "bind", "Source": str(source), "Target": "/etc/plain", "ReadOnly": True}
            ]
        },
    ):
        said = c.ask(api, "sh", "-c", command, host=host)
        assert (said.splitlines()[0], said.splitlines()[-1]) == ("plain", "refused")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("echo without a line that says by what", "exec format error"),
        ("#!/no/such\n", "no such file or directory"),
    ],
)
def test_a_program_that_the_kernel_refuses_is_told_in_dockers_words(
    api: Api, tmp_path: Path, content: str, reason: str
) -> None:
    (tmp_path / "x").write_text(content)
    (tmp_path / "x").chmod(0o755)
    host = {"Binds": [f"{tmp_path}:/c"]}
    for tty, end in ((False, "\n"), (True, "\r\n")):
        refused = c.run(api, "/c/x", host=host, Tty=tty)
        assert c.wait(api, refused) == 1
        assert c.output(api, refused) == f"exec /c/x: {reason}{end}"
    sleeper = c.sleeper(api, host=host)
    assert c.exec_(api, sleeper, "/c/x") == (1, f"exec /c/x: {reason}\n")


def test_a_tmpfs_has_the_mode_of_what_it_hides(api: Api) -> None:
    """As runc has it: a private directory does not become everybody's."""
    made = c.create(api, "sh", "-c", "mkdir -m 700 /private; mkdir -m 2770 /group")
    api.post(f"/containers/{made}/start").ok(204)
    assert c.wait(api, made) == 0
    api.post("/commit", {}, container=made, repo="modes").ok(201)
    mounts = [{"Type": "tmpfs", "Target": "/group"}, {"Type": "tmpfs", "Target": "/new"}]
    host = {"Tmpfs": {"/private/": "", "/bin/x": "", "/given": "mode=0711"}, "Mounts": mounts}
    command = "stat -c '%a %n' /private /group /new /given"
    asked = c.ask(api, "sh", "-c", command, host=host, Image="modes")
    assert asked.splitlines() == ["700 /private", "2770 /group", "1777 /new", "711 /given"]


def test_minus_one_takes_limits_away(api: Api) -> None:
    host = {"PidsLimit": -1, "CpuQuota": -1, "Memory": 64 << 20, "MemorySwap": -1}
    assert c.ask(api, "echo", "up", host=host) == "up"


def test_a_container_without_network_has_the_loopback_alone(api: Api) -> None:
    host = {"NetworkMode": "bridge"}
    alone = c.run(
        api, "sh", "-c", "ls /sys/class/net; exec sleep 100", host=host, NetworkDisabled=True
    )
    c.until(lambda: "lo" in c.output(api, alone))
    assert c.output(api, alone).split() == ["lo"]
    assert c.inspect(api, alone)["NetworkSettings"]["Networks"] == {}


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_a_bind_that_is_not_recursive_leaves_out_what_is_mounted_below(
    api: Api, tmp_path: Path, kind: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "sub").mkdir()
    (source / "plain").write_text("plain\n")
    mount.mount("tmpfs", source / "sub", "tmpfs")
    try:
        (source / "sub" / "above").touch()
        target = source if kind == "directory" else source / "plain"
        given = {"Type": "bind", "Source": str(target), "Target": "/y"}
        command = "cat /y/plain; ls /y/sub" if kind == "directory" else "cat /y"
        for shallow, seen in (({}, "above"), ({"NonRecursive": True}, "")):
            host = {"Mounts": [{**given, "BindOptions": shallow}]}
            said = c.ask(api, "sh", "-c", command, host=host)
            assert said.split() == ["plain", *([seen] if seen and kind == "directory" else [])]
    finally:
        mount.umount2(source / "sub")


def test_an_image_to_mount_that_is_not_there_is_not_the_containers(api: Api) -> None:
    absent = {"Type": "image", "Source": "nosuch", "Target": "/i"}
    answer = api.post(
        "/containers/create", {"Image": "busybox", "HostConfig": {"Mounts": [absent]}}
    )
    assert answer.status == 400  # at 404 a client would pull busybox
    assert "nosuch" in answer.message


def test_mounts_of_every_type(api: Api) -> None:
    mounts = [
        {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o700}},
        {"Type": "volume", "Source": "vol", "Target": "/v"},
        {"Type": "volume", "Target": "/anonymous"},
        {"Type": "image", "Source": "busybox", "Target": "/i", "ImageOptions": {"Subpath": "etc"}},
    ]
    container_id = c.create(
        api, "sh", "-c", "df /t | tail -1; echo x > /v/f; cat /i/passwd", host={"Mounts": mounts}
    )
    api.post(f"/containers/{container_id}/start").ok()
    assert c.wait(api, container_id) == 0
    said = c.output(api, container_id)
    assert "1024" in said
    assert "tester" in said
    shown = {m["Destination"]: m for m in c.inspect(api, container_id)["Mounts"]}
    assert {d: m["Type"] for d, m in shown.items()} == {
        "/t": "tmpfs",
        "/v": "volume",
        "/anonymous": "volume",
        "/i": "image",
    }
    heir = c.create(api, "cat", "/v/f", host={"VolumesFrom": [f"{container_id}:ro"]})
    api.post(f"/containers/{heir}/start").ok()
    assert c.wait(api, heir) == 0
    assert c.output(api, heir) == "x\n"
    refused = api.delete("/volumes/vol")
    assert refused.status == 409
    api.delete(f"/containers/{container_id}", v=True).ok()
    assert api.get(f"/volumes/{shown['/anonymous']['Name']}").status in {200, 404}
    api.delete(f"/containers/{heir}", v=True).ok()
    api.delete("/volumes/vol").ok()


def test_two_containers_are_linked(api: Api) -> None:
    bridge = {"NetworkMode": "bridge"}
    c.sleeper(api, name="target", host=bridge, Env=["COLOUR=red"], ExposedPorts={"80/tcp": {}})
    host = {**bridge, "Links": ["target:friend"]}
    script = "env | grep FRIEND | sort; grep friend /etc/hosts"
    said = c.ask(api, "sh", "-c", script, host=host, name="linker")
    assert "FRIEND_ENV_COLOUR=red" in said
    assert "FRIEND_NAME=/linker/friend" in said
    assert "FRIEND_PORT_80_TCP_PORT=80" in said
    assert "\tfriend" in said or " friend" in said


@pytest.mark.parametrize("network", ["default", "bridge"])
def test_without_a_default_bridge_a_container_has_loopback_alone(
    make_daemon: Callable[..., Daemon], network: str
) -> None:
    daemon = make_daemon(flags=["--bridge=none"]).start()
    daemon.load(images.busybox())
    container_id = c.run(daemon.api, "ls", "/sys/class/net", host={"NetworkMode": network})
    assert c.wait(daemon.api, container_id) == 0
    assert c.output(daemon.api, container_id) == "lo\n"

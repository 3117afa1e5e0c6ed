"""Clients that mean harm, or are simply many: slow, endless, idle, and strange paths."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import containers as c
from support import images
from support.api import Api
from support.daemon import Daemon, free_port

pytestmark = [pytest.mark.requires("root", "overlayfs"), pytest.mark.timeout(180)]
MakeDaemon = Callable[..., Daemon]
PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"


@pytest.fixture
def open_files(daemon: Daemon) -> Iterator[Callable[[int], None]]:
    """Return what sets the daemon's limit of open files; afterwards it is as before."""
    usual = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    yield lambda number: set_limit(daemon.pid, number, usual[1])
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, usual)


def set_limit(pid: int, soft: int, hard: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def descriptors(daemon: Daemon) -> int:
    return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))


def stream(api: Api, path: str) -> socket.socket:
    """Open a stream and read its head, and no more."""
    connection = api.raw(f"GET {api.prefix}{path} HTTP/1.1\r\nHost: d\r\n\r\n".encode(), timeout=60)
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def test_a6_idle_streams_hold_up_nobody_and_leave_nothing(daemon: Daemon) -> None:
    """CVE-2025-64329, GHSA-m6hq-p25p-ffr2: 200 streams that nobody reads, then gone."""
    api = daemon.api
    container_id = c.run(api, "sh", "-c", "yes | head -n 100000; sleep 1000")
    paths = (
        "/events",
        f"/containers/{container_id}/stats",
        f"/containers/{container_id}/logs?stdout=1&follow=1",
    )
    before = descriptors(daemon)
    with ExitStack() as opened:
        for number in range(200):
            opened.enter_context(stream(api, paths[number % len(paths)]))
        assert [x["Id"] for x in api.get("/containers/json").ok().json()] == [container_id]
        assert c.exec_(api, container_id, "echo", "on") == (0, "on\n")
        with Path(f"/proc/{daemon.pid}/status").open() as status:
            resident_kb = next(int(x.split()[1]) for x in status if x.startswith("VmRSS"))
        assert resident_kb < 400_000
    c.until(lambda: descriptors(daemon) <= before + 2, 40)


def test_a6_more_connections_than_there_is_room_for(
    daemon: Daemon, open_files: Callable[[int], None]
) -> None:
    """Idle ones give way; when all are at work the next is told, and nothing else suffers."""
    api = daemon.api
    room = 60
    open_files(2 * room)
    with ExitStack() as opened:
        for _ in range(3 * room):
            idle = opened.enter_context(api.raw(PING, timeout=60))
            assert idle.recv(12) == b"HTTP/1.1 200"
    with ExitStack() as opened:
        for _ in range(room):
            opened.enter_context(stream(api, "/events"))
        refused = api.get("/_ping")
        assert refused.status == 503
        assert "too many connections" in refused.message
    c.until(lambda: api.get("/_ping").status == 200, 40)
    assert c.ask(api, "echo", "fine") == "fine"


def test_a6_a_thousand_clients_leave_the_firewall_its_descriptors(
    make_daemon: MakeDaemon,
) -> None:
    """libnftables waits with select(2): a descriptor above 1023 would end the whole daemon."""
    daemon = make_daemon().start()
    api = daemon.api
    daemon.load(images.busybox())
    api.post("/networks/create", {"Name": "busy"}).ok(201)
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, usual)
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual[1], usual[1]))
        for _ in range(1100):
            idle = opened.enter_context(api.raw(PING, timeout=60))
            assert idle.recv(12) == b"HTTP/1.1 200"
        assert descriptors(daemon) > 1100
        ports = {"80/tcp": [{"HostIp": "127.0.0.1"}]}
        host = {"NetworkMode": "busy", "PortBindings": ports}
        assert c.ask(api, "echo", "fine", host=host, ExposedPorts={"80/tcp": {}}) == "fine"
        api.post("/networks/create", {"Name": "more"}).ok(201)
    daemon.clean()


def test_a6_a_head_that_never_ends_is_dropped_and_never_stored(api: Api) -> None:
    with api.raw(b"GET /_ping HTTP/1.1\r\n", timeout=20) as slow:
        line = b"X: " + b"y" * 8000 + b"\r\n"
        answer = b""
        for _ in range(64):
            try:
                slow.sendall(line)
            except (BrokenPipeError, ConnectionResetError):
                break
        answer = slow.recv(65536)
        assert b" 431 " in answer


def test_a6_a_gigabyte_of_json_is_refused_before_it_is_there(api: Api) -> None:
    head = (
        b"POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
    )
    with api.raw(head + b"Content-Length: 1073741824\r\n\r\n" + b" " * 4096) as client:
        assert client.recv(12) in {b"HTTP/1.1 413", b"HTTP/1.1 400"}
    deep = b'{"HostConfig":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001
    headers = {"Content-Type": "application/json"}
    assert api.request("POST", "/containers/create", deep, headers=headers).status == 400


@pytest.mark.parametrize(
    "reference",
    [
        *("..%2f..%2fetc", "%2e%2e", ".", "..", "a%2f..%2f..%2fb", "%00", "a%0ab", "%ff"),
        *("-rf", "x" * 5000, "~", "*"),
    ],
)
def test_f10_names_that_would_be_paths_are_names_of_nothing(api: Api, reference: str) -> None:
    """CVE-2014-9358, moby 4f84bcb967: no id or name of a request becomes a path."""
    for path in (
        *("/containers/{}/json", "/containers/{}/logs?stdout=1", "/images/{}/json"),
        *("/networks/{}", "/volumes/{}", "/exec/{}/json", "/plugins/{}/json"),
    ):
        answer = api.exchange(
            f"GET {api.prefix}{path.format(reference)} HTTP/1.1\r\nHost: d\r\n\r\n".encode()
        )
        status = int(answer.split(b" ", 2)[1])
        assert 400 <= status < 500 or status == 501, (path, answer[:300])
    for path in ("/containers/{}", "/volumes/{}", "/networks/{}", "/images/{}"):
        answer = api.exchange(
            f"DELETE {api.prefix}{path.format(reference)} HTTP/1.1\r\nHost: d\r\n\r\n".encode()
        )
        assert 400 <= int(answer.split(b" ", 2)[1]) < 500, (path, answer[:300])


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "..", "a\0b", "a\nb", "-x", "", "é"])
def test_f10_names_that_would_be_paths_are_not_given(api: Api, name: str) -> None:
    assert api.post("/volumes/create", {"Name": name}).status in ({201} if not name else {400})
    network = api.post("/networks/create", {"Name": name})
    assert network.status == 400 or not set(name) & set("/\0\n")
    body = {"Image": "busybox", "Cmd": ["true"]}
    answer = api.post("/containers/create", body, name=name)
    assert answer.status == (201 if not name else 400), answer.body
    if name:
        container_id = c.create(api)
        assert api.post(f"/containers/{container_id}/rename", name=name).status == 400


def test_f12_other_users_see_nothing_of_the_roots(daemon: Daemon) -> None:
    """CVE-2021-41091, CVE-2024-25621: set-id programs of an image are out of the users' reach."""
    container_id = c.sleeper(daemon.api, host={"Binds": ["kept:/data"]})
    root = daemon.data_root
    upper = daemon.api.get(f"/containers/{container_id}/json").json()["GraphDriver"]["Data"]
    private = [
        root / "moorage.db",
        Path(upper["MergedDir"]) / "bin",
        root / "containers" / container_id,
        root / "volumes" / "kept" / "_data",
        root / "content" / "blobs",
        daemon.exec_root / "tasks" / container_id,
    ]
    usual = daemon.root.parent.stat().st_mode
    daemon.root.parent.chmod(0o711)  # else the directory of the tests would be the guard
    try:
        assert [path for path in private if _reached_by_nobody(path)] == []
        assert _reached_by_nobody(daemon.root)
    finally:
        daemon.root.parent.chmod(usual)


def _reached_by_nobody(path: Path) -> bool:
    assert path.exists(), path
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    for option in ("-r", "-x"):
        if subprocess.run([*as_nobody, "test", option, path], check=False).returncode == 0:
            return True
    return False


def test_a2_tcp_without_tls_is_refused_unless_it_is_asked_for(make_daemon: MakeDaemon) -> None:
    """CVE-2025-9074: whoever reaches the port is root."""
    port = free_port()
    daemon = make_daemon(flags=["-H", f"tcp://0.0.0.0:{port}"])
    assert daemon.spawn().wait(20) == 1
    assert "tls" in daemon.log_tail().lower()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_n8_no_helper_listens_on_the_network(make_daemon: MakeDaemon) -> None:
    """CVE-2021-4024: neither the daemon nor a monitor nor the name server has a port."""
    daemon = make_daemon().start()
    daemon.load(images.busybox())
    container_id = c.sleeper(daemon.api, host={"NetworkMode": "bridge"})
    inside = Path(f"/proc/{c.inspect(daemon.api, container_id)['State']['Pid']}/cgroup").read_text()
    ours = [
        p
        for p in Path("/proc").iterdir()
        if p.name.isdecimal() and _is_ours(p, str(daemon.root)) and _text(p / "cgroup") != inside
    ]
    assert ours
    listening = _listening()
    for process in ours:
        sockets = {str(x.readlink())[8:-1] for x in _descriptors(process)}
        assert not sockets & listening, process


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _is_ours(process: Path, root: str) -> bool:
    return root in _text(process / "cmdline") or f"{root}/" in _text(process / "environ")


def _descriptors(process: Path) -> list[Path]:
    found = []
    for link in (process / "fd").iterdir():
        try:
            if str(link.readlink()).startswith("socket:"):
                found.append(link)
        except OSError:
            continue
    return found


def _listening() -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                inodes.add(fields[9])
    return inodes


def test_i9_what_is_secret_is_in_no_log(make_daemon: MakeDaemon) -> None:
    """CVE-2019-13509: not even a daemon that tells all says what it was entrusted with."""
    daemon = make_daemon(flags=["--debug"]).start()
    daemon.load(images.busybox())
    secret = "hunter2-a-secret"  # noqa: S105 - it must look like one
    headers = {"X-Registry-Auth": secret, "X-Registry-Config": secret, "Authorization": secret}
    daemon.api.request("GET", "/info", headers=headers).ok()
    auth = {"username": "u", "password": secret, "serveraddress": "127.0.0.1:1"}
    daemon.api.post("/auth", auth)
    pull = {"fromImage": "127.0.0.1:1/x", "tag": "1"}
    daemon.api.request("POST", "/images/create", query=pull, headers=headers)
    container_id = c.run(daemon.api, "true", Env=[f"TOKEN={secret}"])
    c.wait(daemon.api, container_id)
    assert secret not in json.dumps(daemon.api.events(0))
    daemon.clean()
    daemon.stop()
    assert secret not in daemon.log.read_text(errors="replace")


def test_a7_links_that_a_container_plants_in_the_data_root(daemon: Daemon, tmp_path: Path) -> None:
    """A container with a bind of the data root is as good as root; a removal still follows none."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").write_text("x")
    container_id = c.create(daemon.api)
    directory = daemon.data_root / "containers" / container_id
    (directory / "planted").symlink_to(victim)
    daemon.api.delete(f"/containers/{container_id}").ok(204)
    assert (victim / "kept").exists()


def test_fault_9_64_clients_race_on_one_name(api: Api) -> None:
    """Whatever wins, no answer is a fault of the daemon, and the name is free afterwards."""
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
    requests: list[Callable[[], int]] = [
        lambda: api.post("/containers/create", body, name="raced").status,
        lambda: api.post("/containers/raced/start").status,
        lambda: api.post("/containers/raced/stop", t=0).status,
        lambda: api.post("/containers/raced/exec", {"Cmd": ["true"]}).status,
        lambda: api.post("/containers/raced/rename", name="other").status,
        lambda: api.post("/containers/other/rename", name="raced").status,
        lambda: api.delete("/containers/raced", force=True).status,
        lambda: api.post("/containers/raced/restart", t=0).status,
    ]
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda work=work: seen.append(work())) for work in requests * 8
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert len(seen) == len(threads)
    assert {status for status in seen if status >= 500} == set()
    for name in ("raced", "other"):
        api.delete(f"/containers/{name}", force=True).ok(204, 404)
    api.post("/containers/create", body, name="raced").ok(201)

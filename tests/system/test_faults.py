"""What goes wrong on a host: full disks, no descriptors, hung containers, floods, odd clocks."""

from __future__ import annotations

import io
import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from support import containers as c
from support import images, leaks
from support.api import Api, Response
from support.cli import Cli
from support.daemon import Daemon
from support.hungfs import hung

pytestmark = [pytest.mark.requires("root", "overlayfs"), pytest.mark.timeout(120)]
MakeDaemon = Callable[..., Daemon]


@contextmanager
def small_disk(path: Path, size: str, *, inodes: int = 0) -> Iterator[Path]:
    """Mount a file system of its own at *path*; *inodes* 0: as many as it likes."""
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={size},nr_inodes={inodes},mode=711"
    mount = ["mount", "-t", "tmpfs", "-o", options, "small", str(path)]
    subprocess.run(mount, check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(directory: Path) -> Path:
    """Leave no room in *directory*; return what takes it."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return ballast


def test_fault_4_a_full_data_root_is_said_and_got_over(kit_root: Path) -> None:
    """Nothing runs half; what runs goes on; with space again all works, without a restart."""
    root = kit_root / "full"
    with small_disk(root / "d", "48m"):
        daemon = Daemon(root).start()
        try:
            daemon.load(images.busybox())
            api = daemon.api
            running = c.sleeper(api)
            ballast = fill(root / "d")
            archive = images.busybox("more:1", extra=(images.Entry("big", b"x" * 200_000),))
            loaded = api.request("POST", "/images/load", archive)
            assert loaded.status >= 400 or "error" in loaded.lines()[-1]
            body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
            for _ in range(3):
                made = api.post("/containers/create", body)
                assert made.status in {201, 500}
                assert made.status == 201 or "full" in made.message or "space" in made.message
            assert running in {x["Id"] for x in api.get("/containers/json").ok().json()}
            assert c.state(api, running)["Running"] is True
            api.get("/info").ok()
            assert api.post(f"/containers/{running}/kill").status in {204, 500}
            ballast.unlink()
            assert c.wait(api, running) == 137
            daemon.load(archive)
            assert c.ask(api, "echo", "again") == "again"
            daemon.restart(kill=True)
            assert c.ask(api, "echo", "again") == "again"
            daemon.clean()
        finally:
            (root / "d" / "ballast").unlink(missing_ok=True)
            daemon.destroy()


def test_fault_4_a_restart_by_policy_goes_on_when_there_is_room_again(kit_root: Path) -> None:
    """However often it met the full disk meanwhile."""
    root = kit_root / "full-policy"
    with small_disk(root / "d", "48m"):
        daemon = Daemon(root, flags=["--debug"]).start()
        try:
            daemon.load(images.busybox())
            host = {"RestartPolicy": {"Name": "always"}, "NetworkMode": "none"}
            container_id = c.sleeper(daemon.api, host=host)
            ballast = fill(root / "d")
            os.kill(c.state(daemon.api, container_id)["Pid"], signal.SIGKILL)
            c.until(lambda: daemon.log_tail(99_999).count("restart failed") >= 3, 30)
            ballast.unlink()
            c.until(lambda: c.state(daemon.api, container_id)["Status"] == "running", 30)
            daemon.clean()
        finally:
            daemon.destroy()


def test_fault_4_a_purge_of_a_full_disk_takes_all_down(kit_root: Path) -> None:
    root = kit_root / "full-purge"
    with small_disk(root / "d", "48m"):
        before = leaks.take(root, ())
        daemon = Daemon(root).start()
        try:
            daemon.load(images.busybox())
            running = c.sleeper(daemon.api, host={"NetworkMode": "bridge"})
            pid = c.state(daemon.api, running)["Pid"]
            marks = daemon.marks() | {running}
            fill(root / "d")
            daemon.kill()
            daemon.destroy()
            assert c.is_dead(pid)
            assert "could be taken down" not in daemon.log_tail()
            leaks.assert_none(before, root, marks)
        finally:
            (root / "d" / "ballast").unlink(missing_ok=True)
            daemon.destroy()


def test_fault_4_a_build_that_fills_the_disk_gives_all_of_it_back(kit_root: Path) -> None:
    """A command, a context and a COPY that find no room; the cache serves the next build."""
    root = kit_root / "full-build"
    with small_disk(root / "d", "48m") as disk:
        daemon = Daemon(root).start()

        def build(dockerfile: str, size: int = 0) -> tuple[str, int]:
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as tar:
                for name, content in (("Dockerfile", dockerfile.encode()), ("f", b"x" * size)):
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
            answer = daemon.api.post("/build", out.getvalue(), networkmode="none")
            free = os.statvfs(disk)
            return answer.body.decode(), free.f_bavail * free.f_frsize

        try:
            daemon.load(images.busybox())
            small = "FROM busybox\nRUN echo small > /f\n"
            said, free = build(small)
            assert "Successfully built" in said
            fill_up = "dd if=/dev/zero of=/big bs=1M count=99"
            for dockerfile, size, reason in (
                (f"FROM busybox\nRUN {fill_up}\n", 0, "returned a non-zero code: 1"),
                ("FROM busybox\nCOPY f /f\n", 99_000_000, "context: no space left on device"),
                ("FROM busybox\nCOPY f /f\n", 30_000_000, "no space left on device"),
            ):
                said, left = build(dockerfile, size)
                assert reason in said
                assert left > free - 3_000_000, reason
            assert "Using cache" in build(small)[0]
            daemon.clean()
        finally:
            daemon.destroy()


class Ailing:
    """A daemon whose disk ails: what it is asked then is answered with the reason."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon, self.api = daemon, daemon.api
        self.running = c.sleeper(self.api, name="running")
        self.stopped = c.create(self.api, name="stopped")

    def try_everything(self, reason: str) -> None:
        """Ask for all that writes; nothing of it may be half done, or fail for another reason."""
        api = self.api
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
        more = images.busybox("more:1", extra=(images.Entry("big", b"x" * 200_000),))
        answers = {
            "create": api.post("/containers/create", body),
            "start": api.post("/containers/stopped/start"),
            "load": api.request("POST", "/images/load", more),
            "volume": api.post("/volumes/create", {"Name": "ailing"}),
            "commit": api.post("/commit", container=self.running, repo="ailing"),
            "exec": api.post("/containers/running/exec", {"Cmd": ["true"]}),
            "copy": api.request("PUT", "/containers/running/archive", b"", query={"path": "/"}),
            "rename": api.post("/containers/running/rename", name="renamed"),
            "back": api.post("/containers/renamed/rename", name="running"),
            "remove": api.delete("/containers/stopped", force=True),
        }
        for what, answer in answers.items():
            well = answer.status < 300 and b"errorDetail" not in answer.body
            assert well or reason in answer.body.decode().lower(), (what, answer.body)
        for path in ("/containers/json", "/images/json", "/volumes", "/networks", "/info"):
            api.get(path).ok()
        api.get("/system/df").ok()
        api.get("/containers/json", all=True, size=True).ok()
        assert c.state(api, self.running)["Running"] is True

    def demand_health(self) -> None:
        """All works again, without a restart and behind one; nothing is in the way."""
        for _ in range(2):
            assert c.ask(self.api, "echo", "again") == "again"
            self.daemon.load(images.busybox("more:2"))
            self.api.post("/volumes/create", {"Name": "ailing"}).ok(201)
            assert c.exec_(self.api, self.running, "echo", "on") == (0, "on\n")
            self.api.get("/system/df").ok()
            self.daemon.restart(kill=True)
        self.daemon.clean()


@pytest.fixture
def ailing() -> Iterator[Callable[[Path], Ailing]]:
    """Return a maker of a daemon below a directory; afterwards it is gone."""
    with ExitStack() as undo:

        def make(root: Path) -> Ailing:
            daemon = Daemon(root).start()
            undo.callback(daemon.destroy)
            daemon.load(images.busybox())
            return Ailing(daemon)

        yield make


def test_fault_4_a_data_root_that_has_become_read_only(
    kit_root: Path, ailing: Callable[[Path], Ailing]
) -> None:
    """As ext4 makes itself after an error of the disk."""
    root = kit_root / "readonly"
    with small_disk(root / "d", "64m") as disk:
        patient = ailing(root)
        subprocess.run(["mount", "--bind", disk, disk], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
            patient.try_everything("read-only file system")
        finally:
            subprocess.run(["umount", "-l", disk], check=True)
        patient.demand_health()
        patient.daemon.destroy()


@pytest.mark.parametrize("where", ["d", "e"])
def test_fault_4_and_5_no_inodes_are_left(
    kit_root: Path, ailing: Callable[[Path], Ailing], where: str
) -> None:
    """On the data-root, and on /run: there is space, but no file can be made."""
    root = kit_root / f"inodes-{where}"
    with small_disk(root / where, "64m", inodes=2000) as disk:
        patient = ailing(root)
        ballast = disk / "ballast"
        ballast.mkdir()
        with suppress(OSError):
            for number in itertools.count():
                (ballast / str(number)).touch()
        patient.try_everything("no space left on device")
        shutil.rmtree(ballast)
        patient.demand_health()
        patient.daemon.destroy()


def test_fault_4_a_full_exec_root(kit_root: Path, ailing: Callable[[Path], Ailing]) -> None:
    root = kit_root / "full-run"
    with small_disk(root / "e", "4m") as disk:
        patient = ailing(root)
        ballast = fill(disk)
        patient.try_everything("no space left on device")
        ballast.unlink()
        patient.demand_health()
        patient.daemon.destroy()


def test_fault_4_a_full_log_disk_stops_no_program(daemon: Daemon) -> None:
    api = daemon.api
    script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 7"
    container_id = c.create(api, "sh", "-c", script)
    directory = daemon.data_root / "containers" / container_id
    with small_disk(directory, "128k"):
        api.post(f"/containers/{container_id}/start").ok(204)
        assert c.wait(api, container_id) == 7
        api.get(f"/containers/{container_id}/logs", stdout=True).ok()
    api.delete(f"/containers/{container_id}", force=True).ok()


def test_fault_5_no_descriptors_are_left(daemon: Daemon) -> None:
    """Requests fail with a reason, the daemon lives, and recovers when there are some again."""
    api = daemon.api
    running = c.sleeper(api)
    usual = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))
    try:
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 4, usual[1]))
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
        for _ in range(4):
            try:
                made = api.request("POST", "/containers/create", body, timeout=5)
                if made.status == 201:
                    api.request("POST", f"/containers/{made.json()['Id']}/start", timeout=5)
            except OSError:
                continue
    finally:
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, usual)
    c.until(lambda: api.get("/_ping").status == 200)
    assert c.state(api, running)["Running"] is True
    assert c.exec_(api, running, "echo", "on") == (0, "on\n")
    assert c.ask(api, "echo", "fine") == "fine"


def test_fault_5_no_process_or_thread_is_to_be_had(
    daemon: Daemon, moor: Cli, no_more_processes: Callable[[Daemon], AbstractContextManager[None]]
) -> None:
    """Each says why, nothing is half done, and what needs none goes on."""
    api = daemon.api
    running = c.sleeper(api)
    with no_more_processes(daemon):
        for _ in range(3):
            failed = moor.run("run", "--rm", "-p", "80", "busybox", "true").err
            assert "at a limit of processes" in failed or "temporarily unavailable" in failed
            answers = [
                api.request("POST", "/images/load", images.busybox("more:1")),
                api.post("/networks/create", {"Name": "none-to-be-had"}),
                api.request("GET", f"/containers/{running}/archive", query={"path": "/etc"}),
                api.post("/build", images.layer([images.Entry("Dockerfile", b"FROM busybox")])),
            ]
            for answer in answers:
                assert answer.status != 500 or "limit of processes" in answer.message
        assert [x["Id"] for x in api.get("/containers/json").ok().json()] == [running]
    assert c.ask(api, "echo", "fine", host={"NetworkMode": "bridge"}) == "fine"
    assert api.delete("/networks/none-to-be-had").status in {204, 404}
    assert api.delete("/images/more:1").status in {200, 404}


@pytest.fixture
def no_more_processes() -> Iterator[Callable[[Daemon], AbstractContextManager[None]]]:
    """Return what puts a daemon, and all it has started, in a group that may have no more."""
    group = Path("/sys/fs/cgroup/pids") / f"moorage-test-{os.getpid()}"
    if not group.parent.is_dir():
        group = Path("/sys/fs/cgroup") / group.name
    group.mkdir()
    if not (group / "pids.max").exists():
        group.rmdir()
        pytest.skip("this host limits no processes")

    @contextmanager
    def limited(daemon: Daemon) -> Iterator[None]:
        members = group / "cgroup.procs"
        before = Path(f"/proc/{daemon.pid}/cgroup").read_text()
        members.write_text(str(daemon.pid))
        (group / "pids.max").write_text((group / "pids.current").read_text())
        try:
            yield
        finally:
            (group / "pids.max").write_text("max")
            home = group.parent / next(
                line.split(":", 2)[2].strip("/\n")
                for line in before.splitlines()
                if ":pids:" in line or line.startswith("0::")
            )
            for pid in members.read_text().split():
                (home / "cgroup.procs").write_text(pid)

    yield limited
    group.rmdir()


def test_fault_7_a_fork_bomb_stays_within_its_limit(api: Api) -> None:
    bomb = "f() { f | f & f; }; echo begun; f"
    container_id = c.run(api, "sh", "-c", bomb, host={"PidsLimit": 40, "NanoCpus": 500_000_000})
    c.until(lambda: "begun" in c.output(api, container_id))
    assert [x["Id"] for x in api.get("/containers/json", all=True).ok().json()] == [container_id]
    assert c.ask(api, "echo", "fine") == "fine"
    api.delete(f"/containers/{container_id}", force=True).ok(204)


@pytest.mark.parametrize(
    "flood",
    [
        "yes | head -c 1000000",
        "head -c 20000000 /dev/zero",
        "head -c 8000000 /dev/urandom",
        "yes | tr -d '\\n' | head -c 20000000",
        "exec >&- 2>&-; sleep 0.2",
    ],
)
def test_fault_7_floods_of_output_end_well(daemon: Daemon, flood: str) -> None:
    """No newline, no UTF-8, no end: the log rotates, the daemon answers, the exit code is known."""
    config = {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}}
    container_id = c.run(daemon.api, "sh", "-c", f"({flood}); exit 5", host={"LogConfig": config})
    daemon.api.get("/containers/json").ok()
    assert c.wait(daemon.api, container_id) == 5
    logs = (daemon.data_root / "containers" / container_id).glob("*.log*")
    assert sum(log.stat().st_size for log in logs) < 3 << 20
    daemon.api.get(f"/containers/{container_id}/logs", stdout=True, tail=3).ok()


def test_fault_11_what_hangs_holds_up_nobody_else(daemon: Daemon) -> None:
    """moby#33870: frozen from outside, and stopped by SIGSTOP together with its monitor."""
    api = daemon.api
    frozen, stopped, well = (c.sleeper(api, name=n) for n in ("frozen", "stopped", "well"))
    api.post(f"/containers/{frozen}/pause").ok(204)
    monitor = c.parent(c.inspect(api, stopped)["State"]["Pid"])
    os.kill(monitor, signal.SIGSTOP)
    asked = [
        threading.Thread(target=work)
        for work in (
            lambda: api.post(f"/containers/{stopped}/exec", {"Cmd": ["true"]}),
            lambda: api.post(f"/containers/{stopped}/stop", t=1),
            lambda: api.post(f"/containers/{stopped}/restart", t=1),
            lambda: api.get(f"/containers/{stopped}/stats", stream=False),
        )
    ]
    try:
        for thread in asked:
            thread.start()
        since = time.time()
        for path in (
            "/containers/json?all=1&size=1",
            f"/containers/{stopped}/json",
            f"/containers/{frozen}/json",
            "/info",
            "/system/df",
            "/_ping",
        ):
            assert api.request("GET", path.partition("?")[0], timeout=10).status == 200, path
        assert c.exec_(api, well, "echo", "on") == (0, "on\n")
        api.post(f"/containers/{well}/restart", t=5).ok(204)
        assert "restart" in {e["Action"] for e in api.events(since)}
    finally:
        os.kill(monitor, signal.SIGCONT)
        for thread in asked:
            thread.join(60)
    assert not any(thread.is_alive() for thread in asked)
    api.post(f"/containers/{frozen}/unpause").ok(204)


@pytest.mark.requires("fuse")
def test_fault_11_a_file_system_that_hangs_holds_up_who_asked_for_it_alone(
    daemon: Daemon, tmp_path: Path
) -> None:
    """moby#33870: more callers than any pool has threads wait for a dead NFS server."""
    api = daemon.api
    well = c.sleeper(api, name="well")
    volume = {"type": "none", "o": "bind", "device": f"{tmp_path}/hung/x"}
    api.post("/volumes/create", {"Name": "dead", "DriverOpts": volume}).ok(201)
    answers: list[Response] = []

    def ask(number: int) -> None:
        kinds: tuple[dict[str, Any], ...] = (
            {"Binds": [f"{tmp_path}/hung/x:/x"]},
            {"Mounts": [{"Type": "bind", "Source": f"{tmp_path}/hung/x", "Target": "/x"}]},
            {"Mounts": [{"Type": "volume", "Source": "dead", "Target": "/x"}]},
            {"Devices": [{"PathOnHost": f"{tmp_path}/hung/x", "PathInContainer": "/dev/x"}]},
            {"Binds": [f"{tmp_path}/hung/x:/proc"]},
        )
        host = {"NetworkMode": "none", **kinds[number % len(kinds)]}
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": host}
        made = api.post("/containers/create", body, name=f"stuck{number}")
        answers.append(made)
        if made.status == 201:
            answers.append(api.post(f"/containers/stuck{number}/start"))

    asked = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    with hung(tmp_path / "hung") as dead:
        for thread in asked:
            thread.start()
        dead.wait_asked()
        for path in ("/containers/json?all=1&size=1", "/info", "/system/df", "/volumes", "/events"):
            query = "&until=1" if "?" in path else "?until=1"
            head = f"GET {api.prefix}{path}{query} HTTP/1.1\r\nHost: d\r\n\r\n"
            assert api.exchange(head.encode(), timeout=20).startswith(b"HTTP/1.1 200"), path
        assert c.exec_(api, well, "echo", "on") == (0, "on\n")
        assert c.ask(api, "echo", "fine") == "fine"
        api.post(f"/containers/{well}/restart", t=5).ok(204)
        assert any(thread.is_alive() for thread in asked)
        dead.give_up()
        for thread in asked:
            thread.join(40)
    assert not any(thread.is_alive() for thread in asked)
    failed = [answer for answer in answers if answer.status not in {201, 204}]
    assert {answer.status for answer in failed} <= {400, 500}
    assert not [answer.message for answer in failed if "internal error" in answer.message]


@pytest.mark.requires("fuse")
def test_fault_7_a_process_that_no_signal_ends(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    """It sleeps in the kernel (D): it is listed, and its end is seen when it comes."""
    daemon = make_daemon().start()
    api = daemon.api
    daemon.load(images.busybox())
    with hung(tmp_path / "hung") as dead:
        stuck = c.run(api, "ls", "/x/y", name="stuck", host={"Binds": [f"{tmp_path}/hung:/x"]})
        dead.wait_asked()
        refused = api.post(f"/containers/{stuck}/kill")
        assert refused.status == 500
        assert "tried to kill container, but did not receive an exit event" in refused.message
        assert c.state(api, stuck)["Running"] is True
        assert api.get(f"/containers/{stuck}/top").ok().json()["Processes"]
        assert c.ask(api, "echo", "fine") == "fine"
        daemon.restart(kill=True)
        assert c.state(api, stuck)["Running"] is True
        dead.give_up()
        assert c.wait(api, stuck) == 137
    api.delete(f"/containers/{stuck}").ok(204)


@pytest.mark.requires("fuse")
def test_fault_11_a_daemon_that_something_holds_up_still_stops(
    make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    daemon = make_daemon(config={"shutdown-timeout": 1}).start()
    api = daemon.api
    daemon.load(images.busybox())
    with hung(tmp_path / "hung") as dead:
        stuck = c.create(api, host={"Binds": [f"{tmp_path}/hung/x:/x"]})
        asked = threading.Thread(target=lambda: _quietly(api, f"/containers/{stuck}/start"))
        asked.start()
        dead.wait_asked()
        process = daemon.process
        assert process is not None
        process.terminate()
        c.until(lambda: not _is_serving(daemon), 25)
        dead.give_up()
        process.wait(20)
        asked.join(20)
    assert "forced to end" in daemon.log_tail()
    daemon.start()
    assert c.state(api, stuck)["Running"] is False
    api.delete(f"/containers/{stuck}").ok(204)


def _quietly(api: Api, path: str) -> None:
    with suppress(OSError, HTTPException):
        api.post(path)


def _is_serving(daemon: Daemon) -> bool:
    """Whether the process is more than what the kernel cannot end yet."""
    try:
        return (Path(f"/proc/{daemon.pid}/fd") / "1").exists() and not c.is_dead(daemon.pid)
    except OSError:
        return False


def test_fault_2_a_killed_monitor_leaves_no_container_that_runs_for_ever(api: Api) -> None:
    """Its process is still stopped, its end is known, and it can be started again."""
    container_id = c.sleeper(api)
    pid = c.inspect(api, container_id)["State"]["Pid"]
    os.kill(c.parent(pid), signal.SIGKILL)
    api.post(f"/containers/{container_id}/stop", t=2).ok(204, 304)
    c.until(lambda: c.state(api, container_id)["Running"] is False)
    c.until(lambda: c.is_dead(pid))
    api.post(f"/containers/{container_id}/start").ok(204)
    api.delete(f"/containers/{container_id}", force=True).ok(204)


class JumpingDaemon(Daemon):
    """A daemon whose wall clock is off by as many seconds as the file ``offset`` says."""

    def jump(self, seconds: int) -> None:
        """Set the clock, for the daemon and for who asks it for its past."""
        fresh = self.root / "offset.new"
        fresh.write_text(str(seconds))
        fresh.rename(self.root / "offset")  # whole: the daemon reads it all the time
        self.api.clock = lambda: time.time() + seconds

    @property
    def command(self) -> list[str]:
        code = (
            "import runpy, sys, time; from pathlib import Path; offset = Path(sys.argv.pop(1));"
            "real = time.time_ns;"
            "time.time_ns = lambda: real() + int(offset.read_text()) * 10**9;"
            "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
        )
        return [sys.executable, "-c", code, str(self.root / "offset"), *super().command]


@pytest.mark.parametrize("jump", [31536000, -31536000])
def test_fault_12_the_clock_jumps_by_a_year(kit_root: Path, jump: int) -> None:
    """Health checks, restarts, stops and streams go on: durations do not read the wall clock."""
    daemon = JumpingDaemon(kit_root / "jumping")
    daemon.jump(0)
    daemon.start()
    try:
        api = daemon.api
        daemon.load(images.busybox())
        check = {"Test": ["CMD", "true"], "Interval": 200_000_000, "Timeout": 5_000_000_000}
        watched = c.sleeper(api, Healthcheck=check)
        again = c.run(
            api, "sh", "-c", "sleep 0.1; exit 1", host={"RestartPolicy": {"Name": "always"}}
        )
        c.until(lambda: c.state(api, watched)["Health"]["Status"] == "healthy")
        until = f"{time.time() + 2:.6f}"
        events = api.stream("/events", until=until)
        next(events, None)
        path = f"/containers/{watched}/logs?follow=1&stdout=1&until={until}"
        log = api.raw(f"GET {path} HTTP/1.0\r\n\r\n".encode(), timeout=30)
        with closing(log), log.makefile("rb") as lines:
            while b"up" not in lines.readline():
                pass
            daemon.jump(jump)
            assert {e["scope"] for e in events} <= {"local"}, "and it has ended"
            assert lines.read(1) in {b"", b"0"}
        seen = len(c.state(api, watched)["Health"]["Log"][-1]["Start"])
        assert seen
        last = c.state(api, watched)["Health"]["Log"][-1]["Start"]
        c.until(lambda: c.state(api, watched)["Health"]["Log"][-1]["Start"] != last)
        count = c.inspect(api, again)["RestartCount"]
        c.until(lambda: c.inspect(api, again)["RestartCount"] > count, 20)
        api.post(f"/containers/{watched}/stop", t=30).ok(204)
        assert c.state(api, watched)["ExitCode"] == 0, "it was given its time, and no more"
        assert len(api.get("/containers/json", all=True).ok().json()) == 2
        assert c.ask(api, "echo", "fine") == "fine"
        daemon.restart(kill=True)
        assert c.ask(api, "echo", "fine") == "fine"
        daemon.clean()
    finally:
        daemon.destroy()

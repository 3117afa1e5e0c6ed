"""Containers outlive the daemon, unless it is told otherwise; both ways in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support import images
from support.cli import Cli
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root", "docker")

MakeDaemon = Callable[..., Daemon]
LOOP = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done"


def start(make_daemon: MakeDaemon, home: Path, **config: object) -> tuple[Daemon, Cli]:
    daemon = make_daemon(config=config).start()
    daemon.load(images.busybox())
    docker = Cli("docker", daemon.socket, home)
    docker("run", "-d", "--name", "web", "busybox", "sh", "-c", LOOP)
    return daemon, docker


def pid_of(docker: Cli) -> int:
    return int(docker("inspect", "-f", "{{.State.Pid}}", "web"))


@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGKILL"])
def test_a_container_runs_on_while_the_daemon_is_away(
    make_daemon: MakeDaemon,
    tmp_path: Path,
    kill: bool,  # noqa: FBT001
) -> None:
    daemon, docker = start(make_daemon, tmp_path)
    pid = pid_of(docker)
    if kill:
        daemon.kill()
    else:
        assert daemon.stop() == 0
    assert Path(f"/proc/{pid}").exists()
    daemon.start()
    assert pid_of(docker) == pid
    assert docker("exec", "web", "echo", "in") == "in"
    assert docker("logs", "web") == "up"
    docker("stop", "web")
    assert docker("logs", "web") == "up\nbye"
    assert docker("inspect", "-f", "{{.State.ExitCode}}", "web") == "3"


def test_without_live_restore_the_daemon_stops_its_containers_first(
    make_daemon: MakeDaemon, tmp_path: Path
) -> None:
    daemon, docker = start(make_daemon, tmp_path, **{"live-restore": False})
    pid = pid_of(docker)
    assert docker("info", "-f", "{{.LiveRestoreEnabled}}") == "false"
    assert daemon.stop() == 0
    assert not Path(f"/proc/{pid}").exists()
    daemon.start()
    assert docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "web") == "exited 3"
    assert docker("logs", "web") == "up\nbye"


def test_live_restore_is_taken_over_by_a_reload(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    daemon, docker = start(make_daemon, tmp_path)
    pid = pid_of(docker)
    daemon.configure({"live-restore": False})
    daemon.reload()
    assert daemon.stop() == 0
    assert not Path(f"/proc/{pid}").exists()

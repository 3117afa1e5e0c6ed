"""The daemon as a process: start, stop, signals, sockets, roots of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from support.api import Api, wall_clock
from support.daemon import BIN, Daemon, free_port

pytestmark = pytest.mark.requires("root")

MakeDaemon = Callable[..., Daemon]


def test_ping_answers_with_what_clients_look_for(api: Api) -> None:
    response = api.at("").get("/_ping").ok()
    assert response.body == b"OK"
    assert response.headers["api-version"] == "1.55"
    assert response.headers["ostype"] == "linux"
    assert response.headers["builder-version"] == "1"
    assert response.headers["swarm"] == "inactive"
    head = api.at("").request("HEAD", "/_ping").ok()
    assert head.headers["content-length"] == "0"
    assert head.headers["api-version"] == "1.55"


def test_a_crowd_of_clients_waits_in_the_line_of_a_busy_daemon(make_daemon: MakeDaemon) -> None:
    """Clients of Go take EAGAIN, which a full line of a Unix socket gives, for the end."""
    daemon = make_daemon().start()
    with ExitStack() as crowd:
        daemon.signal(signal.SIGSTOP)
        try:
            for _ in range(300):
                client = crowd.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)  # noqa: FBT003
                client.connect(str(daemon.socket))
        finally:
            daemon.signal(signal.SIGCONT)
        assert daemon.api.get("/_ping").status == 200


def test_a_second_daemon_on_the_same_roots_is_refused(make_daemon: MakeDaemon) -> None:
    first = make_daemon().start()
    second = Daemon(first.root, flags=["-H", f"unix://{first.root}/other"])
    assert second.spawn().wait(10) == 1
    refusal = f"data-root {first.data_root} is in use by another daemon (pid {first.pid})"
    assert refusal in first.log_tail()
    assert first.api.get("/_ping").status == 200


def test_daemons_with_roots_of_their_own_run_side_by_side(make_daemon: MakeDaemon) -> None:
    first, second = make_daemon().start(), make_daemon().start()
    ids = {daemon.api.get("/info").json()["ID"] for daemon in (first, second)}
    assert len(ids) == 2
    subnets = set()
    for daemon in (first, second):
        bridge = daemon.api.get("/networks/bridge").ok().json()
        subnets.add(bridge["IPAM"]["Config"][0]["Subnet"])
    assert len(subnets) == 2


def test_the_identity_survives_a_restart(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    before = daemon.api.get("/info").json()["ID"]
    assert daemon.restart().api.get("/info").json()["ID"] == before


def test_sigterm_leaves_neither_socket_nor_pid_file(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    assert int((daemon.root / "pid").read_text()) == daemon.pid
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660
    assert daemon.stop() == 0
    assert not daemon.socket.exists()
    assert not (daemon.root / "pid").exists()


def test_sigterm_ends_streams_that_would_never_end(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    with daemon.api.raw(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n") as stream:
        assert stream.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert daemon.stop() == 0


def test_a_killed_daemon_starts_again_over_its_socket_and_pid_file(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    daemon.kill()
    assert daemon.socket.exists()
    assert daemon.start().api.get("/_ping").status == 200


def test_what_is_no_socket_is_not_removed(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    daemon.socket.write_text("precious")
    assert daemon.spawn().wait(10) == 1
    assert "something that is no socket is there" in daemon.log_tail()
    assert daemon.socket.read_text() == "precious"


def test_a_socket_that_is_served_is_not_taken(make_daemon: MakeDaemon) -> None:
    first = make_daemon().start()
    second = make_daemon(flags=["-H", f"unix://{first.socket}"])
    assert second.spawn().wait(10) == 1
    assert "another process serves it" in second.log_tail()
    assert first.api.get("/_ping").status == 200


def test_validate_starts_nothing(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(config={"mtu": 1400})
    checked = subprocess.run([*daemon.command, "--validate"], capture_output=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, b"configuration OK\n")
    daemon.configure({"mtuu": 1400})
    refused = subprocess.run(
        [*daemon.command, "--validate"], capture_output=True, check=False, text=True
    )
    assert refused.returncode == 1
    assert "don't match any configuration option: mtuu (did you mean mtu?)" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not daemon.data_root.exists()


def test_sighup_takes_over_what_can_change(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(config={"labels": ["a=1"]}).start()
    assert daemon.api.get("/info").json()["Labels"] == ["a=1"]
    since = wall_clock()
    daemon.configure({"labels": ["b=2"], "debug": True, "mtu": 1400})
    events = daemon.api.stream("/events", since=f"{since:.6f}", filters={"type": ["daemon"]})
    daemon.signal(signal.SIGHUP)
    event = next(events)
    events.close()
    assert event["Action"] == "reload"
    assert event["Actor"]["Attributes"]["labels"] == '["b=2"]'
    info = daemon.api.get("/info").json()
    assert (info["Labels"], info["Debug"]) == (["b=2"], True)
    assert "mtu has changed; it counts from the next start on" in daemon.log_tail()


def test_sighup_with_a_bad_file_changes_nothing(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(config={"labels": ["a=1"]}).start()
    daemon.configure({"labels": "nonsense"})
    daemon.signal(signal.SIGHUP)
    deadline = time.monotonic() + 5
    while "the configuration is not reloaded" not in daemon.log_tail():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert daemon.api.get("/info").json()["Labels"] == ["a=1"]


def test_sockets_handed_over_by_systemd_are_served(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    handed = socket.socket(socket.AF_UNIX)
    handed.bind(str(daemon.root / "h"))
    handed.listen()
    # What systemd does: the socket is descriptor 3, and the variables name the process.
    launcher = (
        "import os, sys; os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [part if not part.startswith("unix://") else "fd://" for part in daemon.command]

    def as_third() -> None:
        os.dup2(handed.fileno(), 3, inheritable=True)

    with daemon.log.open("ab") as log:
        daemon.process = subprocess.Popen(
            [sys.executable, "-c", launcher, *command],
            stdout=log,
            stderr=log,
            preexec_fn=as_third,  # noqa: PLW1509 - the test has no threads
            close_fds=False,
        )
    api = Api(daemon.root / "h")
    assert api.get("/_ping").status == 200
    daemon.stop()
    assert (daemon.root / "h").exists(), "the socket is systemd's, not ours to remove"
    handed.close()


def test_metrics_are_prometheus_text(make_daemon: MakeDaemon) -> None:
    port = free_port()
    daemon = make_daemon(flags=["--metrics-addr", f"127.0.0.1:{port}"]).start()
    daemon.api.get("/containers/json").ok()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        text = response.read().decode()
    assert 'engine_daemon_container_states_containers{state="running"} 0' in text
    assert 'moorage_api_requests_total{operation="ContainerList",status="200"} 1' in text


def test_the_program_says_its_version_and_its_flags() -> None:
    version = subprocess.run([BIN / "moord", "-v"], capture_output=True, check=True, text=True)
    assert version.stdout.startswith("Moorage version ")
    usage = subprocess.run([BIN / "moord", "--help"], capture_output=True, check=True, text=True)
    assert "--data-root" in usage.stdout


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/swarm/join", {}, 400, 'invalid ListenAddr "": invalid empty address'),
        ("/swarm/join", {"ListenAddr": "x"}, 400, "at least 1 RemoteAddr is required to join"),
        (
            "/swarm/join",
            {"ListenAddr": "0.0.0.0:2377", "RemoteAddrs": ["192.0.2.1:2377"]},
            501,
            "this daemon cannot join a swarm",
        ),
        ("/swarm/update", {}, 400, "invalid swarm version '': strconv.ParseUint: parsing"),
        ("/swarm/update?version=1", {}, 503, "This node is not a swarm manager."),
        ("/nodes/n/update?version=x", {}, 400, "invalid node version 'x'"),
        ("/services/s/update", {}, 400, "invalid service version ''"),
        ("/secrets/s/update", {}, 400, "invalid secret version"),
        ("/configs/s/update?version=7", {}, 503, "This node is not a swarm manager."),
    ],
)
def test_a_daemon_in_no_swarm_looks_at_a_request_first(
    api: Api, path: str, body: dict[str, Any], status: int, message: str
) -> None:
    path, _, version = path.partition("?version=")
    response = api.request("POST", path, body, query={"version": version or None})
    assert (response.status, message in response.message) == (status, True), response.body


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/services/x/logs", 400, "Bad parameters: you must choose at least one stream"),
        ("/swarm", 503, "This node is not a swarm manager."),
        ("/services", 503, "This node is not a swarm manager."),
        ("/secrets/x", 503, "This node is not a swarm manager."),
        ("/plugins/privileges", 501, "managed plugins are not built yet"),
        ("/nope", 404, "page not found"),
    ],
)
def test_what_is_not_there_says_so(api: Api, path: str, status: int, message: str) -> None:
    response = api.get(path)
    assert response.status == status
    assert message in json.loads(response.body)["message"]

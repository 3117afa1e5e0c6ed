"""A ``moord`` with roots of its own, started, killed and started again by tests."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support import leaks
from support.api import Api, wall_clock

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 30.0
BIN = Path(sys.executable).parent


class Daemon:
    """One daemon below *root*: ``d`` data-root, ``e`` exec-root, ``s`` socket, ``log``.

    Names are short: the path of a Unix socket has 107 bytes.
    """

    def __init__(
        self,
        root: Path,
        *,
        flags: Sequence[str] = (),
        config: Mapping[str, object] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root
        self.data_root = root / "d"
        self.exec_root = root / "e"
        self.socket = root / "s"
        self.log = root / "log"
        self.config_file = root / "daemon.json"
        self.flags = list(flags)
        self.env = dict(env or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.api = Api(self.socket)
        root.mkdir(parents=True, exist_ok=True)
        self.configure(config or {})

    def configure(self, config: Mapping[str, object]) -> None:
        """Write ``daemon.json``; it counts from the next start or reload on."""
        self.config_file.write_text(json.dumps(config))

    @property
    def instance(self) -> str:
        """The 8 digits in the names of this daemon's tables and links."""
        return hashlib.sha256(str(self.data_root.resolve()).encode()).hexdigest()[:8]

    @property
    def command(self) -> list[str]:
        """How it is started."""
        roots = ["--data-root", str(self.data_root), "--exec-root", str(self.exec_root)]
        files = ["--config-file", str(self.config_file), "--pidfile", str(self.root / "pid")]
        return [str(BIN / "moord"), *roots, *files, "-H", f"unix://{self.socket}", *self.flags]

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it without waiting for anything."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *self.command],  # not to outlive the tests
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
                cwd="/",
            )
        return self.process

    def start(self) -> Daemon:
        """Start it and wait until it answers."""
        process = self.spawn()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if process.poll() is not None:
                raise AssertionError(f"moord ended with {process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"moord does not answer:\n{self.log_tail()}")
            time.sleep(0.02)
        return self

    def _answers(self) -> bool:
        try:
            return self.api.get("/_ping").status == 200
        except OSError:
            return False

    def log_tail(self, size: int = 6000) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    @property
    def pid(self) -> int:
        """The process id of the running daemon."""
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """Stop it in order; return its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(0.2)
            self.kill()
            raise AssertionError(f"moord does not stop:\n{self.log_tail()}") from None
        finally:
            self.process = None

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self, *, kill: bool = False) -> Daemon:
        """Stop it, or kill it, and start it again."""
        if kill:
            self.kill()
        else:
            self.stop()
        return self.start()

    def reload(self) -> None:
        """Let it read ``daemon.json`` again, and wait until it has."""
        since = wall_clock()
        events = self.api.stream("/events", since=f"{since:.6f}", filters={"event": ["reload"]})
        self.signal(signal.SIGHUP)
        next(events)
        events.close()

    def load(self, archive: bytes) -> Any:
        """Load an image archive."""
        lines = self.api.request("POST", "/images/load", archive).ok().lines()
        assert "error" not in lines[-1], lines[-1]
        return lines

    def marks(self, since: float = 0.0) -> set[str]:
        """Return what tells our things on the host from others': digits, bridges, recent ids."""
        marks = {self.instance}
        for network in self.api.get("/networks").ok().json():
            bridge = (network["Options"] or {}).get("com.docker.network.bridge.name")
            marks |= {leaks.link_mark(leaks.NET / bridge)} if bridge else set()
        for event in self.api.events(since, type=["container", "network"]):
            marks.add(event["Actor"]["ID"])
        return marks - {""}  # a prune has no actor

    def clean(self) -> None:
        """Remove all containers, networks and volumes through the API."""
        for container in self.api.get("/containers/json", all=True).ok().json():
            self.api.delete(f"/containers/{container['Id']}", force=True, v=True).ok(204, 404, 409)
        self.api.post("/networks/prune").ok(200, 501)
        self.api.post("/volumes/prune", filters={"all": ["true"]}).ok(200, 501)

    def destroy(self) -> set[str]:
        """Stop it and take away everything it made; return the marks to look for then."""
        marks = {self.instance}
        if self.process is None or self.process.poll() is not None:
            self.process = None
        else:
            with suppress(OSError, AssertionError):  # it may be dead, or refuse to answer
                marks |= self.marks()
            self.stop()
        command = [str(BIN / "moord"), "--purge", "--data-root", str(self.data_root)]
        command += ["--exec-root", str(self.exec_root), "--config-file", os.devnull]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        with self.log.open("ab") as log:
            log.write(b"moord --purge:\n" + done.stderr)
        assert done.returncode == 0, f"moord --purge: {done.stderr.decode(errors='replace')}"
        return marks


@contextmanager
def temporary(parent: Path, **options: Any) -> Iterator[Daemon]:
    """Give a daemon with a root of its own below *parent*, not started; leave no trace of it."""
    daemon = Daemon(Path(tempfile.mkdtemp(prefix="t", dir=parent)), **options)
    try:
        yield daemon
    finally:
        marks = daemon.destroy()
        try:
            leaks.assert_none(leaks.Snapshot(), daemon.root, marks)
        except AssertionError as error:
            error.add_note(daemon.log_tail())
            raise


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

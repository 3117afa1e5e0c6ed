"""Other engines as peers: Debian's dockerd, podman and buildah, each with a store of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.cli import Cli

START_TIMEOUT_S = 60.0


@contextmanager
def _short_root() -> Iterator[Path]:
    """Lend a directory whose name leaves room for those of sockets below it."""
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as root:
        yield Path(root)


@contextmanager
def dockerd(driver: str = "vfs") -> Iterator[Cli]:
    """Run dockerd without a network; the context is a client of it, its files are in HOME/d."""
    with _short_root() as root, _dockerd(root, driver) as client:
        yield client


@contextmanager
def _dockerd(root: Path, driver: str) -> Iterator[Cli]:
    socket = root / "s"
    (root / "config").write_text("{}")
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "dockerd", "--data-root", root / "d",
             "--exec-root", root / "e", "--pidfile", root / "pid", "-H", f"unix://{socket}",
             "--storage-driver", driver, "--iptables=false", "--bridge=none",
             "--config-file", root / "config"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    client = Cli("docker", socket, root)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while client.run("version").code != 0:
            assert process.poll() is None, (root / "log").read_text()[-3000:]
            assert time.monotonic() < deadline, "dockerd does not answer"
            time.sleep(0.1)
        yield client
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def containers(driver: str = "vfs") -> Iterator[Containers]:
    """Lend podman and buildah an empty store."""
    with _short_root() as root:
        yield Containers(root, driver)


class Containers:
    """podman and buildah on one store below *root*."""

    def __init__(self, root: Path, driver: str) -> None:
        self._store = ["--root", str(root / "store"), "--runroot", str(root / "run")]
        self._store += ["--storage-driver", driver]

    def podman(self, *arguments: str | Path) -> str:
        """Run podman; return what it printed."""
        return self._run("podman", *self._store, "--events-backend", "none", *arguments)

    def buildah(self, *arguments: str | Path) -> str:
        """Run buildah; return what it printed."""
        return self._run("buildah", *self._store, *arguments)

    def _run(self, *command: str | Path) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120,
            env={"PATH": os.environ["PATH"], "HOME": "/root"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def skopeo(*arguments: str | Path) -> str:
    """Run skopeo; return what it printed."""
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

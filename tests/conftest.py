"""Fixtures of all tests that need more than Python."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import images, leaks, needs
from support.api import Api
from support.cli import Cli
from support.daemon import BIN, Daemon, temporary


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what the machine cannot do; in CI only what is known to be missing there."""
    for mark in item.iter_markers("requires"):
        missing = [need for need in mark.args if not needs.is_met(need)]
        if not missing:
            continue
        reason = f"needs {', '.join(missing)}"
        if os.environ.get("CI") == "true" and not set(missing) <= needs.MAY_BE_MISSING:
            pytest.fail(f"{reason}, and under CI=true this may not be missing")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def kit_root() -> Iterator[Path]:
    """A short path for daemons: the name of a Unix socket has 107 bytes."""
    root = Path(tempfile.mkdtemp(prefix="moor-"))
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="session")
def shared_daemon(kit_root: Path) -> Iterator[Daemon]:
    """One daemon with a ``busybox`` image, for all tests that leave it as they found it."""
    daemon = Daemon(kit_root / "m").start()
    try:
        daemon.load(images.busybox())
        yield daemon
    finally:
        leaks.assert_none(leaks.Snapshot(), daemon.root, daemon.destroy())


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Iterator[Daemon]:
    """The shared daemon; afterwards nothing of this test may be left, on it or on the host."""
    daemon = shared_daemon
    assert daemon.process is not None
    if daemon.process.poll() is not None:
        daemon.start()
    since = time.time()
    before = leaks.take(daemon.root, daemon.marks(since))
    yield daemon
    daemon.clean()
    leaks.assert_none(before, daemon.root, daemon.marks(since), alive=True)


@pytest.fixture
def make_daemon(kit_root: Path) -> Iterator[Callable[..., Daemon]]:
    """Return a maker of daemons of the test's own; afterwards they are gone without a trace.

    They may run side by side. Arguments are those of ``Daemon``; ``start`` it.
    """
    with ExitStack() as daemons:
        yield lambda **options: daemons.enter_context(temporary(kit_root, **options))


@pytest.fixture
def api(daemon: Daemon) -> Api:
    """A raw client of the shared daemon."""
    return daemon.api


@pytest.fixture
def docker(daemon: Daemon, tmp_path: Path) -> Cli:
    """The official client against the shared daemon."""
    return Cli("docker", daemon.socket, tmp_path)


@pytest.fixture
def moor(daemon: Daemon, tmp_path: Path) -> Cli:
    """Our client against the shared daemon."""
    return Cli(str(BIN / "moor"), daemon.socket, tmp_path)

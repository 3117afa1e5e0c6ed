import os
import subprocess
import sys
from pathlib import Path

import pytest

from moorage.daemon import ownership
from moorage.lib.errors import System


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "PATIENCE_S", 0.05)


def test_a_root_has_one_daemon(tmp_path: Path) -> None:
    with (
        ownership.locked(tmp_path, "data-root"),
        pytest.raises(System, match=f"in use by another daemon .pid {os.getpid()}"),
        ownership.locked(tmp_path, "data-root"),
    ):
        pass


def test_a_root_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with ownership.locked(tmp_path, "data-root"):
            pass


def test_a_pid_file_of_a_running_process_is_respected(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(System, match="is running"), ownership.pid_file(path):
        pass
    assert path.read_text() == f"{os.getppid()}\n"


def test_a_pid_file_of_a_dead_but_unreaped_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    dead = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    path.write_text(f"{dead.pid}\n")
    with ownership.pid_file(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()
    dead.wait()

"""``-v …:U``: the source's owner is seen as the container's user, and nothing changes on disk."""

import os
from pathlib import Path

import pytest

from moorage.kernel import mount as k
from support.cli import Cli
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root", "overlayfs")


def test_owner_and_user_change_places(docker: Cli, daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("x")
    (tmp_path / "other").write_text("x")
    for name, owner in {".": 4321, "theirs": 4321, "other": 77}.items():
        os.chown(tmp_path / name, owner, owner)
    shown = docker(
        *("run", "--rm", "--user", "1000:1000", "-v", f"{tmp_path}:/data:U", "busybox", "sh", "-c"),
        "touch /data/made && stat -c %u:%g /data /data/theirs /data/other /data/made",
    )
    assert shown.split() == ["1000:1000", "1000:1000", "77:77", "1000:1000"]
    made = (tmp_path / "made").stat()
    assert (made.st_uid, made.st_gid) == (4321, 4321)
    assert not [m for m in k.mountinfo() if m.target.startswith(f"{daemon.exec_root}/idmapped/")]
    assert not (daemon.exec_root / "idmapped").exists()


def test_a_volume_a_restart_and_the_words_beside_it(docker: Cli) -> None:
    mode = "data-of-u:/data:U,ro,z"
    docker("run", "-d", "--name", "owner", "--user", "1000", "-v", mode, "busybox", "sleep", "1000")
    for _ in range(2):
        assert docker("exec", "owner", "stat", "-c", "%u", "/data") == "1000"
        assert docker.run("exec", "owner", "touch", "/data/x").code != 0
        docker("restart", "-t", "0", "owner")
    docker("rm", "-f", "-v", "owner")
    docker("volume", "rm", "data-of-u")

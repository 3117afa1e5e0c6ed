"""Files of a container that try to lead ``cp``, mounts and look-ups out of it (F2, F3, F5)."""

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import containers as c
from support import images
from support.api import Api, Response
from support.daemon import Daemon
from support.images import Entry, directory, symlink
from support.swapping import swapping

pytestmark = pytest.mark.requires("root", "overlayfs")
LIBRARY = Path("/lib/x86_64-linux-gnu/libnss_files.so.2")


@pytest.fixture
def image(daemon: Daemon) -> Iterator[Callable[..., str]]:
    """Return a maker of an image on busybox with more files; it goes with the test."""
    tag = "hostile-files:1"

    def make(*entries: Entry) -> str:
        daemon.load(images.busybox(tag, extra=entries))
        return tag

    yield make
    for container in daemon.api.get("/containers/json", all=True).json():
        daemon.api.delete(f"/containers/{container['Id']}", force=True, v=True).ok()
    daemon.api.delete(f"/images/{tag}", force=True).ok()


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory of the host that nothing of a container may reach."""
    made = tmp_path / "canary"
    made.mkdir()
    (made / "secret").write_text("of the host")
    return made


def copy_in(api: Api, container_id: str, path: str, *entries: Entry) -> Response:
    target = f"/containers/{container_id}/archive"
    return api.request("PUT", target, images.layer(entries), query={"path": path})


def copy_out(api: Api, container_id: str, path: str) -> Response:
    return api.request("GET", f"/containers/{container_id}/archive", query={"path": path})


def test_f2_a_mount_target_swapped_for_a_link_while_files_are_copied(
    api: Api, tmp_path: Path, canary: Path
) -> None:
    """CVE-2026-42306: the target of one mount lies in a volume that somebody else changes."""
    shared, inner = tmp_path / "shared", tmp_path / "inner"
    shared.mkdir()
    inner.mkdir()
    binds = [f"{shared}:/v", f"{inner}:/v/d/made"]
    container_id = c.create(api, host={"Binds": binds})
    with swapping(shared, str(canary)):
        for _ in range(15):
            copy_in(api, container_id, "/v/d", Entry("planted", b"x"))
            copy_in(api, container_id, "/v/d/made", Entry("planted", b"x"))
            assert b"of the host" not in copy_out(api, container_id, "/v/d").body
    assert [entry.name for entry in canary.iterdir()] == ["secret"]


def test_f3_a_mount_target_is_made_inside_and_links_of_the_image_lead_inside(
    api: Api, image: Callable[..., str], tmp_path: Path, canary: Path
) -> None:
    """GHSA-vp62-88p7-qqf5, and what its first mend broke: /var/run is a link to /run."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "seen").write_text("through the mount")
    name = image(directory("run"), symlink("var/run", "/run"), symlink("evil", str(canary)))
    targets = ("/evil/made/deep", "/var/run/app/deep")
    host = {"Binds": [f"{tmp_path}/source:{target}" for target in targets]}
    script = "cat /var/run/app/deep/seen /run/app/deep/seen /evil/made/deep/seen"
    container_id = c.create(api, "sh", "-c", script, Image=name, host=host)
    for target in targets:  # not started yet: cp makes the targets
        copy_in(api, container_id, target, Entry("copied", b"x")).ok()
        assert copy_out(api, container_id, f"{target}/seen").status == 200
    assert (tmp_path / "source" / "copied").exists()
    assert [entry.name for entry in canary.iterdir()] == ["secret"]
    api.post(f"/containers/{container_id}/start").ok(204)
    assert c.wait(api, container_id) == 0
    assert c.output(api, container_id) == "through the mount" * 3
    assert [entry.name for entry in canary.iterdir()] == ["secret"]


def test_f5_no_library_of_a_container_is_loaded_by_the_daemon(
    api: Api, daemon: Daemon, image: Callable[..., str]
) -> None:
    """CVE-2019-14271: looking a name up inside a container must not load what that tells it to."""
    planted = [
        Entry(f"{place}/libnss_evil.so.2", LIBRARY.read_bytes(), mode=0o755)
        for place in ("lib", "lib64", "usr/lib", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
    ]
    evil = b"".join(b"%s: evil\n" % table for table in (b"passwd", b"group", b"hosts"))
    name = image(*planted, Entry("etc/nsswitch.conf", evil))
    container_id = c.sleeper(api, Image=name, User="tester:extra")
    assert c.exec_(api, container_id, "id", "-un", User="tester") == (0, "tester\n")
    owned = Entry("copied", b"x", tarfile.REGTYPE, uid=1000)
    copy_in(api, container_id, "/tmp", owned).ok()
    copy_out(api, container_id, "/etc").ok()
    api.get(f"/containers/{container_id}/top").ok()
    api.get(f"/containers/{container_id}/changes").ok()
    assert daemon.process is not None
    for process in (daemon.process.pid, *children(daemon.process.pid)):
        assert "libnss_evil" not in Path(f"/proc/{process}/maps").read_text()


def children(process: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{process}/task/{process}/children").read_text().split()]

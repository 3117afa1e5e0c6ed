"""Files of a container that try to lead ``cp`` and mounts out of it (F2, F3)."""

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

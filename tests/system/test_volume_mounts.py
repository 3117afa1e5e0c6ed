"""Volumes of the local driver that are mounts: they come with the first user, go with the last."""

# ruff: noqa: ASYNC240 - a test may touch files between two steps
import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from moorage.kernel import mount as k
from moorage.lib.errors import InvalidParameter, NotFound, System
from moorage.lib.tasks import Supervisor
from moorage.plugins.discovery import Discovery
from moorage.plugins.registry import Plugins
from moorage.storage.metadata import Database
from moorage.volumes import local
from moorage.volumes.service import Volumes

pytestmark = pytest.mark.requires("root")


class Events:
    def publish(self, kind: str, action: str, actor_id: str, attributes: dict[str, str], /) -> None:
        pass


Body = Callable[[Volumes], Awaitable[None]]
Run = Callable[[Body], None]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run a coroutine with open volumes; afterwards nothing may be mounted below the test."""
    database = Database(tmp_path / "moorage.db")

    def run(body: Body) -> None:
        async def work() -> None:
            volumes = Volumes(
                root=tmp_path / "volumes",
                exec_root=tmp_path / "exec",
                database=database,
                events=Events(),
                plugins=Plugins(Discovery((), ()), user_agent="test"),
                supervisor=Supervisor("test"),
            )
            await volumes.open()
            await body(volumes)

        asyncio.run(work())

    yield run
    database.close()
    left = [m.target for m in k.mountinfo() if m.target.startswith(f"{tmp_path}/")]
    for target in reversed(left):
        k.umount2(target, k.MNT_DETACH)
    assert left == []


def fstype(path: Path) -> list[str]:
    return [m.fstype for m in k.mountinfo() if m.target == str(path)]


def test_a_tmpfs_volume_is_mounted_for_the_first_and_unmounted_after_the_last(run: Run) -> None:
    async def body(volumes: Volumes) -> None:
        options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=0700,noexec"}
        made = await volumes.create("fast", options=options)
        path = Path(made.mountpoint)
        assert fstype(path) == []
        assert await volumes.mount("fast", "c1") == path
        assert await volumes.mount("fast", "c2") == path
        assert await volumes.mount("fast", "c2") == path
        assert fstype(path) == ["tmpfs"]
        assert os.statvfs(path).f_blocks * os.statvfs(path).f_frsize == 1 << 20
        assert path.stat().st_mode & 0o777 == 0o700
        await volumes.unmount("fast", "c1")
        await volumes.unmount("fast", "c1")
        assert fstype(path) == ["tmpfs"]
        await volumes.unmount("fast", "c2")
        assert fstype(path) == []

    run(body)


def test_a_read_only_bind_is_read_only(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("x")

    async def body(volumes: Volumes) -> None:
        options = {"type": "none", "device": str(source), "o": "bind,ro"}
        await volumes.create("bound", options=options)
        path = await volumes.mount("bound", "c1")
        assert (path / "file").read_text() == "x"
        with pytest.raises(OSError, match="Read-only"):
            (path / "other").write_text("y")
        await volumes.unmount("bound", "c1")
        await volumes.remove("bound")
        assert (source / "file").exists()

    run(body)


def test_a_mount_that_fails_says_what_and_leaves_nothing(run: Run) -> None:
    async def body(volumes: Volumes) -> None:
        options = {"type": "none", "device": "/no/such/place", "o": "bind"}
        made = await volumes.create("gone", options=options)
        with pytest.raises(System) as caught:
            await volumes.mount("gone", "c1")
        assert caught.value.message == (
            f"error while mounting volume '{made.mountpoint}': failed to mount local volume:"
            f" mount /no/such/place:{made.mountpoint}, flags: 0x1000: no such file or directory"
        )
        assert volumes.table.mounts("gone") == frozenset()
        await volumes.create("odd", options={"type": "nosuchfs", "device": "x"})
        with pytest.raises(System, match="this kernel has no file system 'nosuchfs'"):
            await volumes.mount("odd", "c1")

    run(body)


def test_an_overlay_volume(run: Run, tmp_path: Path) -> None:
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "lower" / "file").write_text("below")

    async def body(volumes: Volumes) -> None:
        data = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
        options = {"type": "overlay", "device": "overlay", "o": data}
        await volumes.create("stack", options=options)
        path = await volumes.mount("stack", "c1")
        assert (path / "file").read_text() == "below"
        (path / "new").write_text("above")
        await volumes.unmount("stack", "c1")
        assert (tmp_path / "upper" / "new").read_text() == "above"

    run(body)


def test_a_network_volume_whose_server_is_unknown_or_silent_fails_in_time(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(volumes: Volumes) -> None:
        options = {"type": "nfs", "device": ":/e", "o": "addr=no-such-host.invalid,rw"}
        await volumes.create("nas", options=options)
        with pytest.raises(System, match=r"lookup no-such-host\.invalid"):
            await volumes.mount("nas", "c1")
        monkeypatch.setattr(local, "NETWORK_TIMEOUT_S", 0.2)
        monkeypatch.setattr(local, "mount_options", lambda *_: time.sleep(1))
        await volumes.create("slow", options={"type": "nfs", "device": "127.0.0.1:/e", "o": "soft"})
        with pytest.raises(System, match=r"no answer from '127\.0\.0\.1'"):
            await volumes.mount("slow", "c1")
        assert volumes.table.mounts("slow") == frozenset()

    run(body)


def test_a_subpath_is_mounted_and_goes_with_the_volume(run: Run, tmp_path: Path) -> None:
    async def body(volumes: Volumes) -> None:
        made = await volumes.create("data")
        path = Path(made.mountpoint)
        (path / "app" / "config").mkdir(parents=True)
        (path / "app" / "config" / "a").write_text("1")
        (path / "app" / "single").write_text("2")
        await volumes.mount("data", "c1")
        directory = await volumes.mount_subpath("data", "c1", "app/config")
        file = await volumes.mount_subpath("data", "c1", "app/single")
        assert (directory / "a").read_text() == "1"
        assert file.read_text() == "2"
        with pytest.raises(NotFound, match="cannot access volume subpath 'app/none'"):
            await volumes.mount_subpath("data", "c1", "app/none")
        await volumes.unmount("data", "c1")
        assert not (tmp_path / "exec" / "volumes" / "c1").exists()

    run(body)


def test_a_subpath_never_leads_out_of_the_volume(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()

    async def body(volumes: Volumes) -> None:
        made = await volumes.create("data")
        path = Path(made.mountpoint)
        (path / "absolute").symlink_to(tmp_path / "secret")
        (path / "relative").symlink_to("../../../secret")
        (path / "inside").mkdir()
        (path / "fine").symlink_to("inside")
        await volumes.mount("data", "c1")
        for attack in ("absolute", "relative", "/etc", "../../..", "inside/../../.."):
            with pytest.raises(InvalidParameter):
                await volumes.mount_subpath("data", "c1", attack)
        await volumes.mount_subpath("data", "c1", "fine")
        await volumes.unmount("data", "c1")

    run(body)

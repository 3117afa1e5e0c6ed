# ruff: noqa: ASYNC240 - a test may touch files between two steps
import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from msgspec import structs

from moorage.lib import offload
from moorage.lib.errors import Conflict, InvalidParameter, NotFound, System
from moorage.spec.engine.filters import Filters
from moorage.volumes import limited
from moorage.volumes.service import Volumes

OpenVolumes = Callable[[], Awaitable[Volumes]]


class Recorder(Protocol):
    events: list[tuple[str, str, str, dict[str, str]]]


def run(work: Coroutine[None, None, None]) -> None:
    asyncio.run(work)


def test_a_volume_is_made_shown_and_removed_with_events(
    open_volumes: OpenVolumes, events: Recorder
) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        made = await volumes.create("web", labels={"a": "b"})
        assert made.driver == "local"
        assert made.scope == "local"
        assert made.labels == {"a": "b"}
        assert made.options is None
        assert Path(made.mountpoint).is_dir()
        assert made.mountpoint.endswith("/volumes/web/_data")
        assert await volumes.create("web") == made
        assert await volumes.inspect("web") == made
        await volumes.remove("web")
        assert not Path(made.mountpoint).parent.exists()
        with pytest.raises(NotFound, match="get web: no such volume"):
            await volumes.inspect("web")

    run(body())
    assert [e[:3] for e in events.events] == [
        ("volume", "create", "web"),
        ("volume", "destroy", "web"),
    ]


@pytest.mark.parametrize(
    "name", ["..", "../x", "a/b", ".hidden", "-x", "a b", "ä", "a\n", "x" * 300]
)
def test_a_name_that_is_no_directory_name_is_refused(
    open_volumes: OpenVolumes, tmp_path: Path, name: str
) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        with pytest.raises(InvalidParameter, match="create "):
            await volumes.create(name)
        assert (await volumes.list(Filters())).volumes == []

    run(body())
    assert not (tmp_path / "volumes").exists() or not os.listdir(tmp_path / "volumes")


def test_wrong_options_leave_nothing_behind(open_volumes: OpenVolumes, tmp_path: Path) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        with pytest.raises(InvalidParameter, match='create web: missing required option: "device"'):
            await volumes.create("web", options={"type": "tmpfs"})
        with pytest.raises(NotFound, match='plugin "nosuch" not found'):
            await volumes.create("web", driver="nosuch")
        assert (await volumes.list(Filters())).volumes == []

    run(body())
    assert not (tmp_path / "volumes" / "web").exists()


def test_a_volume_in_use_is_not_removed(open_volumes: OpenVolumes) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        await volumes.create("web", container_id="c1")
        volumes.acquire("web", "c2")
        with pytest.raises(Conflict, match=r"remove web: volume is in use - \[c1, c2\]"):
            await volumes.remove("web", force=True)
        volumes.release("web", "c1")
        volumes.release("web", "c1")
        volumes.release("web", "c2")
        await volumes.remove("web")
        await volumes.remove("web", force=True)
        with pytest.raises(NotFound):
            await volumes.remove("web")

    run(body())


def test_references_and_mounts_survive_a_restart_and_are_reconciled(
    open_volumes: OpenVolumes,
) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        await volumes.create("web", container_id="c1")
        volumes.acquire("web", "c2")
        await volumes.mount("web", "c1")
        await volumes.mount("web", "c2")
        again = await open_volumes()
        assert again.references("web") == ["c1", "c2"]
        assert again.table.mounts("web") == {"c1", "c2"}
        await again.reconcile({"c1"}, {"c1"})
        assert again.references("web") == ["c1"]
        assert again.table.mounts("web") == {"c1"}

    run(body())


def test_filters(open_volumes: OpenVolumes) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        await volumes.create("web-data", labels={"tier": "front"})
        await volumes.create("db-data", container_id="c1")

        async def names(**terms: list[str]) -> list[str]:
            found = await volumes.list(Filters(terms))
            return [v.name for v in found.volumes or ()]

        assert await names() == ["db-data", "web-data"]
        assert await names(dangling=["true"]) == ["web-data"]
        assert await names(dangling=["0"]) == ["db-data"]
        assert await names(name=["web"]) == ["web-data"]
        assert await names(name=["^db"]) == ["db-data"]
        assert await names(label=["tier=front"]) == ["web-data"]
        assert await names(driver=["other"]) == []
        with pytest.raises(InvalidParameter, match="invalid filter 'size'"):
            await names(size=["1"])
        with pytest.raises(InvalidParameter):
            await names(dangling=["maybe"])

    run(body())


def test_prune_takes_the_anonymous_and_with_all_the_named(open_volumes: OpenVolumes) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        anonymous = await volumes.create()
        assert len(anonymous.name) == 64
        assert anonymous.labels == {"com.docker.volume.anonymous": ""}
        Path(anonymous.mountpoint, "file").write_bytes(b"x" * 1000)
        await volumes.create("named", labels={"keep": "1"})
        await volumes.create("other")
        await volumes.create("used", container_id="c1")
        first = await volumes.prune(Filters())
        assert first.volumes_deleted == [anonymous.name]
        assert first.space_reclaimed == 1000
        second = await volumes.prune(Filters({"all": ["1"], "label!": ["keep"]}))
        assert second.volumes_deleted == ["other"]
        assert (await volumes.prune(Filters())).volumes_deleted == []
        with pytest.raises(InvalidParameter):
            await volumes.prune(Filters({"until": ["1h"]}))

    run(body())


def test_sizes_count_links_once_and_references(open_volumes: OpenVolumes) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        made = await volumes.create("web", container_id="c1")
        path = Path(made.mountpoint)
        (path / "sub").mkdir()
        (path / "sub" / "a").write_bytes(b"x" * 500)
        os.link(path / "sub" / "a", path / "b")
        (path / "link").symlink_to("/etc")
        usage = (await volumes.sizes())[0].usage_data
        assert usage
        assert usage.size == 500 + len("/etc")
        assert usage.ref_count == 1

    run(body())


def test_a_creation_or_removal_cut_short_is_finished_at_the_next_start(
    open_volumes: OpenVolumes, tmp_path: Path
) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        await volumes.create("web")
        record = volumes.table.get("web")
        assert record
        volumes.table.save(structs.replace(record, ready=False))
        again = await open_volumes()
        assert (await again.list(Filters())).volumes == []
        assert again.table.get("web") is None

    run(body())
    assert not (tmp_path / "volumes" / "web").exists()


def test_creating_one_name_from_many_sides_makes_one_volume(
    open_volumes: OpenVolumes, events: Recorder
) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(volumes.create("web", container_id=f"c{number}"))
        assert len(volumes.references("web")) == 20

    run(body())
    assert len(events.events) == 1


@pytest.mark.parametrize("operation", ["remove", "prune", "rename"])
def test_what_is_begun_is_finished_although_the_client_hangs_up(
    open_volumes: OpenVolumes, events: Recorder, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    begun, go = threading.Event(), threading.Event()

    def slowly(work: Callable[..., None]) -> Callable[..., None]:
        def slow(*arguments: str) -> None:
            begun.set()
            assert go.wait(20)
            work(*arguments)

        return slow

    async def body() -> None:
        volumes = await open_volumes()
        await volumes.create("web")
        local = volumes.drivers.local
        monkeypatch.setattr(local, "_remove", slowly(local._remove))  # noqa: SLF001
        monkeypatch.setattr(local, "rename", slowly(local.rename))
        works: dict[str, Callable[[], Coroutine[None, None, object]]] = {
            "remove": partial(volumes.remove, "web"),
            "prune": partial(volumes.prune, Filters({"all": ["true"]})),
            "rename": partial(volumes.rename, "web", "new"),
        }
        client = asyncio.get_running_loop().create_task(works[operation]())
        await offload.run("net", begun.wait)
        client.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client
        go.set()
        await volumes._supervisor.wait_idle()  # noqa: SLF001
        assert volumes.table.get("web") is None
        assert (volumes.table.get("new") is not None) == (operation == "rename")

    run(body())
    assert ("volume", "destroy", "web") in [e[:3] for e in events.events]


def test_two_limited_volumes_made_at_once_share_no_project(
    open_volumes: OpenVolumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Quota:
        """As much of a project quota as is asked; each gives its numbers from the first on."""

        def __init__(self) -> None:
            self.given = 0

        def limit(self, _directory: Path, _size_bytes: int) -> None:
            self.given += 1
            numbers.append(self.given)

    def quota(root: Path) -> Quota:
        root.mkdir(exist_ok=True)
        return Quota()

    numbers: list[int] = []
    monkeypatch.setattr(limited, "quota", quota)

    async def body() -> None:
        volumes = await open_volumes()
        async with asyncio.TaskGroup() as group:
            for name in ("one", "two", "three"):
                group.create_task(volumes.create(name, options={"size": "10m"}))

    run(body())
    assert sorted(numbers) == [1, 2, 3]


def test_one_volume_that_cannot_be_pruned_keeps_no_other(
    open_volumes: OpenVolumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        for name in ("aa", "bb", "cc"):
            await volumes.create(name)
        local = volumes.drivers.local
        remove = local._remove  # noqa: SLF001

        def refuse(name: str) -> None:
            if name == "bb":
                raise System("busy")
            remove(name)

        monkeypatch.setattr(local, "_remove", refuse)
        pruned = await volumes.prune(Filters({"all": ["true"]}))
        assert pruned.volumes_deleted == ["aa", "cc"]
        assert volumes.get("bb").name == "bb"

    run(body())

"""Volumes of a plugin, beside those of the local driver."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from moorage.lib.errors import Conflict, NotFound, System
from moorage.spec.engine.filters import Filters
from moorage.volumes.service import Volumes
from support.fakeplugin import VolumePlugin

OpenVolumes = Callable[[], Awaitable[Volumes]]


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[VolumePlugin]:
    with VolumePlugin(tmp_path / "plugins" / "san.sock", tmp_path / "san") as plugin:
        yield plugin


def test_the_life_of_a_volume_of_a_plugin(open_volumes: OpenVolumes, plugin: VolumePlugin) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        made = await volumes.create("db", driver="san", options={"tier": "fast"})
        assert (made.driver, made.scope) == ("san", "global")
        assert plugin.volumes == {"db": {"tier": "fast"}}
        assert (await volumes.inspect("db")).status == {"health": "good"}
        volumes.acquire("db", "c1")
        path = await volumes.mount("db", "c1")
        assert path == plugin.root / "db"
        await volumes.mount("db", "c2")
        await volumes.unmount("db", "c1")
        await volumes.unmount("db", "c2")
        assert [r["ID"] for r in plugin.called("VolumeDriver.Mount")] == ["c1", "c2"]
        assert [r["ID"] for r in plugin.called("VolumeDriver.Unmount")] == ["c1", "c2"]
        volumes.release("db", "c1")
        assert (await volumes.prune(Filters({"all": ["1"]}))).volumes_deleted == []
        await volumes.remove("db")
        assert plugin.volumes == {}

    asyncio.run(body())


def test_what_a_plugin_has_of_its_own_is_listed_inspected_and_used(
    open_volumes: OpenVolumes, plugin: VolumePlugin
) -> None:
    plugin.volumes["old"] = {}
    (plugin.root / "old").mkdir(parents=True)

    async def body() -> None:
        volumes = await open_volumes()
        await volumes.create("mine")
        listed = (await volumes.list(Filters())).volumes or []
        assert {(v.name, v.driver) for v in listed} == {("mine", "local"), ("old", "san")}
        assert (await volumes.create("old", container_id="c1")).driver == "san"
        with pytest.raises(Conflict, match="driver 'san' already has volume 'old'"):
            await volumes.create("old", driver="local")

    asyncio.run(body())
    assert plugin.called("VolumeDriver.Create") == []


def test_a_plugin_that_refuses_leaves_no_record(
    open_volumes: OpenVolumes, plugin: VolumePlugin
) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        with pytest.raises(System, match=r"create db: VolumeDriver\.Create: no room"):
            await volumes.create("db", driver="san", options={"fail": "1"})
        with pytest.raises(NotFound, match="get db: no such volume"):
            await volumes.inspect("db")

    asyncio.run(body())
    assert plugin.called("VolumeDriver.Remove") == []


def test_a_mountpoint_that_is_no_path_is_refused(
    open_volumes: OpenVolumes, plugin: VolumePlugin
) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        await volumes.create("db", driver="san")
        for lie in ("", "relative", "/x/../../etc"):
            plugin.methods["VolumeDriver.Mount"] = lambda _, lie=lie: {"Mountpoint": lie}  # type: ignore[misc]
            with pytest.raises(System, match="must be an absolute path"):
                await volumes.mount("db", "c1")
        assert volumes.table.mounts("db") == frozenset()

    asyncio.run(body())


def test_a_plugin_that_died_holds_up_no_listing_and_no_stop(
    open_volumes: OpenVolumes, tmp_path: Path
) -> None:
    async def body() -> None:
        volumes = await open_volumes()
        with VolumePlugin(tmp_path / "plugins" / "san.sock", tmp_path / "san"):
            await volumes.create("db", driver="san")
            await volumes.mount("db", "c1")
        await volumes.unmount("db", "c1")
        assert volumes.table.mounts("db") == frozenset()
        assert [v.name for v in (await volumes.list(Filters())).volumes or ()] == ["db"]
        with pytest.raises(NotFound):
            await volumes.remove("db")
        await volumes.remove("db", force=True)
        assert (await volumes.list(Filters())).volumes == []

    asyncio.run(body())

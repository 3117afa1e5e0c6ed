import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from moorage.containers import logs
from moorage.containers.container import Container, Ended
from moorage.containers.record import ContainerRecord
from moorage.containers.state import State
from moorage.containers.store import ContainerStore
from moorage.lib.errors import Conflict, NotFound
from moorage.logs.selection import Selection
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.hostconfig import HostConfig, LogConfig
from moorage.storage.metadata import Database


@pytest.fixture
def store(tmp_path: Path) -> ContainerStore:
    return ContainerStore(Database(tmp_path / "db"))


def made(store: ContainerStore, digit: str, name: str) -> Container:
    container = Container(
        ContainerRecord(
            id=digit * 64,
            name=name,
            created_ns=1,
            image_id="",
            config=ContainerConfig(),
            host_config=HostConfig(),
        )
    )
    store.insert(container)
    return container


def test_a_rename_that_waited_for_a_removal_touches_nobodys_name(store: ContainerStore) -> None:
    removed = made(store, "a", "web")
    store.delete(removed)
    later = made(store, "b", "web")
    with pytest.raises(NotFound, match="No such container: web"):
        store.change(removed, name="other")
    assert store.get("web") is later
    with pytest.raises(Conflict):
        made(store, "c", "web")
    made(store, "d", "other")


def test_an_end_that_is_seen_after_the_removal_is_nothing(store: ContainerStore) -> None:
    removed = made(store, "a", "web")
    store.delete(removed)
    assert store.observe(removed, exit_code=1)
    with pytest.raises(NotFound):
        store.get("web")


def waiting(container: Container) -> set[asyncio.Future[Ended]]:
    waiters = container.waiters
    return waiters._exit | waiters._removal  # noqa: SLF001


async def test_who_reads_the_log_of_a_container_that_runs_on_leaves_nothing(
    store: ContainerStore, tmp_path: Path
) -> None:
    container = made(store, "a", "web")
    log = tmp_path / "log"
    log.write_text('{"log":"line\\n","stream":"stdout","time":"2024-01-01T00:00:00Z"}\n')
    store.change(
        container,
        state=State.RUNNING,
        log_path=str(log),
        host_config=HostConfig(log_config=LogConfig(type="json-file")),
    )
    for follow in (False, True):
        async with aclosing(logs.read(container, Selection(follow=follow))) as reading:
            assert await anext(reading) == (1, [b"line\n"])
        await asyncio.sleep(0)
        assert not waiting(container)


async def test_who_waits_no_longer_is_forgotten(store: ContainerStore) -> None:
    container = made(store, "a", "web")
    exit_, removal = container.waiters.next_exit(), container.waiters.removal()
    assert waiting(container) == {exit_, removal}
    for future in (exit_, removal):
        future.cancel()
    await asyncio.sleep(0)
    assert not waiting(container)

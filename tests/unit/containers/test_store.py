from pathlib import Path

import pytest

from moorage.containers.container import Container
from moorage.containers.record import ContainerRecord
from moorage.containers.store import ContainerStore
from moorage.lib.errors import Conflict, NotFound
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.hostconfig import HostConfig
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

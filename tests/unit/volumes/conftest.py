"""Volumes on a data root of the test's own, opened as often as the test restarts the daemon."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from moorage.lib.tasks import Supervisor
from moorage.plugins.discovery import Discovery
from moorage.plugins.registry import Plugins
from moorage.storage.metadata import Database
from moorage.volumes.service import Volumes


class Recorder:
    """An event bus that only remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, dict[str, str]]] = []

    def publish(self, kind: str, action: str, actor_id: str, attributes: dict[str, str], /) -> None:
        self.events.append((kind, action, actor_id, attributes))


OpenVolumes = Callable[[], Awaitable[Volumes]]


@pytest.fixture
def events() -> Recorder:
    return Recorder()


@pytest.fixture
def open_volumes(tmp_path: Path, events: Recorder) -> Iterator[OpenVolumes]:
    databases: list[Database] = []

    async def open_volumes() -> Volumes:
        database = Database(tmp_path / "moorage.db")
        databases.append(database)
        volumes = Volumes(
            root=tmp_path / "volumes",
            exec_root=tmp_path / "exec",
            database=database,
            events=events,
            plugins=Plugins(Discovery((tmp_path / "plugins",), ()), user_agent="test"),
            supervisor=Supervisor("test"),
        )
        await volumes.open()
        return volumes

    yield open_volumes
    for database in databases:
        database.close()

"""A container as the daemon holds it: the saved record, and what lives as long as the daemon."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorage.containers.state import ACTIVE, ALIVE, State
from moorage.lib.errors import Conflict

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.containers.exec_session import ExecSession
    from moorage.containers.health import HealthMonitor
    from moorage.containers.process_io import WaitingClient
    from moorage.containers.record import ContainerRecord
    from moorage.containers.restart import BackOff
    from moorage.runtime.task import Task


@dataclass(frozen=True, slots=True)
class Ended:
    """What a waiter learns."""

    exit_code: int
    error: str = ""


class Waiters:
    """Those who wait for an end of the container, or for its removal.

    Who waits no longer cancels its future: a container may run for years.
    """

    def __init__(self) -> None:
        self._exit: set[asyncio.Future[Ended]] = set()
        self._removal: set[asyncio.Future[Ended]] = set()

    def next_exit(self) -> asyncio.Future[Ended]:
        """Return a future for the next end; removal ends it too."""
        return _waiting(self._exit)

    def removal(self) -> asyncio.Future[Ended]:
        """Return a future for the removal; it gives the last exit code."""
        return _waiting(self._removal)

    def exited(self, ended: Ended) -> None:
        """Wake those who wait for an end."""
        _resolve(self._exit, ended)

    def removed(self, ended: Ended) -> None:
        """Wake everyone."""
        _resolve(self._exit, ended)
        _resolve(self._removal, ended)


def _waiting(futures: set[asyncio.Future[Ended]]) -> asyncio.Future[Ended]:
    future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
    futures.add(future)
    future.add_done_callback(futures.discard)
    return future


def _resolve(futures: set[asyncio.Future[Ended]], ended: Ended) -> None:
    for future in futures:
        if not future.done():  # its waiter has just gone
            future.set_result(ended)
    futures.clear()


@dataclass(slots=True, eq=False)
class Container:
    """The live object.

    *lock* serialises changes of state: whoever replaces *record* or *task* holds it (a reader never
    does). The order of locks is container, then network, then storage.
    """

    record: ContainerRecord
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: Task | None = None
    rootfs: Path | None = None  # where its root is mounted while it runs
    waiters: Waiters = field(default_factory=Waiters)
    execs: dict[str, ExecSession] = field(default_factory=dict)
    health: HealthMonitor | None = None
    back_off: BackOff | None = None
    waiting_clients: list[WaitingClient] = field(default_factory=list)  # attached before a start
    stop_asked: bool = False  # a stop or kill by a user is under way: no restart after this end
    stays: bool = False  # it is being restarted by a user: --rm does not remove it after this end

    @property
    def id(self) -> str:
        """Its full id."""
        return self.record.id

    @property
    def name(self) -> str:
        """Its name without slash."""
        return self.record.name

    @property
    def state(self) -> State:
        """Its state."""
        return self.record.state

    @property
    def alive(self) -> bool:
        """Whether it has a process."""
        return self.record.state in ALIVE

    @property
    def active(self) -> bool:
        """Whether the API calls it running: alive, or about to be started again."""
        return self.record.state in ACTIVE

    def running_task(self) -> Task:
        """Return the task of a container that has a process.

        Raises: Conflict, with Docker's sentence.
        """
        if not self.alive or self.task is None:
            raise Conflict(f"container {self.id} is not running")
        return self.task

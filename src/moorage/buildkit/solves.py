"""The solves of all clients, by the reference that their other calls name."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from moorage.buildkit.status import Narrator, StatusLog
from moorage.lib.errors import Conflict, InvalidParameter, NotFound

if TYPE_CHECKING:
    from moorage.buildkit.prepared import Preparations, Prepared

_WAIT_S: Final = 10.0  # clients ask for progress beside their solve, not behind it
_REMEMBERED: Final = 16  # finished ones whose progress can still be asked for


@dataclass(slots=True)
class Driven:
    """What a client that drives its solve from outside has done so far."""

    preparations: asyncio.Future[Preparations] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    prepared: dict[str, Prepared] = field(default_factory=dict)  # by the name of the result
    chosen: asyncio.Future[Prepared | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(slots=True)
class Solve:
    """One solve."""

    ref: str
    driven: Driven | None = None
    log: StatusLog = field(default_factory=StatusLog)
    narrator: Narrator = field(init=False)

    def __post_init__(self) -> None:
        """Let the narrator tell this solve's log."""
        self.narrator = Narrator(self.log)


class Solves:
    """All solves that run, and the last that have run."""

    def __init__(self) -> None:
        self._running: dict[str, Solve] = {}
        self._finished: OrderedDict[str, Solve] = OrderedDict()
        self._changed = asyncio.Condition()

    async def begin(self, ref: str, driven: Driven | None) -> Solve:
        """Begin a solve. Raises: InvalidParameter, Conflict (the reference is taken)."""
        if not ref:
            raise InvalidParameter("the solve has no reference")
        if ref in self._running or ref in self._finished:
            raise Conflict(f"job ID {ref} exists")
        solve = Solve(ref, driven)
        async with self._changed:
            self._running[ref] = solve
            self._changed.notify_all()
        return solve

    def end(self, solve: Solve) -> None:
        """End a solve; its progress is kept for those who ask late."""
        solve.narrator.close()
        solve.log.end()
        if solve.driven is not None:
            solve.driven.preparations.cancel()
            solve.driven.chosen.cancel()
        del self._running[solve.ref]
        self._finished[solve.ref] = solve
        while len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)

    async def wait(self, ref: str) -> Solve:
        """Return a solve, which may be about to begin. Raises: NotFound."""
        try:
            async with asyncio.timeout(_WAIT_S), self._changed:
                await self._changed.wait_for(lambda: ref in self._running or ref in self._finished)
                return self._running.get(ref) or self._finished[ref]
        except TimeoutError:
            raise NotFound(f"no such job {ref}") from None

    async def wait_driven(self, ref: str) -> tuple[Solve, Driven]:
        """Return a solve that its client drives. Raises: NotFound."""
        solve = await self.wait(ref)
        if solve.driven is None or ref not in self._running:
            raise NotFound(f"no such job {ref} that is driven from outside")
        return solve, solve.driven

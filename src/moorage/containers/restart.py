"""Restart policies: whether a container that ended starts again, and when (Docker's rules)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from moorage.containers.container import Container, Ended
from moorage.containers.parts import Parts
from moorage.containers.state import Event, State, advance
from moorage.lib import clock
from moorage.spec.engine.hostconfig import RestartPolicy

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 60.0
STEADY_AFTER_S: Final = 10.0  # having run so long, it begins again with the first pause


@dataclass(slots=True)
class BackOff:
    """The pauses of one container; new with every start by a user, and with every daemon."""

    pause_s: float = 0.0
    began_s: float | None = None  # monotonic: when it last began to run; None: it does not run
    timer: asyncio.Task[None] | None = None  # sleeps, then takes the lock

    def began(self) -> None:
        """Note that the container runs."""
        self.began_s = clock.monotonic()

    def ended(self) -> float:
        """Return for how many seconds it has run; 0 if it did not start."""
        began_s, self.began_s = self.began_s, None
        return 0.0 if began_s is None else clock.monotonic() - began_s

    def next_pause(self, ran_s: float) -> float:
        """Return the pause before the next start."""
        if ran_s >= STEADY_AFTER_S or not self.pause_s:
            self.pause_s = FIRST_PAUSE_S
        else:
            self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S)
        return self.pause_s


def applies(
    policy: RestartPolicy | None, *, exit_code: int, restarts: int, stopped_by_user: bool = False
) -> bool:
    """Whether *policy* restarts a container that ended (pure).

    *stopped_by_user*: since its start there has been a stop or kill, perhaps under a daemon that
    died before the end.
    """
    name = policy.name if policy else "no"
    if name == "always" or (name == "unless-stopped" and not stopped_by_user):
        return True
    if name != "on-failure" or policy is None:
        return False
    limit = policy.maximum_retry_count  # 0 = no limit
    return exit_code != 0 and (not limit or restarts < limit)


def applies_at_boot(policy: RestartPolicy | None, *, stopped_by_user: bool) -> bool:
    """Whether a container that is not running is started with the daemon (pure)."""
    name = policy.name if policy else "no"
    return name == "always" or (name == "unless-stopped" and not stopped_by_user)


def cancel(container: Container) -> None:
    """Forget a start that is waiting.

    *Preconditions*: the caller holds the lock, so the start has not begun.
    """
    if container.back_off and container.back_off.timer:
        container.back_off.timer.cancel()
        container.back_off.timer = None


def give_up(parts: Parts, container: Container) -> None:
    """End the waiting of a container that restarts: the user stopped it meanwhile.

    *Preconditions*: the caller holds the lock.
    """
    cancel(container)
    if container.state is State.RESTARTING:
        record = parts.store.change(
            container,
            state=advance(container.state, Event.EXIT),
            finished_ns=clock.now_ns(),
        )
        container.waiters.exited(Ended(record.exit_code, record.error))

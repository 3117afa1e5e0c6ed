"""A few requests at the same time, on bare threads: importing ``threading`` costs milliseconds."""

from __future__ import annotations

import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 50


class Outcome:
    """What one piece of work returned or raised."""

    def __init__(self) -> None:
        self.value: str | None = None
        self.error: BaseException | None = None
        self.done = _thread.allocate_lock()
        self.done.acquire()

    def result(self) -> str | None:
        """Wait, then return the value or raise the error."""
        with self.done:
            if self.error is not None:
                raise self.error
            return self.value


def start(work: list[Callable[[], str | None]]) -> list[Outcome]:
    """Start everything, no more than fifty at once; outcomes come in the order of *work*."""
    outcomes = [Outcome() for _ in work]
    waiting = list(zip(work, outcomes, strict=True))
    waiting.reverse()
    for _ in range(min(AT_ONCE, len(work))):
        _thread.start_new_thread(_worker, (waiting,))
    return outcomes


def _worker(waiting: list[tuple[Callable[[], str | None], Outcome]]) -> None:
    while waiting:
        try:
            act, outcome = waiting.pop()
        except IndexError:
            return
        try:
            outcome.value = act()
        except BaseException as e:  # noqa: BLE001 - raised again where it is waited for
            outcome.error = e
        outcome.done.release()

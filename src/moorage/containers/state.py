"""The states of a container and the only way from one to another.

The API's booleans ``Running``, ``Paused``, ``Restarting`` are computed from the state, never kept.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from moorage.lib.errors import Conflict


class State(StrEnum):
    """What a container is now; the values are the API's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    REMOVING = "removing"
    DEAD = "dead"


class Event(StrEnum):
    """What can happen to a container."""

    START = "start"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    EXIT = "exit"
    BACK_OFF = "back-off"  # it ended, and its restart policy will start it again after a pause
    REMOVE = "remove"
    REMOVE_FAILED = "remove-failed"


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.CREATED: {
        Event.START: State.RUNNING,
        Event.EXIT: State.CREATED,  # a start that failed leaves it as it was
        Event.BACK_OFF: State.RESTARTING,
        Event.REMOVE: State.REMOVING,
    },
    State.RUNNING: {
        Event.PAUSE: State.PAUSED,
        Event.EXIT: State.EXITED,
        Event.BACK_OFF: State.RESTARTING,
    },
    State.PAUSED: {
        Event.UNPAUSE: State.RUNNING,
        Event.EXIT: State.EXITED,
        Event.BACK_OFF: State.RESTARTING,
    },
    State.RESTARTING: {
        Event.START: State.RUNNING,
        Event.EXIT: State.EXITED,  # stopped while it waited
        Event.BACK_OFF: State.RESTARTING,
        Event.REMOVE: State.REMOVING,
    },
    State.EXITED: {
        Event.START: State.RUNNING,
        Event.EXIT: State.EXITED,
        Event.BACK_OFF: State.RESTARTING,
        Event.REMOVE: State.REMOVING,
    },
    State.REMOVING: {Event.REMOVE: State.REMOVING, Event.REMOVE_FAILED: State.DEAD},
    State.DEAD: {Event.REMOVE: State.REMOVING},
}

ALIVE: Final = frozenset({State.RUNNING, State.PAUSED})  # has a process
ACTIVE: Final = ALIVE | {State.RESTARTING}  # what the API calls Running


def advance(state: State, event: Event) -> State:
    """Return the state that follows.

    Raises: Conflict, if *event* cannot happen in *state*.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise Conflict(f"a container that is {state} cannot {event}") from None

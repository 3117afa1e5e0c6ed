"""What a build tells while it runs: values that go to any number of listeners."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct


class VertexEvent(Struct, frozen=True, kw_only=True, tag="vertex", omit_defaults=True):
    """A step was begun, was ended, or came from the cache."""

    id: str  # digest of the vertex
    name: str
    inputs: tuple[str, ...] = ()
    place: str = ""
    stage: str = ""
    started_ns: int = 0
    completed_ns: int = 0
    cached: bool = False
    error: str = ""


class LogEvent(Struct, frozen=True, kw_only=True, tag="log"):
    """Output of a command."""

    id: str
    stream: int  # 1 stdout, 2 stderr
    text: str  # undecodable bytes are replaced
    time_ns: int


class StatusEvent(Struct, frozen=True, kw_only=True, tag="status", omit_defaults=True):
    """How far something inside a step has come."""

    id: str
    name: str
    current: int = 0
    total: int = 0  # 0: not known
    completed: bool = False


class WarningEvent(Struct, frozen=True, kw_only=True, tag="warning", omit_defaults=True):
    """A finding of a check, or a remark."""

    rule: str
    detail: str
    url: str = ""
    frame: str = ""
    line: int = 0


Event: TypeAlias = VertexEvent | LogEvent | StatusEvent | WarningEvent
Listener: TypeAlias = Callable[[Event], None]  # cheap, never blocks


class Progress:
    """Passes events on to its listeners; a late one hears what was before."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._past: list[Event] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; returns what takes it away."""
        for event in self._past:
            listener(event)
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def emit(self, event: Event) -> None:
        """Tell all listeners."""
        self._past.append(event)
        for listener in tuple(self._listeners):
            listener(event)

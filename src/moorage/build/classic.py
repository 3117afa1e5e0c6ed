"""Progress in the words of Docker's first builder: ``Step 1/3 : …``, in the order of the file.

Steps run at the same time, and yet their output must come one after the other, for this is what
clients of ``POST /build`` read. So the output of a step is shown live while it is the first that
is not finished, and kept back otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from moorage.build.progress import Event, LogEvent, StatusEvent, VertexEvent
from moorage.lib import ids

if TYPE_CHECKING:
    from moorage.build.frontends.dockerfile.convert import Converted

Write = Callable[[str], None]
_STDERR: Final = 2  # shown in red, as dockerd does


@dataclass(slots=True)
class _Line:
    text: str
    vertex: str  # digest, empty for a step that changes the configuration alone
    hidden: tuple[str, ...] = ()  # vertices that belong to it
    output: list[str] = field(default_factory=list)
    done: bool = False
    cached: bool = False
    announced: bool = False

    @property
    def begins_stage(self) -> bool:
        """Whether it is a FROM, after which the cache may be used again."""
        return self.text.upper().startswith("FROM ")


class Memory(Protocol):
    """The states that earlier builds have been in; a state is a digest of how it came about."""

    def knows_state(self, state: str) -> bool:
        """Say whether a build has been there."""

    def remember_states(self, states: Iterable[str]) -> None:
        """Note where a build has been."""


class ClassicView:
    """Turns events into the text of the stream."""

    def __init__(
        self,
        converted: Converted,
        global_args: list[str],
        write: Write,
        memory: Memory,
        *,
        no_cache: bool,
    ) -> None:
        """*memory* knows the steps that change the configuration alone, which leave no layer."""
        self._write = write
        self._memory = memory
        self._no_cache = no_cache
        self._went_through: list[str] = []
        self._is_new = False  # a step of this stage was not found in the cache
        self._lines = [_Line(text, "", done=True) for text in global_args]
        for stage in converted.stages:
            for step in stage.steps:
                digest = step.vertex.digest if step.vertex is not None else ""
                self._lines.append(_Line(step.text, digest, done=not digest))
        self._by_vertex: dict[str, list[_Line]] = {}
        for line in self._lines:
            if line.vertex:
                self._by_vertex.setdefault(line.vertex, []).append(line)
        self._at = 0

    def hear(self, event: Event) -> None:
        """Take an event of the build."""
        if isinstance(event, VertexEvent):
            for line in self._by_vertex.get(event.id, ()):
                line.cached = event.cached
                line.done = bool(event.completed_ns) and not event.error
        elif isinstance(event, LogEvent):
            for line in self._by_vertex.get(event.id, ())[:1]:
                text = f"\x1b[91m{event.text}\x1b[0m" if event.stream == _STDERR else event.text
                line.output.append(text)
        elif isinstance(event, StatusEvent):
            return
        self._advance()

    def _advance(self) -> None:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line.announced:
                line.announced = True
                self._write(f"Step {self._at + 1}/{len(self._lines)} : {line.text}\n")
            for text in line.output:
                self._write(text)
            line.output.clear()
            if not line.done:
                return
            state = self._state()
            if line.cached or self._was_configured(line, state):
                self._write(" ---> Using cache\n")
            else:
                self._is_new = not line.begins_stage
            self._went_through.append(state)
            self._write(f" ---> {ids.short(state)}\n")
            self._at += 1

    def _was_configured(self, line: _Line, state: str) -> bool:
        """Say whether an earlier build made the same change after the same steps."""
        if line.vertex or self._is_new or self._no_cache:
            return False
        return self._memory.knows_state(state)

    def finish(self) -> None:
        """Show what is left of the steps that were reached, and note them for later builds."""
        self._advance()
        self._memory.remember_states(self._went_through)

    def _state(self) -> str:
        """Return a digest that names the state after the current step."""
        seed = "\n".join(f"{line.vertex} {line.text}" for line in self._lines[: self._at + 1])
        return hashlib.sha256(seed.encode()).hexdigest()


def failure(command: str, code: int) -> str:
    """Return the sentence for a command that failed."""
    return f"The command '{command}' returned a non-zero code: {code}"


def success(image_id: str, tags: list[str]) -> Iterator[str]:
    """Return the last lines."""
    yield f"Successfully built {ids.short(image_id)}\n"
    for tag in tags:
        yield f"Successfully tagged {tag}\n"

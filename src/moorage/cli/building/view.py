"""How a build looks while it runs.

``plain``    a line for everything, for logs and CI; each step has a number
``tty``      all running steps with their times and last output, redrawn in place
``rawjson``  the events as they come
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from moorage.cli.output import Output

_TAIL = 6  # lines of output shown below a running step
_FRAME_LINES = 10  # lines of output shown of a step that failed
_REDRAW_S = 0.1
_BLUE, _RED, _DIM, _RESET = "\x1b[34m", "\x1b[31m", "\x1b[2m", "\x1b[0m"


class Step:
    """One step as far as it is known."""

    def __init__(self, number: int, event: dict[str, Any]) -> None:
        self.number = number
        self.name = str(event.get("name", ""))
        self.begun = time.monotonic()
        self.started_ns = int(event.get("started_ns", 0))
        self.seconds: float | None = None
        self.cached = False
        self.error = ""
        self.lines: list[str] = []  # whole lines of output
        self.stamps: list[float] = []
        self.rest = ""  # a line without its end
        self.status: dict[str, tuple[int, int]] = {}

    def take(self, event: dict[str, Any]) -> None:
        """Take the news of the step itself."""
        self.cached = bool(event.get("cached"))
        self.error = str(event.get("error", ""))
        ended = int(event.get("completed_ns", 0))
        if ended:
            self.seconds = (ended - int(event.get("started_ns", 0))) / 1e9

    def log(self, text: str, time_ns: int) -> list[str]:
        """Take output; return the lines that are whole now."""
        parts = (self.rest + text).split("\n")
        self.rest = parts.pop()
        lines = [
            part.rsplit("\r", 1)[-1] if "\r" in part.rstrip("\r") else part.rstrip("\r")
            for part in parts
        ]
        self.lines += lines
        self.stamps += [max(0.0, (time_ns - self.started_ns) / 1e9)] * len(lines)
        return lines

    def finish(self) -> None:
        """Count an unfinished last line as one."""
        if self.rest:
            self.log("\n", self.started_ns)


class View:
    """Collects events; the subclasses show them."""

    tick: Callable[[], None] | None = None  # to be called while nothing happens

    def __init__(self, out: Output) -> None:
        self.out = out
        self.steps: dict[str, Step] = {}
        self.warnings: list[dict[str, Any]] = []
        self.begun = time.monotonic()

    def take(self, event: dict[str, Any]) -> None:
        """Take one event."""
        kind = event.get("type")
        if kind == "warning":
            self.warnings.append(event)
            return
        if kind not in ("vertex", "log", "status"):
            return
        step = self.steps.get(event["id"])
        if step is None:
            step = self.steps[event["id"]] = Step(len(self.steps) + 1, event)
            self.opened(step)
        if kind == "vertex":
            step.take(event)
            if step.seconds is not None:
                step.finish()
            self.changed(step)
        elif kind == "log":
            lines = step.log(event["text"], event["time_ns"])
            self.printed(step, lines)
        else:
            step.status[event["name"]] = (int(event.get("current", 0)), int(event.get("total", 0)))
            self.changed(step)

    def opened(self, step: Step) -> None:
        """Show a new step."""

    def changed(self, step: Step) -> None:
        """Show that a step has begun, ended, or got on."""

    def printed(self, step: Step, lines: list[str]) -> None:
        """Show output."""

    def close(self) -> None:
        """Leave the screen in order."""

    def failure(self, event: dict[str, Any]) -> None:
        """Show what failed: the last output of the step and the lines of the Dockerfile."""
        step = self.steps.get(event.get("vertex", ""))
        if step is not None and step.lines:
            self.out.line("------")
            self.out.line(f" > {step.name}:")
            for stamp, line in list(zip(step.stamps, step.lines, strict=False))[-_FRAME_LINES:]:
                self.out.line(f"{stamp:.3f} {line}")
            self.out.line("------")
        if event.get("frame"):
            self.out.line(event["frame"])

    def findings(self) -> None:
        """Show the findings of the checks."""
        if not self.warnings:
            return
        count = len(self.warnings)
        self.out.line()
        self.out.line(f" {count} warning{'s' * (count > 1)} found:")
        for warning in self.warnings:
            place = f" (line {warning['line']})" if warning.get("line") else ""
            self.out.line(f" - {warning['rule']}: {warning['detail']}{place}")


class PlainView(View):
    """A line for everything."""

    def __init__(self, out: Output) -> None:
        super().__init__(out)
        self._last: Step | None = None

    def _line(self, step: Step, text: str) -> None:
        if self._last not in (None, step):
            self.out.line()
        if self._last is not step:
            self.out.line(f"#{step.number} {step.name}")
        self._last = step
        self.out.line(f"#{step.number} {text}".rstrip())
        self.out.flush()

    def changed(self, step: Step) -> None:
        """Show the end."""
        if step.seconds is None:
            return
        if step.cached:
            self._line(step, "CACHED")
        elif step.error == "cancelled":
            self._line(step, "CANCELED")
        elif step.error:
            self._line(step, f"ERROR: {step.error}")
        else:
            self._line(step, f"DONE {step.seconds:.1f}s")

    def printed(self, step: Step, lines: list[str]) -> None:
        """Show lines with the time since the step began."""
        for stamp, line in zip(step.stamps[-len(lines) :], lines, strict=False):
            self._line(step, f"{stamp:.3f} {line}")


class TerminalView(View):
    """Everything at once, redrawn in place."""

    def __init__(self, out: Output, size: tuple[int, int]) -> None:
        super().__init__(out)
        self.rows, self.columns = size
        self.tick = self.draw
        self._drawn = 0
        self._last_draw = 0.0

    def changed(self, step: Step) -> None:  # noqa: ARG002 - all steps are drawn
        """Redraw."""
        self.draw()

    def printed(self, step: Step, lines: list[str]) -> None:  # noqa: ARG002
        """Redraw."""
        self.draw()

    def draw(self, *, final: bool = False) -> None:
        """Write the whole view over the last one, not more often than the eye can follow."""
        now = time.monotonic()
        if not final and now - self._last_draw < _REDRAW_S:
            return
        self._last_draw = now
        lines = self._lines(final=final)
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self.out.write(f"{up}\r\x1b[J" + "".join(f"{line}\n" for line in lines))
        self.out.flush()
        self._drawn = len(lines)

    def _lines(self, *, final: bool) -> list[str]:
        steps = list(self.steps.values())
        done = sum(step.seconds is not None for step in steps)
        state = "FINISHED" if final else ""
        head = f"[+] Building {time.monotonic() - self.begun:.1f}s ({done}/{len(steps)}) {state}"
        lines = [head.rstrip()]
        room = max(4, self.rows - 2)
        shown = steps if final else steps[-room:]
        for step in shown:
            lines.append(self._step(step))
            if step.seconds is None and not final:
                lines += [self._cut(f" => => # {line}") for line in step.lines[-_TAIL:]]
                lines += [
                    self._cut(f" => => {name} {_progress(*amount)}")
                    for name, amount in list(step.status.items())[-_TAIL:]
                ]
        return lines if final else [lines[0], *lines[1:][-room:]]

    def _step(self, step: Step) -> str:
        seconds = step.seconds if step.seconds is not None else time.monotonic() - step.begun
        mark = "CACHED " if step.cached else "ERROR " if step.error else ""
        clock = f"{seconds:.1f}s"
        text = self._cut(f" => {mark}{step.name}", len(clock) + 1)
        line = f"{text:<{self.columns - len(clock) - 1}}{clock}"
        if step.error:
            return f"{_RED}{line}{_RESET}"
        return f"{_BLUE}{line}{_RESET}" if step.seconds is not None else line

    def _cut(self, text: str, reserve: int = 1) -> str:
        text = "".join(char if char.isprintable() else " " for char in text)
        width = max(10, self.columns - reserve)
        return text if len(text) <= width else text[: width - 3] + "..."

    def close(self) -> None:
        """Draw for the last time."""
        if self.steps:
            self.draw(final=True)


class RawView(View):
    """The events as they come, one JSON document a line."""

    def take(self, event: dict[str, Any]) -> None:
        """Pass it on."""
        from moorage.client import jsonwire

        super().take(event)
        self.out.line(jsonwire.encode(event))
        self.out.flush()

    def failure(self, event: dict[str, Any]) -> None:
        """The event has said it."""

    def findings(self) -> None:
        """The events have said it."""


class QuietView(View):
    """Nothing, until something fails."""


def _progress(current: int, total: int) -> str:
    from moorage.lib import units

    shown = units.human_size(current)
    return f"{shown} / {units.human_size(total)}" if total else shown


def choose(progress: str, out: Output, *, quiet: bool) -> View:
    """Return the view for ``--progress``."""
    if quiet or progress == "quiet":
        return QuietView(out)
    if progress == "rawjson":
        return RawView(out)
    if progress == "tty" or (progress == "auto" and out.is_terminal):
        from moorage.cli import terminal

        return TerminalView(out, terminal.size(out.descriptor) or (24, 80))
    return PlainView(out)

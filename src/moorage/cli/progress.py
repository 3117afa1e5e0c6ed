"""Streams of JSON progress (pull, push, load, import): one line a layer, redrawn in place.

On a terminal the lines of all layers stay where they are and change; elsewhere only what is worth a
line in a log is printed.
"""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.lib import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from moorage.cli.output import Output
    from moorage.client.jsonwire import Json

NARROW = 110
BAR = 50
CLEAR_LINE = "\x1b[2K\r"


class Display:
    """Draws messages on one output; None swallows everything but errors."""

    def __init__(
        self, output: Output | None, *, auxiliary: Callable[[Json], None] | None = None
    ) -> None:
        self.output = output
        self.auxiliary = auxiliary
        self.lines: dict[str, int] = {}
        self.count = 0

    def run(self, messages: Iterable[Json]) -> None:
        """Show *messages* to their end.

        Raises: CommandError when one of them is an error.
        """
        for message in messages:
            if "aux" in message:
                if self.auxiliary is not None:
                    self.auxiliary(message["aux"])
                continue
            if error := message.get("error") or (message.get("errorDetail") or {}).get("message"):
                if self.output is not None:
                    self.output.flush()
                raise CommandError(str(error))
            if self.output is not None:
                self._show(self.output, message)
                self.output.flush()

    def _show(self, output: Output, message: Json) -> None:
        identifier = str(message.get("id") or "")
        has_progress = bool(message.get("progress") or message.get("progressDetail"))
        if not output.is_terminal:
            if not has_progress:
                output.write(_plain(message, identifier))
            return
        if not identifier or (
            not has_progress and identifier not in self.lines and not (message.get("status"))
        ):
            self.lines.clear()
            self.count = 0
            output.write(_plain(message, identifier))
            return
        if identifier not in self.lines:
            self.lines[identifier] = self.count
            self.count += 1
            output.write("\n")
        up = self.count - self.lines[identifier]
        text = _plain(message, identifier).rstrip("\n")
        if has_progress:
            text += " " + bar(message.get("progressDetail") or {}, _width())
        output.write(f"\x1b[{up}A{CLEAR_LINE}{text}\r\x1b[{up}B")


def _plain(message: Json, identifier: str) -> str:
    if "stream" in message:
        return str(message["stream"])
    text = f"{identifier}: " if identifier else ""
    if message.get("from"):
        text += f"(from {message['from']}) "
    return f"{text}{message.get('status', '')}\n"


def bar(detail: Json, width: int) -> str:
    """Draw ``[=====>    ]  1.2MB/3.4MB``; the bar itself only where there is room."""
    current, total = detail.get("current") or 0, detail.get("total") or 0
    if current <= 0 and total <= 0:
        return ""
    if detail.get("units"):
        done = f"{current}/{total} {detail['units']}" if total else f"{current} {detail['units']}"
    else:
        done = f"{units.human_size(current):>8}"
        if total > 0 and current <= total:
            done += f"/{units.human_size(total)}"
    if total <= 0 or width <= NARROW:
        return done
    filled = min(BAR, int(current * BAR / total))
    arrow = "=" * (filled - 1) + ">" if 0 < filled < BAR else "=" * filled or ">"
    return f"[{arrow:{BAR}}] {done}"


def _width() -> int:
    from moorage.cli import terminal

    found = terminal.size(1) or terminal.size(2)
    return found[1] if found else NARROW + 1

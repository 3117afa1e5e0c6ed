"""``moor stats``."""

from __future__ import annotations

import _thread
import time

from moorage.cli.format import tabwriter
from moorage.cli.format.listing import render
from moorage.cli.format.stats import TABLE, StatsRow
from moorage.cli.options import FORMAT_HELP, Command, Option
from moorage.lib.errors import MoorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api
    from moorage.client.jsonwire import Json

REDRAW_S = 0.5
CLEAR = "\x1b[2J"
HOME = "\x1b[H"
CLEAR_LINE_END = "\x1b[K"
CLEAR_BELOW = "\x1b[J"


class Readings:
    """The newest reading of every container, filled by one thread for each."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.newest: dict[str, Json | None] = {}
        self.failures: dict[str, str] = {}
        self.first: dict[str, _thread.LockType] = {}

    def watch(self, name: str, *, stream: bool) -> None:
        """Start to read a container's stats."""
        if name in self.newest:
            return
        self.newest[name] = None
        self.first[name] = _thread.allocate_lock()
        self.first[name].acquire()
        _thread.start_new_thread(self._read, (self.session.another_api(), name, stream))

    def wait_first(self) -> None:
        """Wait until every container has one reading, or failed to give one."""
        for lock in self.first.values():
            lock.acquire()

    def _read(self, api: Api, name: str, stream: bool) -> None:  # noqa: FBT001 - a thread's entry
        try:
            response = api.request("GET", f"/containers/{name}/stats", {"stream": stream})
            for reading in api.stream_json(response):
                self.newest[name] = reading
                self._have_first(name)
        except (MoorageError, OSError, ValueError) as e:
            self.failures[name] = str(e)
        self._have_first(name)
        if stream:
            self.newest.pop(name, None)

    def _have_first(self, name: str) -> None:
        if self.first[name].locked():
            self.first[name].release()


def run(session: Session, values: Values, names: list[str]) -> int:
    """Show what containers use, once or until interrupted."""
    format_ = values.text("format") or session.config.text("statsFormat")
    truncate = not values.flag("no-trunc")
    every = values.flag("all")
    readings = Readings(session)

    def add_running() -> None:
        for container in session.api.get("/containers/json", all=every or None):
            readings.watch(container["Id"][:12], stream=not values.flag("no-stream"))

    for name in names:
        readings.watch(name, stream=not values.flag("no-stream"))
    if not names:
        add_running()
    readings.wait_first()
    if names and readings.failures:
        for failure in readings.failures.values():
            session.err.line(failure)
        if len(readings.failures) == len(names):
            return 1
    if values.flag("no-stream"):
        session.out.write(_page(readings, format_, truncate=truncate))
        return 0
    _redraw(session, readings, format_, truncate=truncate, names=names, refresh=add_running)
    return 0


def _redraw(
    session: Session,
    readings: Readings,
    format_: str,
    *,
    truncate: bool,
    names: list[str],
    refresh: Callable[[], None],
) -> None:
    """Draw over and over; new containers join, ended ones leave."""
    start = CLEAR + HOME if session.out.is_terminal else ""
    while True:
        page = _page(readings, format_, truncate=truncate)
        if session.out.is_terminal:
            lines = page.split("\n")
            page = (
                HOME + "\n".join(line + CLEAR_LINE_END for line in lines[:-1]) + "\n" + CLEAR_BELOW
            )
        session.out.write(start + page)
        session.out.flush()
        start = ""
        if names and not readings.newest:
            return
        time.sleep(REDRAW_S)
        if not names:
            refresh()


def _page(readings: Readings, format_: str, *, truncate: bool) -> str:
    rows = [StatsRow(name, reading, truncate=truncate) for name, reading in readings.newest.items()]
    if format_ and format_ != "table":
        return render(rows, TABLE, format_)
    lines = ["\t".join(TABLE.headings[name] for name in TABLE.columns)]
    lines += ["\t".join(str(row.columns[name](row)) for name in TABLE.columns) for row in rows]
    return tabwriter.align(lines)


COMMAND = Command(
    run,
    arguments="[CONTAINER...]",
    most=None,
    complete="running",
    options=(
        Option("all", "a", "bool", "Show stopped containers, too"),
        Option("format", "", "string", FORMAT_HELP),
        Option("no-stream", "", "bool", "Show the first readings only"),
        Option("no-trunc", "", "bool", "Show everything in full length"),
    ),
)

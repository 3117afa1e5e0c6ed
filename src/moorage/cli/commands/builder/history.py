"""``moor builder history``, also ``moor build history``."""

from __future__ import annotations

from moorage.cli.options import Command, Option, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from moorage.cli.options import Values
    from moorage.cli.session import Session

_VERBS = ("ls", "logs", "inspect", "rm")


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """List past builds, or show one."""
    return show(session, arguments, quiet=values.flag("quiet"))


def show(session: Session, arguments: list[str], *, quiet: bool) -> int:
    """Do ``ls``, ``logs BUILD``, ``inspect BUILD`` or ``rm BUILD...``; ``^0`` is the last build.

    *quiet*: ``ls`` gives ids alone.

    Raises: UsageError.
    """
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("ls", [])
    if verb not in _VERBS:
        verb, rest = "logs", arguments
    if verb == "ls":
        _list(session, quiet=quiet)
    elif not rest and verb != "rm":
        rest = ["^0"]
    for ref in rest:
        record = _find(session, ref)
        path = f"/build/history/{record['ID']}"
        if verb == "logs":
            _logs(session, path, record)
        elif verb == "inspect":
            _inspect(session, record)
        elif verb == "rm":
            session.api.delete(path)
            session.out.line(record["ID"])
    if verb == "rm" and not rest:
        raise UsageError("history rm requires at least 1 argument")
    return 0


def _find(session: Session, ref: str) -> Any:
    return session.api.get(f"/build/history/{ref}")


def _list(session: Session, *, quiet: bool) -> None:
    from moorage.cli.format import tabwriter
    from moorage.lib import clock, units

    records = session.api.get("/build/history")
    if quiet:
        for record in records:
            session.out.line(record["ID"][:12])
        return
    lines = ["BUILD\tNAME\tSTATUS\tSTEPS\tCACHED\tCREATED\tDURATION"]
    for record in records:
        age = (clock.now_ns() - record["CreatedNs"]) / 1e9
        fields = (
            record["ID"][:12],
            record.get("Name", ""),
            record["Status"],
            str(record.get("Steps", 0)),
            str(record.get("CachedSteps", 0)),
            f"{units.human_duration(age)} ago",
            _seconds(record),
        )
        lines.append("\t".join(fields))
    session.out.write(tabwriter.align(lines))


def _seconds(record: Any) -> str:
    ended = record.get("CompletedNs", 0)
    return f"{(ended - record['CreatedNs']) / 1e9:.1f}s" if ended else "-"


def _inspect(session: Session, record: Any) -> None:
    from moorage.lib import clock

    rows = (
        ("Name", record.get("Name", "")),
        ("Dockerfile", record.get("Dockerfile", "")),
        ("Target", record.get("Target", "")),
        ("Platform", record.get("Platform", "")),
        ("Status", record["Status"]),
        ("Error", record.get("Error", "")),
        ("Started", clock.rfc3339(record["CreatedNs"])),
        ("Duration", _seconds(record)),
        ("Steps", f"{record.get('Steps', 0)} ({record.get('CachedSteps', 0)} cached)"),
        ("Warnings", str(record.get("Warnings", 0))),
        ("Image", record.get("ImageID", "")),
        ("Tags", ", ".join(record.get("Tags", ()))),
    )
    for name, value in rows:
        if value:
            session.out.line(f"{name + ':':<14}{value}")


def _logs(session: Session, path: str, record: Any) -> None:
    from moorage.cli.building.view import PlainView

    view = PlainView(session.out)
    for event in session.api.stream_json(session.api.request("GET", f"{path}/log")):
        view.take(event)
    view.findings()
    if record.get("Error"):
        session.out.line(f"ERROR: {record['Error']}")


COMMAND = Command(
    run,
    arguments="[ls | logs BUILD | inspect BUILD | rm BUILD...]",
    options=(Option("quiet", "q", "bool", "Let ls show ids alone"),),
    least=0,
    most=None,
    details="BUILD is an id, the beginning of one, or ^N for the Nth build before the last.",
)

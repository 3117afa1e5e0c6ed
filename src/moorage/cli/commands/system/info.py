"""``moor info``."""

from __future__ import annotations

from moorage.cli import extension
from moorage.cli.options import INSPECT_FORMAT_HELP, Command, Option
from moorage.cli.resolve import context_name
from moorage.cli.tree import VERSION
from moorage.lib.errors import MoorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json


def run(session: Session, values: Values, _: list[str]) -> int:
    """Show facts about client and daemon; the client's even if the daemon does not answer."""
    client = {
        "Version": VERSION,
        "Context": context_name(session),
        "Debug": session.globals.flag("debug"),
        "Plugins": [
            {**found.metadata, "Name": found.name, "Path": found.path}
            for found in extension.installed(session)
        ],
        "Warnings": None,
    }
    info: Json | None = None
    failure: MoorageError | None = None
    try:
        info = session.api.get("/info")
    except MoorageError as e:
        failure = e
    if format_ := values.text("format"):
        from moorage.cli.format.templated import render_one

        errors = {"ServerErrors": [str(failure)]} if failure else {}
        session.out.write(render_one({**(info or {}), **errors, "ClientInfo": client}, format_))
    else:
        _show(session, client, info)
    session.out.flush()
    if failure is not None:
        session.err.line(str(failure))
        return 1
    return 0


def _show(session: Session, client: Json, info: Json | None) -> None:
    from moorage.cli.format.hostinfo import lines, warnings

    session.out.line("Client:")
    session.out.line(f" Version:    {client['Version']}")
    session.out.line(f" Context:    {client['Context']}")
    session.out.line(f" Debug Mode: {str(client['Debug']).lower()}")
    if client["Plugins"]:
        session.out.line(" Plugins:")
    for plugin in client["Plugins"]:
        summary = plugin.get("ShortDescription") or "(no description)"
        session.out.line(f"  {plugin['Name']}: {summary} ({plugin['Vendor']})")
        session.out.line(f"    Version:  {plugin.get('Version') or 'unknown'}")
        session.out.line(f"    Path:     {plugin['Path']}")
    session.out.line()
    session.out.line("Server:")
    if info is None:
        return
    session.out.write("".join(f"{line}\n" for line in lines(info)))
    session.out.line()
    session.out.flush()
    for warning in warnings(info):
        session.err.line(warning)


COMMAND = Command(run, options=(Option("format", "f", "string", INSPECT_FORMAT_HELP),))

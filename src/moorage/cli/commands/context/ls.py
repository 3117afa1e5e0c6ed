"""``moor context ls``."""

from __future__ import annotations

from moorage.cli.format.listing import Table, quiet_or, show
from moorage.cli.options import FORMAT_HELP, Command, Option
from moorage.cli.row import Row
from moorage.cli.text import ellipsis, natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

DESCRIPTION_WIDTH = 60
DEFAULT_DESCRIPTION = "Current DOCKER_HOST based configuration"


class ContextRow(Row):
    """One context."""

    kind = "formatter.clientContextContext"

    def __init__(self, name: str, description: str, host: str, *, current: bool) -> None:
        self.name = name
        self.description = description
        self.host = host
        self.current = current

    columns = {  # noqa: RUF012
        "Current": lambda self: self.current,
        "Description": lambda self: ellipsis(self.description, DESCRIPTION_WIDTH),
        "DockerEndpoint": lambda self: self.host,
        "Error": lambda _: "",
        "Name": lambda self: self.name,
    }


class _StarredRow(ContextRow):
    """A row of the default table, where a star marks the current context."""

    columns = {  # noqa: RUF012
        **ContextRow.columns,
        "Name": lambda self: f"{self.name} *" if self.current else self.name,
    }


TABLE = Table(
    ("Name", "Description", "DockerEndpoint", "Error"),
    {
        "Name": "NAME",
        "Description": "DESCRIPTION",
        "DockerEndpoint": "DOCKER ENDPOINT",
        "Error": "ERROR",
        "Current": "CURRENT",
    },
)


def run(session: Session, values: Values, _: list[str]) -> None:
    """List contexts."""
    from moorage.cli.resolve import context_name, default_context_host
    from moorage.client.contexts import DEFAULT, ContextStore
    from moorage.client.endpoint import host_from_environment

    current = context_name(session)
    kind = _StarredRow if values.text("format") in {"", "table"} else ContextRow
    rows = [
        kind(context.name, context.description, context.host, current=context.name == current)
        for context in ContextStore(session.config_directory).list()
    ]
    host = default_context_host(session)
    rows.append(kind(DEFAULT, DEFAULT_DESCRIPTION, host, current=current == DEFAULT))
    rows.sort(key=lambda row: natural(row.name))
    format_, quiet = values.text("format"), values.flag("quiet")
    if not quiet_or(session, [row.name for row in rows], TABLE, format_, quiet=quiet):
        show(session, rows, TABLE, format_)
    if host_from_environment(session.environ):
        session.out.flush()
        session.err.line(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a "
            "context, either set the global --context flag, or unset DOCKER_HOST environment "
            "variable."
        )


COMMAND = Command(
    run,
    options=(
        Option("format", "", "string", FORMAT_HELP),
        Option("quiet", "q", "bool", "Print names only"),
    ),
)

"""``moor search``."""

from __future__ import annotations

from moorage.cli.format.listing import Table, show
from moorage.cli.options import FORMAT_HELP, Command, Option
from moorage.cli.row import Row
from moorage.cli.text import ellipsis

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json

DESCRIPTION_WIDTH = 45
DEFAULT_LIMIT = 25


class ResultRow(Row):
    """One repository that was found."""

    kind = "formatter.searchContext"

    def __init__(self, result: Json, *, truncate: bool) -> None:
        self.result = result
        self.truncate = truncate

    def description(self) -> str:
        """Return the description on one line."""
        text = str(self.result.get("description") or "").replace("\n", " ").replace("\r", " ")
        return ellipsis(text, DESCRIPTION_WIDTH) if self.truncate else text

    columns = {  # noqa: RUF012
        "Description": description,
        "IsAutomated": lambda self: "[OK]" if self.result.get("is_automated") else "",
        "IsOfficial": lambda self: "[OK]" if self.result.get("is_official") else "",
        "Name": lambda self: self.result["name"],
        "StarCount": lambda self: str(self.result.get("star_count", 0)),
    }


TABLE = Table(
    ("Name", "Description", "StarCount", "IsOfficial"),
    {
        "Name": "NAME",
        "Description": "DESCRIPTION",
        "StarCount": "STARS",
        "IsOfficial": "OFFICIAL",
        "IsAutomated": "AUTOMATED",
    },
)


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Search a registry."""
    from moorage.cli.authorising import auth_header

    response = session.api.request(
        "GET",
        "/images/search",
        {
            "term": arguments[0],
            "limit": values.number("limit") or DEFAULT_LIMIT,
            "filters": values.filters(),
        },
        headers=auth_header(session, arguments[0]),
    )
    from moorage.client import jsonwire

    results = jsonwire.decode(response.read()) or []
    truncate = not values.flag("no-trunc")
    rows = [ResultRow(result, truncate=truncate) for result in results]
    show(session, rows, TABLE, values.text("format"))


COMMAND = Command(
    run,
    arguments="TERM",
    least=1,
    most=1,
    options=(
        Option("filter", "f", "filter", "Show only results that match", choices="filters:search"),
        Option("format", "", "string", FORMAT_HELP),
        Option("limit", "", "int", "Number of results to show"),
        Option("no-trunc", "", "bool", "Show everything in full length"),
    ),
)

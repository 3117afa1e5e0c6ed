"""``moor plugin ls``."""

from __future__ import annotations

from moorage.cli.format.listing import Table, quiet_or, show
from moorage.cli.options import FORMAT_HELP, Command, Option
from moorage.cli.row import Row
from moorage.cli.text import ellipsis, short_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json

DESCRIPTION_WIDTH = 45


class PluginRow(Row):
    """One plugin."""

    kind = "plugin.pluginContext"

    def __init__(self, plugin: Json, *, truncate: bool) -> None:
        self.plugin = plugin
        self.truncate = truncate

    def identifier(self) -> str:
        """Return the ID, shortened unless --no-trunc."""
        identifier = str(self.plugin.get("Id") or "")
        return short_id(identifier) if self.truncate else identifier

    def description(self) -> str:
        """Return the description on one line."""
        text = str((self.plugin.get("Config") or {}).get("Description") or "").replace("\n", " ")
        return ellipsis(text, DESCRIPTION_WIDTH) if self.truncate else text

    columns = {  # noqa: RUF012
        "Description": description,
        "Enabled": lambda self: str(bool(self.plugin.get("Enabled"))).lower(),
        "ID": identifier,
        "Name": lambda self: self.plugin["Name"],
        "PluginReference": lambda self: self.plugin.get("PluginReference") or "",
    }


TABLE = Table(
    ("ID", "Name", "Description", "Enabled"),
    {
        "ID": "ID",
        "Name": "NAME",
        "Description": "DESCRIPTION",
        "Enabled": "ENABLED",
        "PluginReference": "PLUGIN REFERENCE",
    },
    raw=(
        *(("plugin_id", "ID"), ("name", "Name")),
        *(("description", "Description"), ("enabled", "Enabled")),
    ),
)


def run(session: Session, values: Values, _: list[str]) -> None:
    """List plugins."""
    format_ = values.text("format") or session.config.text("pluginsFormat")
    truncate = not values.flag("no-trunc")
    found = session.api.get("/plugins", filters=values.filters()) or []
    rows = [PluginRow(plugin, truncate=truncate) for plugin in found]
    identifiers = [row.identifier() for row in rows]
    if not quiet_or(session, identifiers, TABLE, format_, quiet=values.flag("quiet")):
        show(session, rows, TABLE, format_)


COMMAND = Command(
    run,
    options=(
        Option("filter", "f", "filter", 'Show only plugins that match (e.g. "enabled=true")'),
        Option("format", "", "string", FORMAT_HELP),
        Option("no-trunc", "", "bool", "Show everything in full length"),
        Option("quiet", "q", "bool", "Print IDs only"),
    ),
)

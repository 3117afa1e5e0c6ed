"""``moor context update``."""

from __future__ import annotations

from moorage.cli.commands.context import describing
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Change a context's description or endpoint."""
    from moorage.client.contexts import ContextStore, check_name

    name = arguments[0]
    check_name(name)
    store = ContextStore(session.config_directory)
    meta = dict(store.get(name).meta)
    certificates: dict[str, bytes] | None = None
    if values.changed("description"):
        metadata = dict(meta.get("Metadata") or {})
        metadata["Description"] = values.text("description")
        meta["Metadata"] = metadata
    if values.changed("docker"):
        record, certificates = describing.endpoint(session, values.pairs("docker"))
        meta["Endpoints"] = {**(meta.get("Endpoints") or {}), "docker": record}
    store.put(meta, certificates)
    session.out.line(name)
    session.err.line(f'Successfully updated context "{name}"')


COMMAND = Command(
    run,
    arguments="CONTEXT",
    least=1,
    most=1,
    complete="contexts",
    details=describing.DETAILS,
    options=(describing.DESCRIPTION, describing.DOCKER),
)

"""``moor context create``."""

from __future__ import annotations

from moorage.cli.commands.context import describing
from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Store a context."""
    from moorage.client.contexts import DEFAULT, ContextStore, check_name

    name = arguments[0]
    check_name(name)
    pairs = values.pairs("docker")
    if source := values.text("from"):
        if pairs:
            raise CommandError("cannot use --docker flag when --from is set")
        record, certificates = describing.copy_of(session, source)
    elif not pairs:
        record, certificates = describing.copy_of(session, "default")
    else:
        record, certificates = describing.endpoint(session, pairs)
    metadata: Json = {}
    if source and source != DEFAULT:
        metadata |= ContextStore(session.config_directory).get(source).meta.get("Metadata") or {}
    if values.text("description"):
        metadata["Description"] = values.text("description")
    meta = {"Name": name, "Metadata": metadata, "Endpoints": {"docker": record}}
    ContextStore(session.config_directory).create(meta, certificates)
    session.out.line(name)
    session.err.line(f'Successfully created context "{name}"')


COMMAND = Command(
    run,
    arguments="CONTEXT",
    least=1,
    most=1,
    details=describing.DETAILS,
    options=(
        describing.DESCRIPTION,
        describing.DOCKER,
        Option("from", "", "string", "Copy another context", choices="contexts"),
    ),
)

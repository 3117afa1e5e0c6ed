"""``moor manifest create``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json
    from moorage.spec.reference import Reference


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Make a list of manifests that registries have; nothing is kept unless all are there."""
    from moorage.cli import manifestlist
    from moorage.client.manifestlists import ManifestLists

    target = manifestlist.named(arguments[0], " for manifest list")
    lists = ManifestLists(session.config_directory)
    if lists.manifests(target) and not values.flag("amend"):
        raise CommandError("refusing to amend an existing manifest list with no --amend flag")
    members = [manifestlist.named(text) for text in arguments[1:]]
    insecure = values.flag("insecure")
    found = [
        (member, lists.manifest(target, member) or _fetch(session, member, insecure=insecure))
        for member in members
    ]
    lists.keep(target, found)
    session.out.line(f"Created manifest list {target.familiar}")


def _fetch(session: Session, member: Reference, *, insecure: bool) -> Json:
    from moorage.cli import manifestlist
    from moorage.spec import mediatype

    found = manifestlist.fetch(session, member, insecure=insecure)
    if mediatype.is_index(found.descriptor.media_type):
        raise CommandError(f"{member.familiar} is a manifest list")
    return manifestlist.describe(session, member, found, insecure=insecure)


COMMAND = Command(
    run,
    arguments="MANIFEST_LIST MANIFEST [MANIFEST...]",
    least=2,
    most=None,
    complete="images",
    options=(
        Option("amend", "a", "bool", "Add to a list that exists"),
        Option("insecure", "", "bool", "Allow a registry without TLS"),
    ),
)

"""What ``moor manifest inspect`` does."""

from __future__ import annotations

from moorage.cli import manifestlist
from moorage.cli.failure import CommandError
from moorage.client import jsonwire
from moorage.client.manifestlists import ManifestLists
from moorage.spec import digest as digests
from moorage.spec import mediatype

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json
    from moorage.registry.repository import FetchedManifest
    from moorage.spec.reference import Reference


def show(session: Session, values: Values, arguments: list[str]) -> None:
    """Print a manifest of a local list, a local list, or what a registry has of that name."""
    reference = manifestlist.named(arguments[-1])
    lists = ManifestLists(session.config_directory)
    verbose = values.flag("verbose")
    if len(arguments) > 1:
        one = lists.manifest(manifestlist.named(arguments[0], " for manifest list"), reference)
        if one is None:
            raise CommandError(f"No such manifest: {reference}")
        shown = jsonwire.encode(one) if verbose else manifestlist.raw(one).decode()
        session.out.line(jsonwire.indent(shown, "\t"))
    elif local := lists.manifests(reference):
        if verbose:
            session.out.line(jsonwire.indent(jsonwire.encode(local), "\t"))
        else:
            session.out.line(manifestlist.combine(local)[1])
    else:
        _show_fetched(session, reference, verbose=verbose, insecure=values.flag("insecure"))


def _show_fetched(session: Session, reference: Reference, *, verbose: bool, insecure: bool) -> None:
    """Print what a registry has."""
    found = manifestlist.fetch(session, reference, insecure=insecure)
    is_index = mediatype.is_index(found.descriptor.media_type)
    if verbose:
        described = (
            _describe_all(session, reference, found, insecure=insecure)
            if is_index
            else manifestlist.describe(session, reference, found, insecure=insecure)
        )
        session.out.line(jsonwire.indent(jsonwire.encode(described), "\t"))
    elif is_index:
        session.out.line(manifestlist.indented(found.data.decode()))
    else:
        session.out.line(jsonwire.indent(found.data.decode(), "\t"))


def _describe_all(
    session: Session, reference: Reference, index: FetchedManifest, *, insecure: bool
) -> list[Json]:
    """Describe every manifest of an index, for the platforms the index says."""
    described = []
    for entry in jsonwire.decode(index.data).get("manifests") or []:
        member = reference.with_digest(digests.parse(str(entry.get("digest"))))
        found = manifestlist.fetch(session, member, insecure=insecure)
        one = manifestlist.describe(session, member, found, insecure=insecure)
        one["Ref"] = f"{reference}@{member.digest}"
        if entry.get("platform"):
            one["Descriptor"]["platform"] = entry["platform"]
        described.append(one)
    return described

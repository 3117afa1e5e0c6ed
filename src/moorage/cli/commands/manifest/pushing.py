"""What ``moor manifest push`` does."""

from __future__ import annotations

from moorage.cli import manifestlist, registries
from moorage.cli.failure import CommandError
from moorage.client import jsonwire
from moorage.client.manifestlists import ManifestLists
from moorage.registry.ways import wanted_name
from moorage.spec import digest as digests
from moorage.spec.reference import parse_normalized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json
    from moorage.registry.repository import Repository
    from moorage.spec.reference import Reference


def push(session: Session, values: Values, arguments: list[str]) -> None:
    """Push a list, with those of its manifests that are in other repositories of the registry."""
    target = manifestlist.named(arguments[0], " for manifest list")
    lists = ManifestLists(session.config_directory)
    manifests = lists.manifests(target)
    if not manifests:
        raise CommandError(f"No such manifest: {target}")
    media_type, text = manifestlist.combine(manifests)
    elsewhere = [
        (source, manifest)
        for manifest in manifests
        if (source := _source(manifest, target)).name != target.name
    ]

    async def work(repository: Repository) -> None:
        for source, manifest in elsewhere:
            await _bring(repository, source, manifest)
            digest = manifest["Descriptor"]["digest"]
            session.out.line(f"Pushed ref {target.familiar_name}@{digest} with digest: {digest}")
        await repository.put_manifest(wanted_name(target), media_type, text.encode())

    registries.ask(session, target, work, insecure=values.flag("insecure"), push=True)
    session.out.line(digests.of(text.encode()))
    if values.flag("purge"):
        lists.forget(target)


def _source(manifest: Json, target: Reference) -> Reference:
    """Return where a manifest came from. Raises: CommandError, if that is another registry."""
    source = parse_normalized(str(manifest["Ref"]))
    if source.domain != target.domain:
        raise CommandError(
            "cannot use source images from a different registry than the target image:"
            f" {source.domain} != {target.domain}"
        )
    return source


async def _bring(repository: Repository, source: Reference, manifest: Json) -> None:
    """Mount the blobs of a manifest from its own repository, then put it beside the list."""
    data = manifestlist.raw(manifest)
    document = jsonwire.decode(data)
    for blob in (document["config"], *document["layers"]):
        digest = digests.parse(str(blob["digest"]))
        if await repository.blob_size(digest) is not None:
            continue
        if await repository.begin_upload(mount=digest, source=source.path) is not None:
            raise CommandError(
                f"unable to mount blob {digest} of {source.familiar_name}: push"
                f" {manifest['Ref']} to {repository.reference.familiar_name} first"
            )
    descriptor = manifest["Descriptor"]
    await repository.put_manifest(descriptor["digest"], descriptor["mediaType"], data)

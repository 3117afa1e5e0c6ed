"""The documents of ``moor manifest``: one image as docker describes it, and the list of several."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

from moorage.cli.failure import CommandError
from moorage.client import jsonwire
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.spec import digest as digests
from moorage.spec import mediatype
from moorage.spec.reference import parse_with_default_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json
    from moorage.registry.repository import FetchedManifest, Repository
    from moorage.spec.reference import Reference

_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant")
_INDENT = "   "  # of docker's manifest lists


def named(text: str, what: str = "") -> Reference:
    """Parse a name of the command line. Raises: CommandError."""
    try:
        return parse_with_default_tag(text)
    except InvalidParameter as e:
        raise CommandError(f"error parsing name{what} {text}: {e.message}") from e


def fetch(session: Session, reference: Reference, *, insecure: bool) -> FetchedManifest:
    """Return what a registry has under *reference*. Raises: CommandError, MoorageError."""
    from moorage.cli import registries
    from moorage.registry.ways import wanted_name

    async def work(repository: Repository) -> FetchedManifest:
        return await repository.manifest(wanted_name(reference))

    try:
        return registries.ask(session, reference, work, insecure=insecure)
    except NotFound as e:
        raise CommandError(f"no such manifest: {reference.familiar}") from e


def describe(
    session: Session, reference: Reference, found: FetchedManifest, *, insecure: bool
) -> Json:
    """Return docker's description of an image, its platform among it.

    Raises: CommandError, MoorageError.
    """
    manifest = jsonwire.decode(found.data)
    config = manifest.get("config") or {}
    platform: Json = {}
    if mediatype.is_config(str(config.get("mediaType"))):
        digest = digests.parse(str(config.get("digest")))

        async def work(repository: Repository) -> bytes:
            return await repository.config(digest)

        from moorage.cli import registries

        image = jsonwire.decode(registries.ask(session, reference, work, insecure=insecure))
        platform = platform_of(image)
    media_type = found.descriptor.media_type
    kind = "OCIManifest" if media_type == mediatype.OCI_MANIFEST else "SchemaV2Manifest"
    return {
        "Ref": str(reference),
        "Descriptor": {
            "mediaType": media_type,
            "digest": str(found.descriptor.digest),
            "size": found.descriptor.size,
            "platform": platform,
        },
        "Raw": b2a_base64(found.data, newline=False).decode(),
        kind: manifest,
    }


def raw(manifest: Json) -> bytes:
    """Return the bytes of a manifest that ``describe`` made, as its registry had them.

    Raises: CommandError, if they are others by now.
    """
    data = a2b_base64(str(manifest.get("Raw", "")))
    if digests.of(data) != manifest["Descriptor"].get("digest"):
        raise CommandError(f"the manifest kept of {manifest.get('Ref')} is damaged: create it anew")
    return data


def combine(manifests: list[Json]) -> tuple[str, str]:
    """Return media type and text of the list of *manifests*, byte for byte as docker's.

    It is an OCI index where its first manifest is OCI's.
    Raises: CommandError, if a manifest does not say for what it is.
    """
    for manifest in manifests:
        platform = manifest["Descriptor"].get("platform") or {}
        if not platform.get("os") or not platform.get("architecture"):
            raise CommandError(
                f"manifest {manifest.get('Ref')} must have an OS and Architecture to be pushed to a"
                " registry"
            )
    oci = manifests[0]["Descriptor"]["mediaType"] == mediatype.OCI_MANIFEST
    media_type = mediatype.OCI_INDEX if oci else mediatype.DOCKER_MANIFEST_LIST
    entries = [
        {name: manifest["Descriptor"][name] for name in ("mediaType", "size", "digest")}
        | {"platform": platform_of(manifest["Descriptor"]["platform"])}
        for manifest in manifests
    ]
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    return media_type, indented(jsonwire.encode(document))


def platform_of(platform: Json) -> Json:
    """Return what a platform says, in the order of docker's documents."""
    return {name: platform[name] for name in _PLATFORM if platform.get(name)}


def indented(text: str) -> str:
    """Lay a list out as docker does."""
    return jsonwire.indent(text, _INDENT)

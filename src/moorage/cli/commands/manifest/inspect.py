"""``moor manifest inspect``: the one command that asks a registry itself."""

from __future__ import annotations

import asyncio

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.client import jsonwire
from moorage.client.credentials import Credentials as Stored
from moorage.client.credentials import registry_of
from moorage.lib.errors import MoorageError
from moorage.registry.credentials import Credentials
from moorage.registry.failures import RegistryRefusal, of_pull
from moorage.registry.proxies import Proxies
from moorage.registry.registries import Registries
from moorage.registry.settings import RegistrySettings
from moorage.spec.reference import Reference, parse_with_default_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json
    from moorage.registry.repository import FetchedManifest

INDEXES = ("manifest.list.v2+json", "image.index.v1+json")


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Print a manifest or an index as the registry has it."""
    reference = parse_with_default_tag(arguments[-1])
    stored = Stored(session.config).find(registry_of(arguments[-1]))
    settings = RegistrySettings(
        proxies=Proxies.from_environment(session.environ),
        insecure_hosts=frozenset({reference.domain}) if values.flag("insecure") else frozenset(),
    )
    found = asyncio.run(_fetch(settings, reference, stored))
    if not values.flag("verbose"):
        session.out.line(jsonwire.indent(found.data.decode(), "\t"))
        return
    described = _describe(reference, found)
    session.out.line(jsonwire.indent(jsonwire.encode(described), "\t"))


async def _fetch(settings: RegistrySettings, reference: Reference, stored: Json) -> FetchedManifest:
    credentials = Credentials(
        username=str(stored.get("username", "")),
        password=str(stored.get("password", "")),
        identity_token=str(stored.get("identitytoken", "")),
        server_address=str(stored.get("serveraddress", "")),
    )
    registries = Registries(lambda: settings, user_agent="moor")
    failure: MoorageError | None = None
    try:
        for repository in await registries.repositories(reference, credentials):
            try:
                return await repository.manifest(str(reference.digest or reference.tag))
            except RegistryRefusal as e:
                failure = of_pull(e, reference)
            except MoorageError as e:
                failure = e
    finally:
        await registries.close()
    raise failure or CommandError(f"no registry serves {reference}")


def _describe(reference: Reference, found: FetchedManifest) -> Json:
    """Return what --verbose shows: reference, descriptor and the manifest itself."""
    media_type = found.descriptor.media_type
    manifest = jsonwire.decode(found.data)
    kind = "SchemaV2Manifest" if "docker" in media_type else "OCIManifest"
    if media_type.endswith(INDEXES):
        kind = "Index"
    return {
        "Ref": str(reference),
        "Descriptor": {
            "mediaType": media_type,
            "digest": str(found.descriptor.digest),
            "size": found.descriptor.size,
        },
        kind: manifest,
    }


COMMAND = Command(
    run,
    arguments="[MANIFEST_LIST] MANIFEST",
    least=1,
    most=2,
    complete="images",
    options=(
        Option("insecure", "", "bool", "Allow a registry without TLS"),
        Option("verbose", "v", "bool", "Show the descriptor, too"),
    ),
)

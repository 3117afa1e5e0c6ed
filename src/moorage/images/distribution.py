"""What a registry says of a reference, without pulling it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.images import remote
from moorage.images.store import decode_config
from moorage.lib.errors import DataLoss
from moorage.registry.credentials import ANONYMOUS, Credentials
from moorage.spec import digest as digests
from moorage.spec import mediatype
from moorage.spec import reference as references
from moorage.spec.engine.image import DistributionInspect, OCIDescriptor, OCIPlatform
from moorage.spec.oci.index import Index
from moorage.spec.platforms import Platform
from moorage.storage.content import MANIFEST_LIMIT

if TYPE_CHECKING:
    from moorage.registry.registries import Registries
    from moorage.registry.repository import Repository
    from moorage.spec.oci.descriptor import Descriptor


async def inspect(
    registries: Registries, name: str, credentials: Credentials = ANONYMOUS
) -> DistributionInspect:
    """Return the descriptor of *name* at its registry, and for which platforms it is.

    Raises: InvalidParameter, NotFound, Unauthorized, System.
    """
    reference = references.parse_with_default_tag(name)
    ways = await registries.repositories(reference, credentials)
    way, fetched = await remote.first_answer(
        registries, ways, lambda way: way.manifest(remote.wanted_name(reference))
    )
    document = remote.decode(fetched, reference)
    if isinstance(document, Index):
        platforms = [entry.platform for entry in document.manifests if entry.platform]
    elif mediatype.is_config(document.config.media_type):
        platforms = [await _platform(way, document.config)]
    else:
        platforms = []
    descriptor = fetched.descriptor
    return DistributionInspect(
        descriptor=OCIDescriptor(
            media_type=descriptor.media_type, digest=descriptor.digest, size=descriptor.size
        ),
        platforms=[
            OCIPlatform(
                architecture=platform.architecture,
                os=platform.os,
                os_version=platform.os_version,
                os_features=platform.os_features or None,
                variant=platform.variant,
            )
            for platform in platforms
        ],
    )


async def _platform(way: Repository, config: Descriptor) -> Platform:
    digest = digests.parse(config.digest)
    async with way.blob(digest) as (_, response):
        data = await response.read(MANIFEST_LIMIT)
    if digests.of(data) != digest:
        raise DataLoss(f"{way.endpoint.host} gave other bytes than {digest}")
    return decode_config(data).platform

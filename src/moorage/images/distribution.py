"""What a registry says of a reference, without pulling it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from moorage.images import remote
from moorage.images.store import decode_config
from moorage.lib.errors import InvalidParameter
from moorage.registry.credentials import ANONYMOUS, Credentials
from moorage.registry.ways import first_answer, wanted_name
from moorage.spec import digest as digests
from moorage.spec import mediatype
from moorage.spec import reference as references
from moorage.spec.engine.image import DistributionInspect, OCIDescriptor, OCIPlatform
from moorage.spec.oci.index import Index

if TYPE_CHECKING:
    from moorage.registry.registries import Registries


_IMAGE_ID: Final = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


async def inspect(
    registries: Registries, name: str, credentials: Credentials = ANONYMOUS
) -> DistributionInspect:
    """Return the descriptor of *name* at its registry, and for which platforms it is.

    Raises: InvalidParameter, NotFound, Unauthorized, System.
    """
    if _IMAGE_ID.fullmatch(name):
        raise InvalidParameter("no manifest found for full image ID", hint="give a name")
    reference = references.parse_with_default_tag(name)
    ways = await registries.repositories(reference, credentials)
    way, fetched = await first_answer(
        registries, ways, lambda way: way.manifest(wanted_name(reference))
    )
    document = remote.decode(fetched, reference)
    if isinstance(document, Index):
        platforms = [entry.platform for entry in document.manifests if entry.platform]
    elif mediatype.is_config(document.config.media_type):
        config = await way.config(digests.parse(document.config.digest))
        platforms = [decode_config(config).platform]
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

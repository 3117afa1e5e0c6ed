"""``import``: an image of one layer from the tar of a root file system; and images from a layer."""

from __future__ import annotations

from typing import BinaryIO

from msgspec import Struct, structs

from moorage.images import changes as instructions
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.lib import clock
from moorage.lib.errors import InvalidParameter
from moorage.lib.failpoint import failpoint
from moorage.spec import digest as digests
from moorage.spec import gojson, mediatype
from moorage.spec.oci.descriptor import Descriptor
from moorage.spec.oci.image import ContainerConfig, History, ImageConfig, RootFS
from moorage.spec.platforms import Platform
from moorage.spec.reference import Reference
from moorage.storage.layers import Layer


class ImportOptions(Struct, frozen=True, kw_only=True):
    """What the request says beside the archive."""

    name: Reference | None = None
    message: str = ""
    source: str = "-"
    changes: list[str] = []
    platform: Platform | None = None


def import_image(parts: Parts, file: BinaryIO, options: ImportOptions) -> Image:
    """Make an image of *file*, a tar compressed or not. Blocks.

    Events: ``tag`` if it has a name, ``import``. Raises: InvalidParameter, System (disk full).
    """
    if options.platform is not None and options.platform.os != parts.store.host.os:
        raise InvalidParameter("operating system is not supported", hint=options.platform.os)
    run = instructions.apply(ContainerConfig(), options.changes)
    with parts.leases.acquire("import") as lease:
        try:
            staged = parts.layers.stage(file, keep=lease.add)
            lease.add(staged.diff_id)  # its ChainID too: it stands on nothing
            layer = parts.layers.adopt(staged, None)
            failpoint("images.import.after_layer")
            platform = options.platform or parts.store.host
            now = clock.rfc3339(clock.now_ns())
            comment = options.message or f"Imported from {options.source}"
            config = ImageConfig(
                created=now,
                architecture=platform.architecture,
                variant=platform.variant,
                os=platform.os or "linux",
                config=run,
                rootfs=RootFS(diff_ids=[layer.diff_id]),
                history=[History(created=now, comment=comment)],
                comment=comment,
            )
            data = gojson.encode(config)
            lease.add(digests.of(data))
            with parts.store.transaction():
                image = parts.store.add(config=data, layers=[staged.blob])
                if options.name is not None:
                    parts.store.tag(image.id, options.name)
        finally:
            lease.release()
            parts.collect()
    if options.name is not None:
        parts.announce("tag", image.id, options.name.familiar)
    parts.announce("import", image.id, image.id)
    return image


def from_layer(
    parts: Parts,
    *,
    base: Image | None,
    layer: Layer | None,
    config: ImageConfig,
    step: History,
    name: Reference | None = None,
) -> Image:
    """Make an image of *base* and one more *layer* (commit); the caller holds a lease on it.

    *config* says how to run it; its layers and history are made here.
    Raises: DataLoss (a layer is missing).
    """
    blobs = list(base.layers) if base else []
    diff_ids = list(base.diff_ids) if base else []
    history = list((base.config.history if base else None) or [])
    if layer is not None:
        diff_ids.append(layer.diff_id)
        blobs.append(
            Descriptor(media_type=mediatype.OCI_LAYER, digest=layer.diff_id, size=layer.tar_size)
        )
    history.append(structs.replace(step, empty_layer=layer is None))
    document = structs.replace(config, rootfs=RootFS(diff_ids=diff_ids), history=history)
    with parts.store.transaction():
        image = parts.store.add(
            config=gojson.encode(document), layers=blobs, parent=base.id if base else None
        )
        if name is not None:
            parts.store.tag(image.id, name)
    return image

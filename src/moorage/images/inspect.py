"""``image inspect`` and ``image history``."""

from __future__ import annotations

from msgspec import UNSET

from moorage.images import summary, variants
from moorage.images.image import Image
from moorage.images.operations import Parts
from moorage.lib import clock
from moorage.spec.engine.image import (
    ImageConfig,
    ImageHistoryResponseItem,
    ImageInspect,
    ImageInspectMetadata,
    ImageInspectRootFS,
)
from moorage.spec.engine.storage import DriverData
from moorage.spec.oci.image import ContainerConfig
from moorage.spec.platforms import Platform


def inspect(
    parts: Parts, ref: str, *, platform: Platform | None = None, with_manifests: bool = False
) -> ImageInspect:
    """Return all that is known of an image. Raises: NotFound."""
    image = variants.look(parts, ref, platform)
    config = image.config
    tags = [
        tag.tagged_ns for n in parts.store.references(image.id) if (tag := parts.store.tag_of(n))
    ]
    unpacked = image.chain_id is not None and parts.layers.has(image.chain_id)
    below = parts.layers.stack(image.chain_id) if unpacked else []
    data = parts.layers.driver.data(below[0], below[1:]) if below else None
    return ImageInspect(
        id=image.id,
        descriptor=summary.descriptor(image.manifest),
        manifests=summary.manifests_of(parts, image) if with_manifests else UNSET,
        repo_tags=parts.store.repo_tags(image.id),
        repo_digests=parts.store.repo_digests(image.id),
        parent=image.parent or "",
        comment=config.comment or _last_comment(image),
        created=config.created or clock.ZERO,
        author=config.author,
        config=run_config(config.config or ContainerConfig()),
        architecture=config.architecture,
        variant=config.variant or UNSET,
        os=config.os or "linux",
        os_version=config.os_version or UNSET,
        size=image.size,
        graph_driver=DriverData(name=parts.layers.driver.name, data=data),
        root_fs=ImageInspectRootFS(type="layers", layers=list(image.diff_ids) or None),
        metadata=ImageInspectMetadata(last_tag_time=clock.rfc3339(max(tags, default=0))),
    )


def run_config(config: ContainerConfig) -> ImageConfig:
    """Return the run parameters in the words of the API."""
    return ImageConfig(
        user=config.user,
        exposed_ports=config.exposed_ports,
        env=config.env,
        cmd=config.cmd,
        healthcheck=config.healthcheck,
        args_escaped=config.args_escaped,
        volumes=config.volumes,
        working_dir=config.working_dir,
        entrypoint=config.entrypoint,
        on_build=config.on_build,
        labels=config.labels,
        stop_signal=config.stop_signal or None,
        shell=config.shell,
    )


def _last_comment(image: Image) -> str:
    history = image.config.history or []
    return history[-1].comment if history else ""


def history(
    parts: Parts, ref: str, *, platform: Platform | None = None
) -> list[ImageHistoryResponseItem]:
    """Return the steps that made the image, newest first. Raises: NotFound."""
    image = variants.look(parts, ref, platform)
    chain = image.chain
    at = 0
    found: list[ImageHistoryResponseItem] = []
    for step in image.config.history or []:
        size = 0
        if not step.empty_layer and at < len(chain):
            layer = parts.layers.find(chain[at])
            size = layer.size if layer else 0
            at += 1
        found.append(
            ImageHistoryResponseItem(
                id="<missing>",
                created=_seconds(step.created),
                created_by=step.created_by,
                tags=None,
                size=size,
                comment=step.comment,
            )
        )
    found.reverse()
    return _with_ids(parts, image, found)


def _with_ids(
    parts: Parts, image: Image, found: list[ImageHistoryResponseItem]
) -> list[ImageHistoryResponseItem]:
    """Give the newest step the image's id and names, and those below it their parents'."""
    named: list[ImageHistoryResponseItem] = []
    current: Image | None = image
    for item in found:
        if current is None:
            named.append(item)
            continue
        named.append(
            ImageHistoryResponseItem(
                id=current.id,
                created=item.created,
                created_by=item.created_by,
                tags=parts.store.repo_tags(current.id) or None,
                size=item.size,
                comment=item.comment,
            )
        )
        current = parts.store.find(current.parent) if current.parent else None
    return named


def _seconds(created: str | None) -> int:
    try:
        return clock.parse_rfc3339(created) // 1_000_000_000 if created else 0
    except ValueError:
        return 0

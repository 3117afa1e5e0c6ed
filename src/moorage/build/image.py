"""The image configuration that a build writes: config, history, layers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from moorage.build.frontends.dockerfile.convert import Converted
from moorage.build.result import LayerRef
from moorage.lib import clock
from moorage.spec.digest import Digest
from moorage.spec.oci.image import History, ImageConfig, RootFS

_encode = msgspec.json.Encoder(order=None).encode


def configuration(
    converted: Converted,
    layers: Sequence[LayerRef],
    made: Mapping[Digest, bool],
    *,
    created_ns: int,
    epoch_s: int | None,
) -> ImageConfig:
    """Return the configuration of the image.

    *made* says of each vertex whether it added a layer: a step that changed nothing leaves an
    empty entry in the history, as Docker does. With *epoch_s* all times of this build are that.
    """
    now = clock.rfc3339(created_ns if epoch_s is None else epoch_s * 1_000_000_000)
    if epoch_s == 0:
        now = "1970-01-01T00:00:00Z"
    history = list(converted.base_history)
    for step in [*converted.target.inherited, *converted.target.steps]:
        if step.history is None:
            continue
        empty = step.vertex is None or not made.get(step.vertex.digest, False)
        history.append(replace(step.history, created=now, empty_layer=empty))
    platform = converted.platform
    return ImageConfig(
        created=now,
        author=converted.author,
        architecture=platform.architecture,
        variant=platform.variant,
        os=platform.os,
        config=converted.config,
        rootfs=RootFS(diff_ids=[layer.diff_id for layer in layers]),
        history=history,
    )


def squashed(config: ImageConfig, base_layers: int, layers: Sequence[LayerRef]) -> ImageConfig:
    """Return *config* with all layers of the build in one."""
    kept: list[History] = []
    seen = 0
    for entry in config.history or []:
        if not entry.empty_layer:
            seen += 1
            entry = replace(entry, empty_layer=seen > base_layers)  # noqa: PLW2901
        kept.append(entry)
    if len(layers) > base_layers:
        kept.append(History(created=config.created, comment="merge of the layers of this build"))
    return replace(
        config, rootfs=RootFS(diff_ids=[layer.diff_id for layer in layers]), history=kept
    )


def encode(config: ImageConfig) -> bytes:
    """Return the bytes whose digest is the image's id."""
    return _encode(config)

"""The image configuration that a build writes: config, history, layers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from moorage.build.result import LayerRef
from moorage.lib import clock
from moorage.spec.digest import Digest
from moorage.spec.oci.image import History, ImageConfig, RootFS

if TYPE_CHECKING:
    from moorage.build.frontends.dockerfile.convert import Converted

_encode = msgspec.json.Encoder(order=None).encode


class StepOutcome(Struct, frozen=True):
    """What became of a step that works on files."""

    made_layer: bool  # a step that changed nothing leaves an empty entry, as Docker does
    created_ns: int  # when it was really done, which may be long ago


def configuration(
    converted: Converted,
    layers: Sequence[LayerRef],
    outcomes: Mapping[Digest, StepOutcome],
    *,
    now_ns: int,
    epoch_s: int | None,
) -> ImageConfig:
    """Return the configuration of the image.

    Times are those of the steps, so that a build out of the cache gives the very image that the
    cache was filled by. With *epoch_s* all times of this build are that.
    """
    fixed = "" if epoch_s is None else _stamp(epoch_s * 1_000_000_000)
    time = fixed or converted.base_created
    history = list(converted.base_history)
    for step in [*converted.target.inherited, *converted.target.steps]:
        if step.history is None:
            continue
        outcome = outcomes.get(step.vertex.digest) if step.vertex is not None else None
        if outcome is not None and not fixed:
            time = _stamp(outcome.created_ns)
        time = time or _stamp(now_ns)
        empty = outcome is None or not outcome.made_layer
        history.append(replace(step.history, created=time, empty_layer=empty))
    platform = converted.platform
    return ImageConfig(
        created=time or _stamp(now_ns),
        author=converted.author,
        architecture=platform.architecture,
        variant=platform.variant,
        os=platform.os,
        config=converted.config,
        rootfs=RootFS(diff_ids=[layer.diff_id for layer in layers]),
        history=history,
    )


def _stamp(ns: int) -> str:
    return clock.rfc3339(ns) if ns else "1970-01-01T00:00:00Z"


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

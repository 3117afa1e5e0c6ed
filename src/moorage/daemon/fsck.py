"""``moord --fsck``: check what is stored, while no daemon runs on it, and mend it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from moorage.daemon import domains, ownership
from moorage.daemon.config import Config
from moorage.images import check
from moorage.images.image import ImageUse
from moorage.images.operations import Parts
from moorage.lib import offload
from moorage.storage.layers import LayerStore
from moorage.storage.leases import Leases

MENDED = 1  # exit code, as fsck(8): errors were found and corrected
UNMENDED = 4


def fsck(config: Config) -> int:
    """Check blobs, layers and images; return the exit code, as that program of ext4 does.

    Raises: System, while a daemon runs on these roots or a container is mounted.
    """
    with ExitStack() as owned:
        for root in (config.data_root, config.exec_root):
            Path(root).mkdir(mode=0o710, parents=True, exist_ok=True)
            owned.enter_context(ownership.locked(Path(root), "the directory"))
        found = asyncio.run(_check(config))
    if not found.problems:
        print("the store is clean")  # noqa: T201 - the answer
        return 0
    layers, lost = found.of("layer"), len(found.of("image"))
    mended = sum(problem.repaired for problem in layers)
    print(  # noqa: T201
        f"{len(found.of('blob'))} damaged blobs, {len(layers)} damaged layers ({mended} mended or"
        f" removed), {lost} images lost, {len(found.of('leftover'))} leftovers removed"
    )
    return UNMENDED if lost else MENDED


async def _check(config: Config) -> check.Findings:
    async with AsyncExitStack() as stack:
        common = await domains.common_parts(config, stack)
        store = await domains.image_store(common)
        parts = Parts(
            store=store,
            content=store.content,
            layers=store.layers,
            leases=Leases(common.database),
            events=common.events,
            supervisor=common.background,
            users=_WritableLayersAsUsers(store.layers),
        )
        return await offload.run("fs", check.check, parts, print)


class _WritableLayersAsUsers:
    """An image under a container's writable layer is not dropped (an ``ImageUsers``)."""

    def __init__(self, layers: LayerStore) -> None:
        self._layers = layers

    def using(self, image_id: str) -> list[ImageUse]:
        """Return a use if anything writable is there: which image it is of is not known here."""
        del image_id
        return [ImageUse(layer.id, running=False) for layer in self._layers.writables()]

    def count_by_image(self) -> Counter[str]:
        """Return nothing: which images they are of is not known here."""
        return Counter()

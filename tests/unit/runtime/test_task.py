"""A container that ends while something is done to it."""

from __future__ import annotations

import asyncio
import errno
import os
from types import SimpleNamespace
from typing import Any

import pytest

from moorage.lib.errors import Conflict, MoorageError, System
from moorage.runtime.task import Task


def _of_group(failure: int) -> Task:
    def freeze(*, frozen: bool) -> None:
        raise OSError(failure, os.strerror(failure), f"cgroup.freeze {frozen}")

    place: Any = SimpleNamespace(
        container_id="abc",
        runtime=SimpleNamespace(shares_kernel=True),
        group=SimpleNamespace(freeze=freeze),
    )
    return Task(place, is_container=True, program="")


@pytest.mark.parametrize(
    ("failure", "kind", "sentence"),
    [
        (errno.ENOENT, Conflict, "container abc is not running"),
        (errno.ENODEV, Conflict, "container abc is not running"),
        (errno.EPERM, System, "Operation not permitted"),
    ],
)
@pytest.mark.parametrize("operation", ["pause", "resume"])
def test_a_group_that_has_gone_is_a_container_that_does_not_run(
    operation: str, failure: int, kind: type[MoorageError], sentence: str
) -> None:
    async def ask() -> None:
        await getattr(_of_group(failure), operation)()

    with pytest.raises(kind, match=sentence):
        asyncio.run(ask())

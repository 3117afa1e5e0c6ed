"""What the contract tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import drivers


@pytest.fixture(scope="module")
def filesystems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[drivers.FileSystems]:
    """Give file systems on loop devices, made when first asked for."""
    made = drivers.FileSystems(tmp_path_factory.mktemp("filesystems"))
    yield made
    made.unmount()

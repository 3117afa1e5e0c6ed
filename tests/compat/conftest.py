"""Fixtures of the tests with real programs: one Debian, made once, for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import debian, programs
from support.daemon import temporary
from support.programs import Programs


@pytest.fixture(scope="session")
def real(kit_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """Images of real programs in a daemon of ours."""
    place = tmp_path_factory.mktemp("real")
    archive = place / "base.tar"
    try:
        debian.bootstrap(archive, programs.PACKAGES)
    except debian.NoPackages as error:
        pytest.skip(f"no source of packages can be reached: {error}")
    with temporary(kit_root) as daemon:
        images = Programs(daemon.start(), place, archive)
        archive.unlink()
        yield images

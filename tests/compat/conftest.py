"""Fixtures of the tests with real programs: one Debian, made once, for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import debian, programs
from support.daemon import temporary
from support.programs import Programs


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar of a Debian with real programs."""
    archive = tmp_path_factory.mktemp("debian") / "base.tar"
    try:
        debian.bootstrap(archive, programs.PACKAGES)
    except debian.NoPackages as error:
        pytest.skip(f"no source of packages can be reached: {error}")
    return archive


@pytest.fixture(scope="session")
def real(
    kit_root: Path, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Programs]:
    """Images of real programs in a daemon of ours."""
    with temporary(kit_root) as daemon:
        yield Programs(daemon.start(), tmp_path_factory.mktemp("real"), packages)

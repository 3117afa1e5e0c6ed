"""Names and images in memory, without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from moorage.images.store import ImageStore
from moorage.lib.errors import NotFound
from moorage.spec import reference as references
from moorage.spec.digest import Digest
from moorage.storage.content import ContentStore
from moorage.storage.metadata import Database

if TYPE_CHECKING:
    from moorage.storage.layers import LayerStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    database = Database(tmp_path / "db")
    made = ImageStore(
        database=database, content=ContentStore(tmp_path), layers=cast("LayerStore", None)
    )
    made.open()
    yield made
    database.close()


def test_an_image_that_went_meanwhile_gets_no_name(store: ImageStore) -> None:
    name = references.parse_with_default_tag("app:1")
    with pytest.raises(NotFound, match="No such image"):
        store.tag(Digest("sha256:" + "0" * 64), name)
    assert store.tags() == []

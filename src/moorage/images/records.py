"""The tables of images and their names."""

from __future__ import annotations

from typing import Final

import msgspec

from moorage.images.image import Image, Tag
from moorage.storage.metadata import Database

_MIGRATIONS: Final = (
    """
    CREATE TABLE images (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE image_tags (reference TEXT PRIMARY KEY, image_id TEXT NOT NULL,
        record BLOB NOT NULL) WITHOUT ROWID
    """,
)


class ImageRecords:
    """Reads and writes them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.migrate("images", _MIGRATIONS)

    def images(self) -> list[Image]:
        """Return all images."""
        decoder = msgspec.json.Decoder(Image)
        return [decoder.decode(r["record"]) for r in self.database.all("SELECT * FROM images")]

    def tags(self) -> list[Tag]:
        """Return all names."""
        decoder = msgspec.json.Decoder(Tag)
        return [decoder.decode(r["record"]) for r in self.database.all("SELECT * FROM image_tags")]

    def save_image(self, image: Image) -> None:
        """Write one image."""
        self.database.execute(
            "INSERT OR REPLACE INTO images VALUES (?, ?)", image.id, msgspec.json.encode(image)
        )

    def save_tag(self, tag: Tag) -> None:
        """Write one name."""
        self.database.execute(
            "INSERT OR REPLACE INTO image_tags VALUES (?, ?, ?)",
            tag.reference,
            tag.image_id,
            msgspec.json.encode(tag),
        )

    def delete_image(self, image_id: str) -> None:
        """Forget one image."""
        self.database.execute("DELETE FROM images WHERE id = ?", image_id)

    def delete_tag(self, reference: str) -> None:
        """Forget one name."""
        self.database.execute("DELETE FROM image_tags WHERE reference = ?", reference)

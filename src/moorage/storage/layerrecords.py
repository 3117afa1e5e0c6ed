"""What is saved about layers and the writable layers of containers."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from moorage.spec.digest import Digest
from moorage.storage.archive.recipe import Shelter
from moorage.storage.metadata import Database

_MIGRATIONS: Final = (
    """
    CREATE TABLE layers (driver TEXT NOT NULL, chain_id TEXT NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (driver, chain_id)) WITHOUT ROWID;
    CREATE TABLE writable_layers (driver TEXT NOT NULL, id TEXT NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (driver, id)) WITHOUT ROWID;
    CREATE TABLE init_layers (driver TEXT NOT NULL, parent TEXT NOT NULL, name TEXT NOT NULL,
        PRIMARY KEY (driver, parent)) WITHOUT ROWID
    """,
)


class Layer(Struct, frozen=True, kw_only=True):
    """One unpacked layer in its place in a stack."""

    chain_id: Digest
    diff_id: Digest
    parent: Digest | None  # ChainID of what it stands on
    name: str  # the driver's
    size: int  # bytes of its files
    tar_size: int  # bytes of its uncompressed archive
    created_ns: int
    has_recipe: bool = False  # its archive can be written again without a blob
    shelters: list[Shelter] = []


class WritableLayer(Struct, frozen=True, kw_only=True):
    """What a container or a build step writes to."""

    id: str
    parent: Digest | None
    init: str | None  # name of the layer with the init files, between parent and this
    size_bytes: int | None  # quota
    created_ns: int
    mapped: bool = True  # owners are seen through the daemon's map, if it has one
    label: str = ""  # SELinux: what all its files are seen with


class LayerRecords:
    """The tables, as seen by one storage driver."""

    def __init__(self, database: Database, driver: str) -> None:
        self._database = database
        self._driver = driver
        database.migrate("layers", _MIGRATIONS)

    def layers(self) -> list[Layer]:
        """Return all layers."""
        rows = self._database.all("SELECT record FROM layers WHERE driver = ?", self._driver)
        decoder = msgspec.json.Decoder(Layer)
        return [decoder.decode(row["record"]) for row in rows]

    def writables(self) -> list[WritableLayer]:
        """Return all writable layers."""
        rows = self._database.all(
            "SELECT record FROM writable_layers WHERE driver = ?", self._driver
        )
        decoder = msgspec.json.Decoder(WritableLayer)
        return [decoder.decode(row["record"]) for row in rows]

    def inits(self) -> dict[str, str]:
        """Return the init layers: ChainID below them ("" for none) to name."""
        rows = self._database.all(
            "SELECT parent, name FROM init_layers WHERE driver = ?", self._driver
        )
        return {str(row["parent"]): str(row["name"]) for row in rows}

    def save_layer(self, layer: Layer) -> None:
        """Write one layer."""
        self._database.execute(
            "INSERT OR REPLACE INTO layers VALUES (?, ?, ?)",
            self._driver,
            layer.chain_id,
            msgspec.json.encode(layer),
        )

    def save_writable(self, layer: WritableLayer) -> None:
        """Write one writable layer."""
        self._database.execute(
            "INSERT OR REPLACE INTO writable_layers VALUES (?, ?, ?)",
            self._driver,
            layer.id,
            msgspec.json.encode(layer),
        )

    def save_init(self, parent: str, name: str) -> None:
        """Write one init layer."""
        self._database.execute(
            "INSERT OR REPLACE INTO init_layers VALUES (?, ?, ?)", self._driver, parent, name
        )

    def delete_layer(self, chain_id: Digest) -> None:
        """Forget one layer and the init layer on it."""
        with self._database.transaction():
            self._database.execute(
                "DELETE FROM layers WHERE driver = ? AND chain_id = ?", self._driver, chain_id
            )
            self._database.execute(
                "DELETE FROM init_layers WHERE driver = ? AND parent = ?", self._driver, chain_id
            )

    def delete_writable(self, identifier: str) -> None:
        """Forget one writable layer."""
        self._database.execute(
            "DELETE FROM writable_layers WHERE driver = ? AND id = ?", self._driver, identifier
        )

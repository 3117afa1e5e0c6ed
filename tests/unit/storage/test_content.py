"""Blobs: whole and verified, or not there; what nobody needs is dropped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moorage.lib.errors import DataLoss, NotFound
from moorage.spec import digest as digests
from moorage.spec.digest import Digest
from moorage.storage.content import ContentStore
from moorage.storage.durability import Durability
from moorage.storage.garbage import unreachable_layers
from moorage.storage.leases import Leases
from moorage.storage.metadata import Database


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path)


def test_a_blob_appears_whole_at_its_commit(store: ContentStore) -> None:
    writer = store.writer("ref", expected=digests.of(b"hello"), size=5)
    writer.write(b"hel")
    assert not store.has(digests.of(b"hello"))
    writer.write(b"lo")
    assert writer.commit("text/plain").size == 5
    assert store.read(digests.of(b"hello")) == b"hello"
    assert list(store.files()) == [digests.of(b"hello")]
    assert store.path(digests.of(b"hello")).stat().st_mode & 0o777 == 0o400


def test_a_cut_off_blob_goes_on_where_it_was(store: ContentStore) -> None:
    first = store.writer("ref")
    first.write(b"hel")
    first.close()
    second = store.writer("ref", expected=digests.of(b"hello"), resume=True)
    assert second.offset == 3
    second.write(b"lo")
    second.commit()
    assert store.read(digests.of(b"hello")) == b"hello"


def test_a_resumed_blob_that_is_too_long_begins_anew(store: ContentStore) -> None:
    first = store.writer("ref")
    first.write(b"much too long")
    first.close()
    assert store.writer("ref", size=5, resume=True).offset == 0


def test_one_writer_a_ref(store: ContentStore) -> None:
    writer = store.writer("ref")
    with pytest.raises(RuntimeError):
        store.writer("ref")
    writer.abort()
    store.writer("ref").abort()


def test_wrong_digest_and_wrong_size_leave_nothing(store: ContentStore) -> None:
    writer = store.writer("ref", expected=digests.of(b"other"))
    writer.write(b"hello")
    with pytest.raises(DataLoss, match="digest mismatch"):
        writer.commit()
    writer = store.writer("ref", size=9)
    writer.write(b"hello")
    with pytest.raises(DataLoss, match="5 of 9"):
        writer.commit()
    writer = store.writer("ref", size=2)
    with pytest.raises(DataLoss, match="more than"):
        writer.write(b"hello")
    writer.abort()
    assert list(store.files()) == []


def test_a_damaged_blob_is_not_given_out(store: ContentStore) -> None:
    found = store.put(b"hello", "text/plain")
    path = store.path(found.digest)
    path.chmod(0o600)
    path.write_bytes(b"jello")
    assert not store.verify(found.digest)
    with pytest.raises(DataLoss, match="damaged"):
        store.read(found.digest)
    with pytest.raises(DataLoss, match="more than"):
        store.read(found.digest, limit=3)
    with pytest.raises(NotFound):
        store.read(digests.of(b"absent"))


def test_leftovers_go_at_the_next_start(store: ContentStore, tmp_path: Path) -> None:
    old = store.writer("old")
    old.close()
    os.utime(next((tmp_path / "ingest").iterdir()), (0, 0))
    store.writer("fresh").close()
    (tmp_path / "blobs/sha256/.half.123").write_bytes(b"")
    store.remove_leftovers()
    assert len(os.listdir(tmp_path / "ingest")) == 1
    assert os.listdir(tmp_path / "blobs/sha256") == []


def test_what_another_boot_left_unsynced_is_suspect(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    failed = tmp_path / "failed"
    first = Durability(database, tmp_path, boot="1", failed=failed)
    first.note("blob", "a")
    first.sync()
    first.note("layer", "b")
    assert first.suspects() == []
    second = Durability(database, tmp_path, boot="2", failed=failed)
    assert second.suspects() == [("layer", "b")]
    second.forget("layer", "b")
    assert second.suspects() == []
    first.note("blob", "c")
    failed.touch()  # a flush failed, and the daemon ended before it could say so in the database
    third = Durability(database, tmp_path, boot="1", failed=failed)
    assert third.suspects() == [("blob", "c")]
    assert not failed.exists()
    for durability in (first, second, third):
        durability.close()
    database.close()


def test_leases_hold_until_released_or_expired(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    leases = Leases(database)
    with leases.acquire("pull") as lease:
        lease.add("a")
        lease.add("b")
        lease.drop("b")
        leases.acquire("gone", lifetime_ns=-1).add("c")
        assert Leases(database).held() == {"a"}
        assert [found.id for found in leases.find("pull")] == [lease.id]
    assert leases.held() == set()
    database.close()


def test_layers_go_from_the_top_and_only_without_use() -> None:
    parents = {"a": None, "b": "a", "c": "b", "x": "a", "y": None, "z": "y"}
    typed = {Digest(k): Digest(v) if v else None for k, v in parents.items()}
    assert unreachable_layers(typed, ["b", "absent"]) == ["c", "x", "z", "y"]
    assert unreachable_layers(typed, ["c", "x", "z"]) == []
    assert unreachable_layers(typed, []) == ["c", "b", "x", "z", "a", "y"]

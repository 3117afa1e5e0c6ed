"""Downloads: verified, shared, resumed, and what a registry that lies gets."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from moorage.images import download as downloads_module
from moorage.images.download import Download, Downloads, Follower
from moorage.lib import offload
from moorage.lib.errors import DataLoss, MoorageError, NotFound, Unavailable
from moorage.lib.tasks import Supervisor
from moorage.registry.registries import Registries
from moorage.registry.repository import Repository
from moorage.registry.settings import RegistrySettings
from moorage.registry.transport import Transport
from moorage.spec import digest as digests
from moorage.spec import reference as references
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor
from moorage.storage.content import BlobWriter, ContentStore
from support.registry import FakeRegistry, Handler

DATA = os.urandom(3 << 20)
BLOB = Descriptor(digest=digests.of(DATA), size=len(DATA))


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        registry.add_blob("app", DATA)
        yield registry


@pytest.fixture
def content(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path)


Begin = Callable[[], Download]


@asynccontextmanager
async def downloading(
    content: ContentStore, *registries: FakeRegistry, blob: Descriptor = BLOB, attempts: int = 3
) -> AsyncIterator[Begin]:
    """Give a function that joins the download of *blob*."""

    async def sleep(_: float) -> None:
        """Not wait."""

    owner = Supervisor("test")
    client = Registries(RegistrySettings, user_agent="test")
    client._transport = Transport(  # noqa: SLF001
        user_agent="test", proxies=RegistrySettings().proxies, sleep=sleep
    )
    sources: list[Repository] = []
    for registry in registries:
        reference = references.parse_normalized(f"{registry.host}/app:1")
        sources.append((await client.repositories(reference))[-1])
    downloads = Downloads(content, owner, limit=3, attempts=attempts)
    try:
        yield lambda: downloads.join(blob, sources)
    finally:
        await owner.close()
        await client.close()


async def fetch(content: ContentStore, *registries: FakeRegistry) -> None:
    async with downloading(content, *registries) as begin:
        download = begin()
        try:
            await download.wait()
        finally:
            download.leave()


def fails(
    content: ContentStore, registry: FakeRegistry, error: type[MoorageError], match: str
) -> None:
    with pytest.raises(error, match=match) as caught:
        asyncio.run(fetch(content, registry))
    assert registry.host in str(caught.value)
    assert not content.has(BLOB.digest)


def partial(tmp_path: Path) -> list[int]:
    return [path.stat().st_size for path in (tmp_path / "ingest").iterdir()]


def test_a_blob_arrives_and_leaves_nothing_partial(
    content: ContentStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    asyncio.run(fetch(content, registry))
    assert content.read(BLOB.digest) == DATA
    assert partial(tmp_path) == []


def test_two_that_want_one_blob_share_its_download(
    content: ContentStore, registry: FakeRegistry
) -> None:
    async def work() -> None:
        async with downloading(content, registry) as begin:
            first, second = begin(), begin()
            assert first is second
            first.leave()
            await second.wait()
            second.leave()

    asyncio.run(work())
    assert len(registry.requests("GET", BLOB.digest)) == 1


def cut_at(*places: int) -> Callable[[Handler], bool]:
    """Answer the first requests only as far as byte *places*, then hang up."""
    remaining = list(places)

    def fault(handler: Handler) -> bool:
        if not remaining or "/blobs/" not in handler.path:
            return False
        end = remaining.pop(0)
        start = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=")[:-1])
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(DATA) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        handler.end_headers()
        handler.wfile.write(DATA[start:end])
        handler.wfile.flush()
        handler.hang_up()
        return True

    return fault


def test_a_download_cut_at_every_tenth_is_resumed_by_range(
    content: ContentStore, registry: FakeRegistry
) -> None:
    registry.state.faults.append(cut_at(*(len(DATA) * n // 10 for n in range(1, 10))))
    asyncio.run(fetch(content, registry))
    assert content.read(BLOB.digest) == DATA
    ranges = [s.headers.get("range") for s in registry.requests("GET", BLOB.digest)]
    assert ranges[0] is None
    assert len(ranges) == 10
    assert all(ranges[1:])


def test_a_server_without_ranges_is_read_from_the_start_again(
    content: ContentStore, registry: FakeRegistry
) -> None:
    registry.state.ranges = False
    registry.state.faults.append(cut_at(1 << 20))
    asyncio.run(fetch(content, registry))
    assert content.read(BLOB.digest) == DATA


def test_a_download_goes_on_after_the_daemon_was_killed(
    content: ContentStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.state.faults.append(cut_at(*[2 << 20] * 10))
    with pytest.raises(Unavailable, match="pull again to go on"):
        asyncio.run(fetch(content, registry))
    assert partial(tmp_path) == [2 << 20]
    registry.state.faults.clear()
    again = ContentStore(tmp_path)
    again.remove_leftovers()
    asyncio.run(fetch(again, registry))
    assert registry.state.seen[-1].headers["range"] == f"bytes={2 << 20}-"
    assert again.read(BLOB.digest) == DATA


def test_the_last_to_leave_stops_the_download_and_what_came_is_kept(
    content: ContentStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    def stall(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:100_000])
        handler.wfile.flush()
        handler.rfile.read(1)  # until the client has gone
        return True

    async def work() -> None:
        async with downloading(content, registry) as begin:
            download = begin()
            while download.progress.offset < 100_000:  # noqa: ASYNC110 - nobody tells us
                await asyncio.sleep(0.01)
            download.leave()
            with pytest.raises(asyncio.CancelledError):
                await download.wait()

    registry.state.faults.append(stall)
    asyncio.run(work())
    assert partial(tmp_path) == [100_000]


def test_a_download_given_up_while_its_beginning_is_hashed_can_be_begun_again(
    content: ContentStore, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, given_up = threading.Event(), threading.Event()
    open_ = content.writer

    def slow(ref: str, *, expected: Digest, size: int, resume: bool) -> BlobWriter:
        opening.set()
        assert given_up.wait(20)
        return open_(ref, expected=expected, size=size, resume=resume)

    async def work() -> None:
        async with downloading(content, registry) as begin:
            download = begin()
            await offload.run("net", opening.wait)
            download.leave()
            given_up.set()
            await download.wait_ended()
            again = begin()
            await again.wait()
            again.leave()

    monkeypatch.setattr(content, "writer", slow)
    asyncio.run(work())
    assert content.read(BLOB.digest) == DATA


def serve(registry: FakeRegistry, data: bytes, length: int | None = None) -> None:
    def lie(handler: Handler) -> bool:
        handler.send_response(200)
        if length is None:
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            handler.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n0\r\n\r\n")
        else:
            handler.send_header("Content-Length", str(length))
            handler.end_headers()
            handler.wfile.write(data)
        return True

    registry.state.faults.append(lie)


def test_a_wrong_digest_is_refused_and_nothing_is_left(
    content: ContentStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    serve(registry, DATA[:-1] + b"x", len(DATA))
    fails(content, registry, DataLoss, "layer verification failed for digest sha256:")
    assert partial(tmp_path) == []


def test_a_wrong_size_is_refused_before_it_is_read(
    content: ContentStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    serve(registry, DATA + b"more", len(DATA) + 4)
    fails(content, registry, DataLoss, "offers 3145732 bytes, the manifest says 3145728")
    assert partial(tmp_path) == []


def test_a_body_longer_than_it_should_be_is_cut_off(
    content: ContentStore, registry: FakeRegistry, tmp_path: Path
) -> None:
    serve(registry, DATA + b"more")
    fails(content, registry, DataLoss, "more than the expected 3145728 bytes")
    assert partial(tmp_path) == []


def test_a_body_that_always_ends_early_is_given_up(
    content: ContentStore, registry: FakeRegistry
) -> None:
    registry.state.ranges = False
    serve(registry, b"too little")
    fails(content, registry, Unavailable, "it ended after 10 of 3145728 bytes")
    assert len(registry.state.seen) == 3


def test_a_server_that_drips_is_given_up(
    content: ContentStore, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.01)
        except OSError:
            return True

    monkeypatch.setattr(downloads_module, "SLOW_AFTER_S", 0.1)
    registry.state.faults.append(drip)
    fails(content, registry, Unavailable, r"only \d+ bytes came in")


def test_a_blob_that_is_not_there_is_taken_from_the_next_source(
    content: ContentStore, registry: FakeRegistry
) -> None:
    with FakeRegistry() as mirror:
        asyncio.run(fetch(content, mirror, registry))
        assert len(mirror.requests("GET", "/blobs/")) == 1
    assert content.read(BLOB.digest) == DATA


def test_a_mirror_that_lies_is_passed_over(content: ContentStore, registry: FakeRegistry) -> None:
    with FakeRegistry() as mirror:
        serve(mirror, b"x" * len(DATA), len(DATA))
        asyncio.run(fetch(content, mirror, registry))
    assert content.read(BLOB.digest) == DATA


def test_a_blob_nobody_has(content: ContentStore, registry: FakeRegistry) -> None:
    registry.state.blobs.clear()
    fails(content, registry, NotFound, "is not there: blob unknown")


Reading = Callable[[Follower], bytes]


def read_all(follower: Follower) -> bytes:
    return follower.readall() or b""


def follow(
    content: ContentStore, registry: FakeRegistry, read: Reading
) -> Callable[[], Coroutine[None, None, bytes]]:
    async def work() -> bytes:
        async with downloading(content, registry) as begin:
            download = begin()
            follower = Follower(download.progress)
            loop = asyncio.get_running_loop()
            reading = loop.run_in_executor(None, read, follower)
            try:
                return await reading
            finally:
                download.leave()

    return work


def test_a_follower_reads_what_arrives_across_cuts(
    content: ContentStore, registry: FakeRegistry
) -> None:
    registry.state.faults.append(cut_at(1 << 20, 2 << 20))
    got = asyncio.run(follow(content, registry, read_all)())
    assert got == DATA


def test_a_follower_across_a_restart_from_nothing(
    content: ContentStore, registry: FakeRegistry
) -> None:
    registry.state.ranges = False
    registry.state.faults.append(cut_at(1 << 20))
    got = asyncio.run(follow(content, registry, read_all)())
    assert got == DATA


def test_a_follower_learns_at_the_end_that_the_bytes_were_wrong(
    content: ContentStore, registry: FakeRegistry
) -> None:
    serve(registry, DATA[:-1] + b"x", len(DATA))
    with pytest.raises(DataLoss, match="the download failed"):
        asyncio.run(follow(content, registry, read_all)())

"""One blob on its way to a registry: skipped, mounted, or sent, and resumed where it was cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO, Final

from moorage.lib import offload
from moorage.lib.errors import MoorageError, Unavailable
from moorage.registry.failures import RegistryRefusal
from moorage.registry.transport import backoff
from moorage.spec.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from moorage.images.progress import Line
    from moorage.registry.repository import Repository
    from moorage.storage.content import ContentStore

_PIECE: Final = 1 << 20
_ATTEMPTS: Final = 4


class Upload:
    """Brings one blob of the content store to one repository."""

    def __init__(
        self, content: ContentStore, repository: Repository, blob: Descriptor, line: Line | None
    ) -> None:
        self._content = content
        self._repository = repository
        self._blob = blob
        self._line = line

    async def run(self, mount_from: Sequence[str]) -> None:
        """Make sure the repository has the blob; *mount_from* names others that may have it.

        Raises: RegistryRefusal, MoorageError.
        """
        digest = self._blob.digest
        if await self._repository.blob_size(digest) is not None:
            self._state("Layer already exists")
            return
        location: str | None = ""
        for source in mount_from:
            try:
                location = await self._repository.begin_upload(mount=digest, source=source)
            except RegistryRefusal:
                continue  # it may be that we must not read there
            if location is None:
                self._state(f"Mounted from {source}")
                return
            break
        await self._send(location or "")
        self._state("Pushed")

    async def _send(self, location: str) -> None:
        """Send the blob, with as many attempts as are allowed."""
        offset = 0
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if not location:
                    location, offset = await self._begin(), 0
                await self._send_from(location, offset)
            except RegistryRefusal as refused:
                if attempt == _ATTEMPTS or refused.status < 500:
                    raise
                location = ""
            except (OSError, MoorageError) as error:
                if attempt == _ATTEMPTS:
                    raise _given_up(error, self._blob, self._repository) from error
                await self._repository.pause(backoff(attempt))
                location, offset = await self._status(location)
            else:
                return

    async def _begin(self) -> str:
        location = await self._repository.begin_upload()
        assert location is not None  # noqa: S101 - only a mount can end otherwise
        return location

    async def _status(self, location: str) -> tuple[str, int]:
        """Return where to go on after a cut; nowhere, if the registry has forgotten the upload."""
        try:
            return await self._repository.upload_status(location)
        except (RegistryRefusal, MoorageError, OSError):
            return "", 0

    async def _send_from(self, location: str, offset: int) -> None:
        size = self._blob.size
        if offset == 0:
            await self._repository.upload(location, self._blob.digest, self._body(0), size)
            return
        if offset < size:
            location = await self._repository.upload_chunk(
                location, self._body(offset), offset, size - offset
            )
        await self._repository.upload(location, self._blob.digest, _nothing, 0)

    def _body(self, offset: int) -> Callable[[], AsyncIterator[bytes]]:
        async def body() -> AsyncIterator[bytes]:
            with await offload.run("fs", self._content.open, self._blob.digest) as file:
                position = await offload.run("fs", _advance, file, offset)
                while piece := await offload.run("fs", file.read, _PIECE):
                    yield piece
                    position += len(piece)
                    if self._line is not None:
                        self._line.advance("Pushing", position, self._blob.size)

        return body

    def _state(self, status: str) -> None:
        if self._line is not None:
            self._line.state(status)


async def _nothing() -> AsyncIterator[bytes]:
    """Give no bytes: the last request of an upload that went in pieces."""
    yield b""


def _advance(file: BinaryIO, offset: int) -> int:
    """Pass over *offset* bytes, in a file or in a stream that is written anew."""
    if offset and file.seekable():
        file.seek(offset)
        return offset
    left = offset
    while left and (piece := file.read(min(left, _PIECE))):
        left -= len(piece)
    return offset


def _given_up(error: Exception, blob: Descriptor, repository: Repository) -> MoorageError:
    if isinstance(error, MoorageError):
        return error
    return Unavailable(
        f"upload of {blob.digest} to {repository.endpoint.host} failed: {error}",
        hint="what has arrived there is kept; push again to go on",
    )

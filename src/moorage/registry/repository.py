"""One repository at one endpoint: the requests of the OCI distribution specification 1.1.

What comes back is checked against what was asked: a manifest's digest, size limit and media type.
Blobs are handed out as they come; who writes them to the store verifies them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from moorage.lib import addresses
from moorage.lib.errors import DataLoss, InvalidParameter, System
from moorage.lib.httpclient import Response
from moorage.registry import challenge, failures
from moorage.registry.auth import Authorizer
from moorage.registry.endpoint import Endpoint
from moorage.registry.failures import RegistryRefusal
from moorage.registry.transport import BodyFactory, Outgoing, Transport
from moorage.spec import digest as digests
from moorage.spec import mediatype
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor
from moorage.spec.reference import Reference

MANIFEST_LIMIT: Final = 4 << 20  # bytes, as the distribution specification suggests
_LIST_LIMIT: Final = 16 << 20
_KNOWN: Final = (
    mediatype.OCI_INDEX,
    mediatype.OCI_MANIFEST,
    mediatype.DOCKER_MANIFEST_LIST,
    mediatype.DOCKER_MANIFEST,
)
_ACCEPT: Final = ", ".join(_KNOWN)
_V1: Final = frozenset({mediatype.DOCKER_MANIFEST_V1, mediatype.DOCKER_MANIFEST_V1_SIGNED})
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/")
_NEXT: Final = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


class FetchedManifest(Struct, frozen=True):
    """A manifest or index, verified, and the descriptor it has earned."""

    descriptor: Descriptor
    data: bytes


class _Head(Struct, frozen=True, rename="camel"):
    """Enough of a manifest to know that it is one; what it holds is checked by who decodes it."""

    schema_version: int = 0
    media_type: str = ""
    fs_layers: msgspec.Raw = msgspec.Raw(b"")


class _Tags(Struct, frozen=True):
    tags: list[str] | None = None


class Repository:
    """The repository of *reference* at *endpoint*, on behalf of one user."""

    def __init__(
        self, transport: Transport, endpoint: Endpoint, reference: Reference, authorizer: Authorizer
    ) -> None:
        self.endpoint = endpoint
        self.reference = reference
        self._transport = transport
        self._authorizer = authorizer
        self._url = endpoint.repository_url(reference.path)

    async def pause(self, seconds: float) -> None:
        """Wait before trying again."""
        await self._transport.sleep(seconds)

    def _scopes(self, *actions: str, mount_from: str = "") -> frozenset[str]:
        path = self._url.removeprefix(f"{self.endpoint.api}/")
        wanted = {f"repository:{path}:{','.join(actions)}"}
        if mount_from:
            wanted.add(f"repository:{mount_from}:pull")
        return frozenset(wanted)

    async def _send(self, request: Outgoing, scopes: frozenset[str]) -> Response:
        """Send with whatever authentication is asked for.

        Raises: RegistryRefusal (status 400 and above), MoorageError.
        """
        response = await self._send_once(request, scopes)
        for _ in range(2):
            if response.status != 401 or not await self._authorize(response, scopes):
                break
            response = await self._send_once(request, scopes)
        if response.status < 400:
            return response
        async with response:
            body = await self._transport.read(response, failures.BODY_LIMIT)
            challenges = challenge.parse(response.headers.get_all("www-authenticate"))
            raise failures.refusal(response.status, body, challenges, host=self.endpoint.host)

    async def _authorize(self, response: Response, scopes: frozenset[str]) -> bool:
        """Answer a challenge; unless that is of no use, the response is done with."""
        try:
            answered = await self._authorizer.answer(response, scopes)
        except BaseException:
            response.release()
            raise
        if answered:
            response.release()
        return answered

    async def _send_once(self, request: Outgoing, scopes: frozenset[str]) -> Response:
        headers = {**request.headers, **self._authorizer.header(scopes)}
        outgoing = msgspec.structs.replace(request, headers=headers)
        return await self._transport.send(outgoing, self.endpoint)

    def _with_namespace(self, url: str) -> str:
        return f"{url}?ns={quote(self.endpoint.domain)}" if self.endpoint.namespace else url

    # -- manifests -------------------------------------------------------------------------------

    async def manifest(self, wanted: str) -> FetchedManifest:
        """Fetch the manifest of a tag or digest, verified.

        Raises: RegistryRefusal, DataLoss, System, InvalidParameter (schema 1).
        """
        url = self._with_namespace(f"{self._url}/manifests/{wanted}")
        request = Outgoing(method="GET", url=url, headers={"Accept": _ACCEPT})
        async with await self._send(request, self._scopes("pull")) as response:
            where = f"{self._named(wanted)} at {self.endpoint.host}"
            length = response.content_length
            if length is not None and length > MANIFEST_LIMIT:
                raise System(f"manifest of {where} has {length} bytes, more than {MANIFEST_LIMIT}")
            data = await self._transport.read(response, MANIFEST_LIMIT)
            if len(data) > MANIFEST_LIMIT:
                raise System(f"manifest of {where} has more than {MANIFEST_LIMIT} bytes")
            if length is not None and length != len(data):
                raise DataLoss(f"manifest of {where}: got {len(data)} of {length} bytes")
            declared = (response.headers.get("content-type") or "").partition(";")[0].strip()
            media_type = _kind(data, declared, where)
            claimed = wanted if ":" in wanted else response.headers.get("docker-content-digest")
            digest = _digest(data, claimed or "")
            if claimed and claimed != digest:
                raise DataLoss(
                    f"manifest verification failed for digest {claimed}: {where} gave {digest}"
                )
        return FetchedManifest(
            Descriptor(media_type=media_type, digest=digest, size=len(data)), data
        )

    async def resolve(self, wanted: str) -> Descriptor:
        """Return the descriptor of a tag or digest, without its content if the registry can.

        Raises: as ``manifest``.
        """
        url = self._with_namespace(f"{self._url}/manifests/{wanted}")
        request = Outgoing(method="HEAD", url=url, headers={"Accept": _ACCEPT})
        async with await self._send(request, self._scopes("pull")) as response:
            claimed = response.headers.get("docker-content-digest") or ""
            media_type = (response.headers.get("content-type") or "").partition(";")[0].strip()
            length = response.content_length
        known = mediatype.is_index(media_type) or mediatype.is_manifest(media_type)
        if not digests.is_digest(claimed) or length is None or not known:
            return (await self.manifest(wanted)).descriptor
        return Descriptor(media_type=media_type, digest=digests.parse(claimed), size=length)

    async def put_manifest(self, wanted: str, media_type: str, data: bytes) -> None:
        """Store a manifest under a tag or its digest. Raises: RegistryRefusal, DataLoss, System."""
        request = Outgoing(
            method="PUT",
            url=f"{self._url}/manifests/{wanted}",
            headers={"Content-Type": media_type},
            body=data,
        )
        async with await self._send(request, self._scopes("pull", "push")) as response:
            claimed = response.headers.get("docker-content-digest")
        if claimed and claimed.startswith("sha256:") and claimed != digests.of(data):
            raise DataLoss(f"{self.endpoint.host} stored {claimed} for {digests.of(data)}")

    async def tags(self) -> list[str]:
        """Return all tags, page by page. Raises: RegistryRefusal, System."""
        url = self._with_namespace(f"{self._url}/tags/list")
        found: list[str] = []
        while url:
            request = Outgoing(method="GET", url=url)
            async with await self._send(request, self._scopes("pull")) as response:
                data = await self._transport.read(response, _LIST_LIMIT)
                link = _NEXT.search(response.headers.get("link") or "")
            try:
                page = msgspec.json.decode(data, type=_Tags).tags or []
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise System(f"{self.endpoint.host} gave no list of tags: {error}") from error
            found += page
            if len(found) > 1_000_000:
                raise System(
                    f"{self.endpoint.host} lists tags of {self.reference.name} without end"
                )
            following = addresses.follow(url, link[1]) if link and page else ""
            url = following if urlsplit(following).netloc == urlsplit(url).netloc else ""
        return found

    def _named(self, wanted: str) -> str:
        return f"{self.reference.familiar_name}{'@' if ':' in wanted else ':'}{wanted}"

    # -- blobs -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def blob(self, digest: Digest, *, offset: int = 0) -> AsyncIterator[tuple[int, Response]]:
        """Open a blob for reading; give where its first byte to come stands, and the response.

        A server that does not resume begins at 0.
        Raises: RegistryRefusal, System.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        url = self._with_namespace(f"{self._url}/blobs/{digest}")
        request = Outgoing(method="GET", url=url, headers=headers)
        async with await self._send(request, self._scopes("pull")) as response:
            start = 0
            if response.status == 206:
                found = _RANGE.match(response.headers.get("content-range") or "")
                start = int(found[1]) if found else offset
                if start > offset:
                    raise System(f"{self.endpoint.host} resumed {digest} at the wrong place")
            yield start, response

    async def config(self, digest: Digest) -> bytes:
        """Return a blob that is no larger than a manifest may be, verified.

        Raises: RegistryRefusal, DataLoss, System.
        """
        async with self.blob(digest) as (_, response):
            data = await self._transport.read(response, MANIFEST_LIMIT)
        if len(data) > MANIFEST_LIMIT:
            raise System(f"{digest} at {self.endpoint.host} has more than {MANIFEST_LIMIT} bytes")
        if _digest(data, digest) != digest:
            raise DataLoss(f"{self.endpoint.host} gave other bytes than {digest}")
        return data

    async def blob_size(self, digest: Digest) -> int | None:
        """Return the size of a blob the repository has, None if it has not.

        Raises: RegistryRefusal, System.
        """
        request = Outgoing(method="HEAD", url=f"{self._url}/blobs/{digest}")
        try:
            async with await self._send(request, self._scopes("pull", "push")) as response:
                return response.content_length or 0
        except RegistryRefusal as refused:
            if refused.status == 404:
                return None
            raise

    async def begin_upload(self, *, mount: Digest | None = None, source: str = "") -> str | None:
        """Begin an upload; return where to send it, or None: the blob was mounted from *source*.

        Raises: RegistryRefusal, System.
        """
        url = f"{self._url}/blobs/uploads/"
        if mount is not None:
            url += "?" + urlencode({"mount": mount, "from": source})
        request = Outgoing(method="POST", url=url)
        scopes = self._scopes("pull", "push", mount_from=source if mount else "")
        async with await self._send(request, scopes) as response:
            if mount is not None and response.status == 201:
                return None
            return self._location(response)

    def _location(self, response: Response) -> str:
        location = response.headers.get("location")
        if not location:
            raise System(f"{self.endpoint.host} does not say where to upload to")
        return addresses.follow(response.url, location)

    async def upload(self, location: str, digest: Digest, body: BodyFactory, length: int) -> None:
        """Send a whole blob to *location* in one PUT. Raises: RegistryRefusal, System."""
        request = Outgoing(
            method="PUT",
            url=with_query(location, digest=digest),
            headers={"Content-Type": "application/octet-stream"},
            body=body,
            body_length=length,
        )
        async with await self._send(request, self._scopes("pull", "push")):
            pass

    async def upload_chunk(self, location: str, body: BodyFactory, start: int, length: int) -> str:
        """Send a piece; return where to go on. Raises: RegistryRefusal, System."""
        request = Outgoing(
            method="PATCH",
            url=location,
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{start}-{start + length - 1}",
            },
            body=body,
            body_length=length,
        )
        async with await self._send(request, self._scopes("pull", "push")) as response:
            return self._location(response)

    async def upload_status(self, location: str) -> tuple[str, int]:
        """Return where to go on with an upload that was cut, and from which byte.

        Raises: RegistryRefusal (it is gone: begin anew), System.
        """
        request = Outgoing(method="GET", url=location)
        async with await self._send(request, self._scopes("pull", "push")) as response:
            _, _, last = (response.headers.get("range") or "").partition("-")
            done = int(last) + 1 if last.isascii() and last.isdigit() and last != "0" else 0
            return self._location(response), done


def with_query(url: str, **values: str) -> str:
    """Add parameters to an address that may have some, as an upload's location has."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(values))))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _digest(data: bytes, like: str) -> Digest:
    """Hash *data* by the algorithm of the digest *like*; SHA-256 if that is none."""
    if not digests.is_digest(like):
        return digests.of(data)
    algorithm = digests.algorithm_of(Digest(like))
    return Digest(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")


def _kind(data: bytes, declared: str, where: str) -> str:
    """Return the media type of a manifest, from its header and itself, which must agree.

    Raises: InvalidParameter (schema 1), System.
    """
    if declared in _V1:
        raise _schema_1(where)
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = declared or "something unnamed"
        raise System(f"{where} gave {what} instead of a manifest: {error}") from error
    if bytes(head.fs_layers) or head.schema_version == 1:
        raise _schema_1(where)
    if head.media_type and declared != head.media_type and declared in _KNOWN:
        raise System(
            f"manifest of {where} says it is {head.media_type}, its registry says {declared}"
        )
    return head.media_type or (declared if declared in _KNOWN else "")


def _schema_1(where: str) -> InvalidParameter:
    return InvalidParameter(
        "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been"
        f" removed: {where}",
        hint="push the image again with a current tool to upgrade it",
    )

"""Client of etcd 3 through its JSON gateway: keys, transactions, leases, watches. No policy.

An existing store does the consensus; nothing of that kind is made here. Of several endpoints the
one that answered last is asked first, and watches are there too: one that fails to answer a call is
asked last from then on, and watches of it end, for a dead member keeps silent and so does a cable
that was pulled. Keys and values travel in base64.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, field

from moorage.lib.errors import InvalidParameter, System, Unavailable
from moorage.lib.httpclient import DEFAULT_TLS, TLS, HttpClient, Response

_ANSWER_LIMIT: Final = 64 << 20
_JSON: Final = {"Content-Type": "application/json"}

Request = dict[str, object]
Answer = TypeVar("Answer", bound=Struct)


class Entry(Struct, frozen=True):
    """A key with its value and when it was written."""

    key: str
    value: bytes
    revision: int


class Change(Struct, frozen=True):
    """A key was written, or is gone (*value* None)."""

    key: str
    value: bytes | None


class Snapshot(Struct, frozen=True):
    """All keys under a prefix, at one moment."""

    entries: list[Entry]
    revision: int


class Put(Struct, frozen=True):
    """Write a key; with a *lease* it ends when the lease does."""

    key: str
    value: bytes
    lease: int = 0


class _KeyValue(Struct, frozen=True):
    key: str = ""
    value: str = ""
    mod_revision: str = "0"


class _Header(Struct, frozen=True):
    revision: str = "0"


class _Range(Struct, frozen=True):
    header: _Header = field(default_factory=_Header)
    kvs: list[_KeyValue] = []


class _Txn(Struct, frozen=True):
    header: _Header = field(default_factory=_Header)
    succeeded: bool = False


class _Lease(Struct, frozen=True):
    ID: str = "0"
    TTL: str = "0"


class _KeepAlive(Struct, frozen=True):
    result: _Lease = field(default_factory=_Lease)


class _Event(Struct, frozen=True):
    kv: _KeyValue = field(default_factory=_KeyValue)
    type: str = "PUT"


class _WatchResult(Struct, frozen=True):
    header: _Header = field(default_factory=_Header)
    events: list[_Event] = []
    canceled: bool = False
    compact_revision: str = "0"


class _Failure(Struct, frozen=True):
    message: str = ""


class _Watch(Struct, frozen=True):
    result: _WatchResult = field(default_factory=_WatchResult)
    error: _Failure | None = None  # the last line of a stream that breaks off


class Nothing(Struct, frozen=True):
    """An answer whose content nobody needs."""


class Compacted(System):
    """The history a watch asked for is gone: list all, and watch from there."""


class LeaseEnded(Unavailable):
    """The lease a key was to be written with has ended: take a new one and write again."""


class Etcd:
    """One cluster; safe for many tasks at once."""

    def __init__(
        self, endpoints: Sequence[str], *, tls: TLS = DEFAULT_TLS, timeout_s: float = 3.0
    ) -> None:
        self._timeout_s = timeout_s  # of a call to one endpoint
        self._endpoints = list(endpoints)
        self._tls = tls
        self._client = HttpClient(user_agent="moorage")
        self._watches: list[tuple[str, Response]] = []  # by endpoint

    @property
    def endpoints(self) -> list[str]:
        """The addresses of its members, the one to ask first in front."""
        return list(self._endpoints)

    @property
    def tls(self) -> TLS:
        """The files that prove who is who."""
        return self._tls

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(self, key: str) -> Entry | None:
        """Return one key; None if it is not there."""
        found = await self._call("kv/range", {"key": _wire(key)}, _Range)
        return _entry(found.kvs[0]) if found.kvs else None

    async def under(self, prefix: str) -> Snapshot:
        """Return all keys that begin with *prefix*."""
        request: Request = {"key": _wire(prefix), "range_end": _wire(_end(prefix))}
        found = await self._call("kv/range", request, _Range)
        return Snapshot([_entry(kv) for kv in found.kvs], int(found.header.revision))

    async def put(self, put: Put) -> None:
        """Write a key, whatever was there."""
        await self._call("kv/put", _put(put), Nothing)

    async def delete(self, key: str) -> None:
        """Delete a key; one that is not there is fine."""
        await self._call("kv/deleterange", {"key": _wire(key)}, Nothing)

    async def delete_all(self, prefix: str) -> None:
        """Delete all keys that begin with *prefix*."""
        request: Request = {"key": _wire(prefix), "range_end": _wire(_end(prefix))}
        await self._call("kv/deleterange", request, Nothing)

    async def commit(
        self,
        puts: Sequence[Put],
        *,
        absent: Sequence[str] = (),
        unchanged: Mapping[str, int] | None = None,
        deletes: Sequence[str] = (),
    ) -> bool:
        """Write and delete all or nothing; return whether the conditions held.

        *absent* keys must not exist, *unchanged* ones must have these revisions (0: not exist).
        """
        compare: list[Request] = [
            {"key": _wire(key), "target": "CREATE", "create_revision": "0"} for key in absent
        ]
        compare += [
            {"key": _wire(key), "target": "MOD", "mod_revision": str(revision)}
            for key, revision in (unchanged or {}).items()
        ]
        success: list[Request] = [{"request_put": _put(put)} for put in puts]
        success += [{"request_delete_range": {"key": _wire(key)}} for key in deletes]
        request: Request = {"compare": compare, "success": success}
        return (await self._call("kv/txn", request, _Txn)).succeeded

    async def grant(self, ttl_s: int) -> int:
        """Return a new lease that ends *ttl_s* after its last renewal."""
        found = await self._call("lease/grant", {"TTL": str(ttl_s)}, _Lease)
        return int(found.ID)

    async def renew(self, lease: int) -> bool:
        """Renew a lease; return whether it was still alive."""
        found = await self._call("lease/keepalive", {"ID": str(lease)}, _KeepAlive)
        return int(found.result.TTL) > 0

    async def revoke(self, lease: int) -> None:
        """End a lease with all its keys."""
        await self._call("lease/revoke", {"ID": str(lease)}, Nothing)

    async def watch(self, prefix: str, revision: int) -> AsyncIterator[list[Change]]:
        """Yield what changes under *prefix* from *revision* on.

        Ends when the connection does, or when its member has failed to answer another call.

        Raises: Compacted, Unavailable.
        """
        create: Request = {
            "create_request": {
                "key": _wire(prefix),
                "range_end": _wire(_end(prefix)),
                "start_revision": str(revision),
            }
        }
        last: OSError | None = None
        for endpoint in list(self._endpoints):
            try:
                async with asyncio.timeout(self._timeout_s):
                    response = await self._client.request(
                        "POST",
                        f"{endpoint}/v3/watch",
                        headers=_JSON,
                        body=msgspec.json.encode(create),
                        tls=self._tls,
                    )
            except OSError as error:
                last = error
                self._demote(endpoint)
                continue
            self._watches.append((endpoint, response))
            try:
                async with response:
                    rest = b""
                    while part := await response.read_some():
                        *lines, rest = (rest + part).split(b"\n")
                        for line in filter(None, lines):
                            if changes := _changes(line):
                                yield changes
            finally:
                self._watches.remove((endpoint, response))
            return
        raise Unavailable(f"cannot reach the cluster store: {last}")

    async def _call(self, method: str, request: Request, answer: type[Answer]) -> Answer:
        last: Exception | None = None
        body = msgspec.json.encode(request)
        for endpoint in list(self._endpoints):
            try:
                async with asyncio.timeout(self._timeout_s):
                    status, content = await self._post(f"{endpoint}/v3/{method}", body)
            except OSError as error:  # TimeoutError is one
                last = error
                self._demote(endpoint)
                continue
            except asyncio.CancelledError:  # who asked has no more time to wait for this one
                self._demote(endpoint)
                raise
            if status == 200:
                return _decode(content, answer)
            text = content[:300].decode(errors="replace")
            if status == 503 or (b"etcdserver:" in content and b"leader" in content):
                last = Unavailable(text)
                self._demote(endpoint)
                continue
            if b"requested lease not found" in content:
                raise LeaseEnded(f"the cluster has given this host up: {text}")
            raise System(f"the cluster store refuses {method}: {text}")
        raise Unavailable(
            f"cannot reach the cluster store: {last or 'no endpoint'}",
            hint="check cluster-store in daemon.json, and that etcd has a majority of its members",
        )

    async def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        async with await self._client.request(
            "POST", url, headers=_JSON, body=body, tls=self._tls
        ) as response:
            return response.status, await response.read(_ANSWER_LIMIT)

    def _demote(self, endpoint: str) -> None:
        """Ask *endpoint* last from now on, and watch another."""
        if endpoint in self._endpoints:
            self._endpoints.remove(endpoint)
            self._endpoints.append(endpoint)
        for where, watch in self._watches:
            if where == endpoint:
                watch.release()  # who reads it is told that the connection has ended


def _decode(text: bytes, answer: type[Answer]) -> Answer:
    """Read what the store says; a proxy before it may say something else.

    Raises: Unavailable.
    """
    try:
        return msgspec.json.decode(text, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        shown = text[:100].decode(errors="replace")
        raise Unavailable(f"the cluster store's answer makes no sense: {shown}") from error


def _changes(line: bytes) -> list[Change]:
    told = _decode(line, _Watch)
    if told.error is not None:
        raise Unavailable(f"the cluster store ended the watch: {told.error.message}")
    result = told.result
    if int(result.compact_revision):
        raise Compacted("the watched history was compacted")
    if result.canceled:
        raise Unavailable("the cluster store ended the watch")
    return [
        Change(
            _read(event.kv.key).decode(), None if event.type == "DELETE" else _read(event.kv.value)
        )
        for event in result.events
    ]


def _wire(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def _read(text: str) -> bytes:
    return base64.b64decode(text)


def _end(prefix: str) -> str:
    """Return the first key behind all that begin with *prefix*."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _entry(kv: _KeyValue) -> Entry:
    return Entry(_read(kv.key).decode(), _read(kv.value), int(kv.mod_revision))


def _put(put: Put) -> Request:
    request: Request = {"key": _wire(put.key), "value": base64.b64encode(put.value).decode()}
    if put.lease:
        request["lease"] = str(put.lease)
    return request


def parse_store(text: str, options: Mapping[str, str], *, timeout_s: float = 3.0) -> Etcd:
    """Return the client for ``cluster-store`` and ``cluster-store-opts``.

    Raises: InvalidParameter.
    """
    scheme, separator, rest = text.partition("://")
    hosts = [host for host in rest.strip("/").split(",") if host]
    if scheme not in {"etcd", "http", "https"} or not separator or not hosts:
        raise InvalidParameter(
            f"invalid cluster-store: {text}", hint="give etcd://HOST:PORT[,HOST:PORT…]"
        )
    certificate, key = options.get("kv.certfile", ""), options.get("kv.keyfile", "")
    authority = options.get("kv.cacertfile", "")
    tls = TLS(
        authorities=(Path(authority),) if authority else (),
        clients=((Path(certificate), Path(key)),) if certificate and key else (),
    )
    secure = scheme == "https" or bool(authority)
    return Etcd(
        [f"{'https' if secure else 'http'}://{host}" for host in hosts],
        tls=tls,
        timeout_s=timeout_s,
    )

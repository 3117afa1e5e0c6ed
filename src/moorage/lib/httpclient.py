"""An HTTP/1.1 client on asyncio: connections kept for reuse, TLS, proxies.

Spoken to registries, plugins and cluster stores; ``unix:///path.sock/where`` leads to a socket.
Why not aiohttp: its import takes 250 ms and 14 MB, which a daemon would keep for ever after its
first pull, and blobs need few and large pieces. Redirects are the caller's to decide about.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from moorage.lib import clock, latetls, offload
from moorage.lib.httpconnection import Connection, Headers, ProtocolError

if TYPE_CHECKING:
    import ssl

CONNECT_TIMEOUT_S: Final = 30.0
HEAD_TIMEOUT_S: Final = 60.0
READ_TIMEOUT_S: Final = 60.0
_SOCKET_END: Final = "//"  # unix:///run/plugin.sock///VolumeDriver.List: the path begins behind
_IDLE_S: Final = 15.0  # a connection unused for longer is closed rather than reused
_HAPPY_EYEBALLS_S: Final = 0.25  # a silent IPv6 address costs this much, not a whole time-out
Body = bytes | AsyncIterator[bytes] | None


class TLS(Struct, frozen=True, kw_only=True):
    """Files and strictness of TLS; compared by value, so that contexts can be shared."""

    verify: bool = True
    authorities: tuple[Path, ...] = ()  # besides those of the system
    clients: tuple[tuple[Path, Path], ...] = ()  # certificate and key


DEFAULT_TLS: Final = TLS()
_Stamps = tuple[tuple[int, int, int], ...]  # of the files that a context was made of
_Key = tuple[str, str, int, str, TLS]


class Response:
    """A response whose head has arrived. Use it as a context: leaving frees the connection."""

    def __init__(self, client: HttpClient, key: _Key, connection: Connection, url: str) -> None:
        self._client = client
        self._key = key
        self._connection: Connection | None = connection
        self.url = url
        self.status = connection.status
        self.headers: Headers = connection.headers

    @property
    def content_length(self) -> int | None:
        """The announced size of the body, if any."""
        text = self.headers.get("content-length") or ""
        return int(text) if text.isascii() and text.isdigit() else None

    async def read_some(self) -> bytes:
        """Return what has arrived of the body; empty at its end.

        Raises: OSError (TimeoutError, if nothing comes for ``READ_TIMEOUT_S``).
        """
        if self._connection is None:
            return b""
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await self._connection.read()

    async def read(self, limit: int) -> bytes:
        """Return the whole body, or as much as tells that it is longer than *limit*."""
        parts: list[bytes] = []
        size = 0
        while size <= limit and (part := await self.read_some()):
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def release(self) -> None:
        """Give the connection back; one with a body unread is closed."""
        if self._connection is not None:
            self._client.give_back(self._key, self._connection)
            self._connection = None

    async def __aenter__(self) -> Self:
        """Return the response."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the connection."""
        self.release()


class _Request(Struct, frozen=True, kw_only=True):
    key: _Key
    url: str
    head: bytes
    body: Body
    head_timeout_s: float


class HttpClient:
    """Connections by where they lead; ``close`` at the end."""

    def __init__(self, *, user_agent: str) -> None:
        self._user_agent = user_agent
        self._idle: dict[_Key, list[tuple[float, Connection]]] = {}
        self._contexts: dict[TLS, tuple[_Stamps, ssl.SSLContext]] = {}

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Body = None,
        body_length: int | None = None,  # of an iterator; None: chunked
        tls: TLS = DEFAULT_TLS,
        proxy: str | None = None,
        head_timeout_s: float = HEAD_TIMEOUT_S,
    ) -> Response:
        """Send one request and wait for the head of its response.

        A kept connection that turns out to be dead is replaced once, if nothing was lost by it.
        Raises: OSError (ssl.SSLError, TimeoutError and ProtocolError are).
        """
        key = _key(url, proxy, tls)
        lines = self._lines(key, url)
        if isinstance(body, bytes):
            lines["Content-Length"] = str(len(body))
        elif body is not None and body_length is None:
            lines["Transfer-Encoding"] = "chunked"
        elif body is not None:
            lines["Content-Length"] = str(body_length)
        elif method in {"POST", "PUT", "PATCH"}:
            lines["Content-Length"] = "0"
        request = _Request(
            key=key,
            url=url,
            head=_head(method, _target(key, url), {**lines, **headers}),
            body=body,
            head_timeout_s=head_timeout_s,
        )
        while (connection := self._take_idle(key)) is not None:
            if isinstance(body, AsyncIterator):
                connection.close()  # the body cannot be sent a second time if it turns out dead
                break
            try:
                return await self._exchange(connection, request)
            except ConnectionError:
                continue  # it had been closed, or reset, while it was idle
        return await self._exchange(await self._connect(key), request)

    async def _exchange(self, connection: Connection, request: _Request) -> Response:
        try:
            connection.begin(bodiless=request.head.startswith(b"HEAD "))
            if isinstance(request.body, bytes):
                await connection.send(request.head + request.body)
            else:
                await connection.send(request.head)
                if request.body is not None:
                    await _send_body(connection, request)
            async with asyncio.timeout(request.head_timeout_s):
                await connection.wait_head()
        except BaseException:
            connection.close()
            raise
        return Response(self, request.key, connection, request.url)

    def _lines(self, key: _Key, url: str) -> dict[str, str]:
        scheme, _, _, proxy, _ = key
        host = "localhost" if scheme == "unix" else urlsplit(url).netloc.rpartition("@")[2]
        lines = {"Host": host, "User-Agent": self._user_agent}
        return lines | (_proxy_authorization(proxy) if scheme == "http" and proxy else {})

    # -- connections -----------------------------------------------------------------------------

    def _take_idle(self, key: _Key) -> Connection | None:
        kept = self._idle.get(key, [])
        while kept:
            since, connection = kept.pop()
            if not connection.closed and clock.monotonic() - since < _IDLE_S:
                return connection
            connection.close()
        self._idle.pop(key, None)
        return None

    def give_back(self, key: _Key, connection: Connection) -> None:
        """Keep a connection for the next request, or close it."""
        if not connection.reusable:
            connection.close()
            return
        connection.rest()
        self._close_stale()
        self._idle.setdefault(key, []).append((clock.monotonic(), connection))

    def _close_stale(self) -> None:
        """Close what nobody has come back for, to whichever server: it would stay open for ever."""
        limit = clock.monotonic() - _IDLE_S
        for key, kept in list(self._idle.items()):
            self._idle[key] = [entry for entry in kept if entry[0] > limit and not entry[1].closed]
            for since, connection in kept:
                if since <= limit:
                    connection.close()
            if not self._idle[key]:
                del self._idle[key]

    async def _connect(self, key: _Key) -> Connection:
        scheme, host, port, proxy, tls = key
        loop = asyncio.get_running_loop()
        if scheme == "unix":
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_unix_connection(Connection, host)
                return connection
        context = await self._context(tls) if scheme == "https" else None
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if proxy:
                return await self._connect_by_proxy(proxy, host, port, context)
            _, connection = await loop.create_connection(
                Connection,
                host,
                port,
                ssl=context,
                server_hostname=host if context else None,
                happy_eyeballs_delay=_HAPPY_EYEBALLS_S,
            )
            return connection

    async def _connect_by_proxy(
        self, proxy: str, host: str, port: int, context: ssl.SSLContext | None
    ) -> Connection:
        parts = urlsplit(proxy)
        if parts.scheme != "http":
            message = f"proxy {parts.scheme}://{parts.hostname}: only http:// proxies are supported"
            raise ProtocolError(message)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            Connection, parts.hostname or "", parts.port or 80
        )
        try:
            if context is not None:
                await self._tunnel(connection, proxy, f"[{host}]" if ":" in host else host, port)
                upgraded = await loop.start_tls(
                    connection.transport, connection, context, server_hostname=host
                )
                connection.connection_made(_require(upgraded, proxy))
        except BaseException:
            connection.close()
            raise
        return connection

    async def _tunnel(self, connection: Connection, proxy: str, host: str, port: int) -> None:
        target = f"{host}:{port}"
        lines = {"Host": target, "User-Agent": self._user_agent, **_proxy_authorization(proxy)}
        connection.begin(bodiless=True)
        await connection.send(_head("CONNECT", target, lines))
        await connection.wait_head()
        if connection.status != 200:
            message = f"proxy {urlsplit(proxy).hostname} refused CONNECT: {connection.status}"
            raise ProtocolError(message)
        connection.rest()

    async def _context(self, tls: TLS) -> ssl.SSLContext:
        known = self._contexts.get(tls)
        if known is None or _files(tls):
            known = self._contexts[tls] = await offload.run("net", _up_to_date, tls, known)
        return known[1]

    async def close(self) -> None:
        """Close all idle connections."""
        for kept in self._idle.values():
            for _, connection in kept:
                connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # the loop closes the sockets in its next round


def _key(url: str, proxy: str | None, tls: TLS) -> _Key:
    if url.startswith("unix://"):
        return ("unix", url.removeprefix("unix://").partition(_SOCKET_END)[0], 0, "", tls)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (parts.scheme, parts.hostname or "", port, proxy or "", tls)


def _target(key: _Key, url: str) -> str:
    """Return what stands behind the method: a path, or the whole address for a proxy."""
    scheme, _, _, proxy, _ = key
    if scheme == "unix":
        return url.removeprefix("unix://").partition(_SOCKET_END)[2] or "/"
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return (
        f"http://{parts.netloc.rpartition('@')[2]}{target}"
        if scheme == "http" and proxy
        else target
    )


def _head(method: str, target: str, lines: Mapping[str, str]) -> bytes:
    """Write the request's head. Raises: ProtocolError, if a header would inject another."""
    text = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items())]
    if " " in target or not all(line.isprintable() for line in text):
        message = "control characters in a request"
        raise ProtocolError(message)
    return ("\r\n".join(text) + "\r\n\r\n").encode("latin-1", "replace")


def _files(tls: TLS) -> list[Path]:
    return [*tls.authorities, *(path for pair in tls.clients for path in pair)]


def _up_to_date(
    tls: TLS, known: tuple[_Stamps, ssl.SSLContext] | None
) -> tuple[_Stamps, ssl.SSLContext]:
    """Return *known*, or another if its files have been replaced. Blocks. Raises: OSError."""
    found = [path.stat() for path in _files(tls)]
    stamps = tuple((file.st_ino, file.st_size, file.st_mtime_ns) for file in found)
    return known if known is not None and known[0] == stamps else (stamps, make_context(tls))


def make_context(tls: TLS) -> ssl.SSLContext:
    """Build what *tls* says; reads files. Raises: OSError, ssl.SSLError."""
    tls_module = latetls.load()
    context: ssl.SSLContext = tls_module.create_default_context()
    for authority in tls.authorities:
        context.load_verify_locations(authority)
    for certificate, key in tls.clients:
        context.load_cert_chain(certificate, key)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = tls_module.CERT_NONE
    return context


def _require(transport: asyncio.Transport | None, proxy: str) -> asyncio.Transport:
    if transport is None:
        message = f"proxy {urlsplit(proxy).hostname} closed the connection"
        raise ProtocolError(message)
    return transport


def _proxy_authorization(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair).decode()}


async def _send_body(connection: Connection, request: _Request) -> None:
    """Send until the end, or until the server has answered without waiting for it."""
    assert isinstance(request.body, AsyncIterator)  # noqa: S101 - the caller has looked
    chunked = b"\r\nTransfer-Encoding: chunked\r\n" in request.head
    async for piece in request.body:
        if connection.has_head or connection.closed:
            connection.spend()
            return
        if not piece:
            continue
        if chunked:
            await connection.send(b"%x\r\n" % len(piece))
        await connection.send(piece)
        if chunked:
            await connection.send(b"\r\n")
    if chunked:
        await connection.send(b"0\r\n\r\n")

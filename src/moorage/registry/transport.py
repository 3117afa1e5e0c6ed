"""Requests to registries: redirects that leak nothing, retries with back-off, Retry-After.

Knows no credentials: an ``Authorization`` header is the caller's, and goes to no other origin than
the one it was meant for.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from email import utils as email_utils
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct, structs

from moorage.lib import addresses, clock
from moorage.lib.errors import System
from moorage.lib.httpclient import TLS, HttpClient, Response
from moorage.lib.httpconnection import ProtocolError
from moorage.registry import failures
from moorage.registry.endpoint import Endpoint
from moorage.registry.proxies import Proxies

REDIRECTS: Final = 10
RETRY_AFTER_MOST_S: Final = 60.0  # a server that wants a longer wait is reported instead
_ATTEMPTS: Final = 4
_BACKOFF_S: Final = 0.5
_REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({500, 502, 503, 504})  # may be well the next time
_PRIVATE: Final = ("authorization", "cookie", "proxy-authorization")

BodyFactory = Callable[[], AsyncIterator[bytes]]
Sleep = Callable[[float], Awaitable[None]]


class Outgoing(Struct, frozen=True, kw_only=True):
    """A request: all that may have to be sent a second time."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes | BodyFactory | None = None
    body_length: int | None = None  # of what a factory makes; None: chunked


class Transport:
    """The way to all registries; one for the daemon."""

    def __init__(self, *, user_agent: str, proxies: Proxies, sleep: Sleep = asyncio.sleep) -> None:
        self._client = HttpClient(user_agent=user_agent)
        self._proxies = proxies
        self.sleep = sleep

    async def close(self) -> None:
        """Close the idle connections."""
        await self._client.close()

    async def send(self, request: Outgoing, endpoint: Endpoint) -> Response:
        """Send a request, following redirects; the response's body is the caller's to read.

        A GET or HEAD is tried again when the server fails in a way that may pass, and any request
        when the server names a time in ``Retry-After``.
        Raises: System, DeadlineExceeded.
        """
        repeatable = request.method in {"GET", "HEAD"}
        attempt = 0
        while True:
            attempt += 1
            try:
                response = await self._follow(request, endpoint)
            except ProtocolError as error:
                if not repeatable or attempt >= _ATTEMPTS:
                    raise failures.of_connection(request.method, request.url, error) from error
                wait = backoff(attempt)
            else:
                wanted = self._wait_before_repeat(response, attempt, repeatable=repeatable)
                if wanted is None:
                    return response
                response.release()
                wait = wanted
            await self.sleep(wait)

    def _wait_before_repeat(
        self, response: Response, attempt: int, *, repeatable: bool
    ) -> float | None:
        """Return the seconds to wait before trying again; None: take the response as it is."""
        if attempt >= _ATTEMPTS or response.status not in _PASSING | {429}:
            return None
        named = retry_after(response.headers.get("retry-after"))
        if named is not None:
            return named if named <= RETRY_AFTER_MOST_S else None
        return backoff(attempt) if repeatable and response.status in _PASSING else None

    async def _follow(self, request: Outgoing, endpoint: Endpoint) -> Response:
        current = structs.replace(request, headers={**endpoint.headers, **request.headers})
        tls = endpoint.tls
        for _ in range(REDIRECTS + 1):
            response = await self._once(current, tls)
            location = response.headers.get("location")
            if response.status not in _REDIRECTED or not location:
                return response
            response.release()
            following = addresses.follow(current.url, location)
            _check_redirect(request, following, endpoint)
            if origin(following) != origin(current.url):
                current = structs.replace(current, headers=_public(current.headers, endpoint))
                tls = TLS(verify=tls.verify, authorities=tls.authorities)
            if response.status == 303 or (response.status <= 302 and current.method == "POST"):
                current = Outgoing(method="GET", url=following, headers=current.headers)
            current = structs.replace(current, url=following)
        raise System(
            f'{request.method.capitalize()} "{request.url}": stopped after {REDIRECTS} redirects',
            hint=f"{endpoint.host} sends us in circles",
        )

    async def _once(self, request: Outgoing, tls: TLS) -> Response:
        proxy = self._proxies.choose(request.url)
        try:
            return await self._client.request(
                request.method,
                request.url,
                headers=request.headers,
                body=request.body() if callable(request.body) else request.body,
                body_length=request.body_length,
                tls=tls,
                proxy=proxy,
            )
        except ProtocolError:
            raise
        except OSError as error:
            raise failures.of_connection(
                request.method, request.url, error, proxy=proxy or ""
            ) from error

    async def read(self, response: Response, limit: int) -> bytes:
        """Read a whole body of at most *limit* bytes. Raises: System, DeadlineExceeded."""
        try:
            return await response.read(limit)
        except OSError as error:
            raise failures.of_connection("GET", response.url, error) from error


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port: what an ``Authorization`` header is meant for."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def _public(lines: Mapping[str, str], endpoint: Endpoint) -> dict[str, str]:
    """Leave out what another origin must not see: credentials, and headers set for this one."""
    own = {name.lower() for name in endpoint.headers}
    return {n: v for n, v in lines.items() if n.lower() not in _PRIVATE and n.lower() not in own}


def _check_redirect(request: Outgoing, following: str, endpoint: Endpoint) -> None:
    scheme = urlsplit(following).scheme
    if scheme not in {"http", "https"} or (scheme == "http" and not endpoint.is_plain):
        raise System(
            f'Get "{request.url}": refusing a redirect from HTTPS to {scheme}',
            hint=f"{endpoint.host} must not send us to an unprotected place",
        )


def backoff(attempt: int) -> float:
    """Return seconds to wait after failure number *attempt*: doubled each time, with jitter."""
    return float(_BACKOFF_S * 2 ** (attempt - 1)) * (0.75 + secrets.randbelow(512) / 1024)


def retry_after(text: str | None) -> float | None:
    """Return the seconds a ``Retry-After`` header names, given as seconds or as a date."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = email_utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - clock.now_ns() / 1e9)

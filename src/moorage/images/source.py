"""The archive of an import, fetched from where the client said it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit

from moorage.lib import addresses
from moorage.lib.errors import InvalidParameter
from moorage.lib.httpclient import HttpClient
from moorage.lib.version import VERSION
from moorage.registry import failures

_REDIRECTS_MAX: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OK: Final = 200


async def fetch(url: str) -> AsyncIterator[bytes]:
    """Yield the body of *url*, http without a scheme; only http and https, also behind redirects.

    Raises: InvalidParameter (the address, or what its server answers), and what
    ``registry.failures.of_connection`` makes of a network that fails.
    """
    if "://" not in url:
        url = f"http://{url}"
    client = HttpClient(user_agent=f"moorage/{VERSION}")
    try:
        for _ in range(_REDIRECTS_MAX):
            _require_web(url)
            async with await client.request("GET", url, headers={}) as response:
                if response.status in _REDIRECTS:
                    url = addresses.follow(url, response.headers.get("location") or "")
                    continue
                if response.status != _OK:
                    raise InvalidParameter(f"cannot import {url}: status {response.status}")
                while chunk := await response.read_some():
                    yield chunk
                return
        raise InvalidParameter(f"cannot import {url}: too many redirects")
    except OSError as error:
        raise failures.of_connection("GET", url, error) from error
    finally:
        await client.close()


def _require_web(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidParameter(f"cannot import {url}: only http and https addresses are fetched")

"""Credentials for a registry, as clients send them in ``X-Registry-Auth``.

Their ``repr`` hides secrets: whatever prints one by mistake prints none.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct, field

from moorage.lib.errors import InvalidParameter
from moorage.spec import gojson

HEADER: Final = "x-registry-auth"
_CONFIG_HEADER: Final = "x-registry-config"
CONFIG_HEADER: Final = "x-registry-config"
DOCKER_HUB: Final = "https://index.docker.io/v1/"
_LIMIT: Final = 64 << 10  # bytes of a header worth decoding


class Credentials(Struct, frozen=True, kw_only=True):
    """The document's ``AuthConfig``."""

    username: str = ""
    password: str = ""
    auth: str = ""  # base64 of username:password, where those two are not given
    email: str = ""
    server_address: str = field(default="", name="serveraddress")
    identity_token: str = field(default="", name="identitytoken")  # OAuth 2 refresh token
    registry_token: str = field(default="", name="registrytoken")  # bearer token, as it is

    def __repr__(self) -> str:
        """Show whom they are for, and no secret."""
        return f"Credentials({self.username!r} at {self.server_address!r})"

    def __bool__(self) -> bool:
        """Whether there is anything to authenticate with."""
        return bool(self.username or self.identity_token or self.registry_token)

    def basic(self) -> str:
        """Return the value of a basic ``Authorization`` header."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


ANONYMOUS: Final = Credentials()


def decode_header(text: str | None) -> Credentials:
    """Decode ``X-Registry-Auth``; absent is anonymous.

    Both base64 alphabets are taken, with or without padding: clients differ.
    Raises: InvalidParameter, which never repeats the value.
    """
    return parse(_decode(text)) if text else ANONYMOUS


def decode_config_header(text: str | None) -> dict[str, Credentials]:
    """Decode ``X-Registry-Config`` of a build: credentials by registry."""
    if not text:
        return {}
    found = gojson.decode(_decode(text, _CONFIG_HEADER), dict[str, Credentials])
    return {server: _with_pair(entry) for server, entry in found.items()}


def parse(data: bytes) -> Credentials:
    """Decode the JSON document of credentials. Raises: InvalidParameter."""
    if data.strip() in {b"", b"null"}:
        return ANONYMOUS
    try:
        return _with_pair(gojson.decode(data, Credentials))
    except InvalidParameter:
        raise InvalidParameter(f"invalid {HEADER.title()} header: not the JSON expected") from None


def _decode(text: str, header: str = HEADER) -> bytes:
    text = text.strip()
    if len(text) > _LIMIT:
        raise InvalidParameter(f"invalid {header.title()} header: too long")
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidParameter(f"invalid {header.title()} header: not base64") from None


def _with_pair(given: Credentials) -> Credentials:
    """Fill username and password from ``auth``."""
    if given.username or not given.auth:
        return given
    try:
        username, _, password = base64.b64decode(given.auth).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return given
    return Credentials(
        username=username,
        password=password.strip("\0"),
        email=given.email,
        server_address=given.server_address,
        identity_token=given.identity_token,
        registry_token=given.registry_token,
    )


def server_of(address: str) -> str:
    """Reduce a server's address to the name that references use: no scheme, no path.

    Docker Hub's many names are one. Raises: InvalidParameter, for what is no host and port.
    """
    host = address.removeprefix("https://").removeprefix("http://").partition("/")[0].lower()
    try:
        _ = urlsplit(f"//{host}").port
    except ValueError as error:
        raise InvalidParameter(f"invalid registry address: {address}: {error}") from error
    return "docker.io" if host in {"", "index.docker.io", "registry-1.docker.io"} else host

"""Authentication at a registry: basic, and bearer tokens from the realm it names.

Credentials go to the registry they were given for and to the token server it names, over TLS if the
registry is spoken to by TLS; never to a mirror, never to where a redirect leads.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from moorage.lib import addresses, clock
from moorage.lib.errors import System, Unauthorized
from moorage.lib.httpclient import Response
from moorage.registry import challenge, failures
from moorage.registry.challenge import Challenge
from moorage.registry.credentials import ANONYMOUS, Credentials, server_of
from moorage.registry.endpoint import Endpoint
from moorage.registry.transport import Outgoing, Transport

_CLIENT_ID: Final = "moorage"
_TOKEN_LIMIT: Final = 1 << 20
_LIFETIME_S: Final = 60  # of a token that does not say
_MARGIN_S: Final = 5.0  # a token is not used in its last seconds


class _TokenResponse(Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    refresh_token: str = ""
    expires_in: int | None = None


class Token(Struct, frozen=True):
    """A bearer token and until when (monotonic seconds) it is good."""

    value: str
    until: float
    refresh_token: str = ""

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Token(until={self.until})"


class Authorizer:
    """What to put into ``Authorization`` at one endpoint, on behalf of one user."""

    def __init__(self, transport: Transport, endpoint: Endpoint, credentials: Credentials) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._credentials = credentials if may_use(credentials, endpoint) else ANONYMOUS
        self._basic = False
        self._tokens: dict[frozenset[str], Token] = {}

    def header(self, scopes: frozenset[str]) -> dict[str, str]:
        """Return the header for *scopes* as far as it is known; nothing before a challenge."""
        if self._credentials.registry_token:
            return {"Authorization": f"Bearer {self._credentials.registry_token}"}
        if self._basic:
            return {"Authorization": self._credentials.basic()}
        token = self._tokens.get(scopes)
        if token is None or token.until < clock.monotonic():
            return {}
        return {"Authorization": f"Bearer {token.value}"}

    async def answer(self, response: Response, scopes: frozenset[str]) -> bool:
        """Prepare for another try after the 401 *response*.

        Returns: False, if there is nothing more to offer.
        Raises: Unauthorized (no or wrong credentials), System (no token to be had).
        """
        wanted = challenge.choose(challenge.parse(response.headers.get_all("www-authenticate")))
        had = self.header(scopes)
        if wanted is None or self._credentials.registry_token:
            return False
        if wanted.scheme == "basic":
            if self._basic or not self._credentials.username:
                if not self._credentials.username:
                    raise Unauthorized(
                        f'Get "{response.url}": no basic auth credentials',
                        hint=f"log in to {self._endpoint.host} first",
                    )
                return False
            self._basic = True
            return True
        if had and "error" in wanted.parameters and wanted.parameters["error"] != "invalid_token":
            return False
        self._tokens[scopes] = await self.fetch_token(wanted, scopes)
        return True

    async def fetch_token(
        self, wanted: Challenge, scopes: frozenset[str], *, offline: bool = False
    ) -> Token:
        """Ask the realm of a challenge for a token. Raises: Unauthorized, System."""
        realm = self._realm(wanted)
        asked = scopes or frozenset(filter(None, (wanted.parameters.get("scope"),)))
        query: list[tuple[str, str]] = [("service", wanted.parameters.get("service", ""))]
        if self._credentials.identity_token and not offline:
            response = await self._refresh(realm, query, asked)
        else:
            if self._credentials.username:
                query.append(("account", self._credentials.username))
            query += [("scope", scope) for scope in sorted(asked)]
            if offline:
                query += [("offline_token", "true"), ("client_id", _CLIENT_ID)]
            headers = (
                {"Authorization": self._credentials.basic()} if self._credentials.username else {}
            )
            parts = urlsplit(realm)
            full = urlencode([*parse_qsl(parts.query), *query])
            url = urlunsplit((parts.scheme, parts.netloc, parts.path, full, ""))
            request = Outgoing(method="GET", url=url, headers=headers)
            response = await self._transport.send(request, self._token_endpoint())
        async with response:
            body = await self._transport.read(response, _TOKEN_LIMIT)
            return self._read_token(response, body)

    async def _refresh(
        self, realm: str, query: list[tuple[str, str]], scopes: frozenset[str]
    ) -> Response:
        form = [
            *query,
            ("grant_type", "refresh_token"),
            ("refresh_token", self._credentials.identity_token),
            ("client_id", _CLIENT_ID),
            ("scope", " ".join(sorted(scopes))),
        ]
        request = Outgoing(
            method="POST",
            url=realm,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        return await self._transport.send(request, self._token_endpoint())

    def _realm(self, wanted: Challenge) -> str:
        realm = addresses.follow("", wanted.parameters.get("realm", ""))
        scheme = urlsplit(realm).scheme
        if scheme not in {"http", "https"} or (scheme == "http" and not self._endpoint.is_plain):
            raise System(
                f"{self._endpoint.host} names a token server without TLS: {realm!r}",
                hint="no credentials were sent",
            )
        return realm

    def _token_endpoint(self) -> Endpoint:
        return Endpoint(
            api=self._endpoint.api, domain=self._endpoint.domain, tls=self._endpoint.tls
        )

    def _read_token(self, response: Response, body: bytes) -> Token:
        host = urlsplit(response.url).netloc
        if response.status >= 400:
            refused = failures.refusal(response.status, body, (), host=host)
            if response.status in {401, 403, 400}:
                said = (
                    str(refused) if refused.code else "unauthorized: incorrect username or password"
                )
                raise Unauthorized(
                    f'Get "{self._endpoint.api}/": {said}', hint=f"said the token server {host}"
                )
            raise System(f"error from the token server {host}: {refused}")
        try:
            parsed = msgspec.json.decode(body, type=_TokenResponse)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise System(f"the token server {host} gave no token: {error}") from error
        value = parsed.token or parsed.access_token
        if not value or not value.isprintable() or " " in value:
            raise System(f"the token server {host} gave no token")
        lifetime = max(parsed.expires_in or _LIFETIME_S, _LIFETIME_S)
        return Token(value, clock.monotonic() + lifetime - _MARGIN_S, parsed.refresh_token)


def may_use(credentials: Credentials, endpoint: Endpoint) -> bool:
    """Whether *credentials* may be shown to *endpoint*; a mirror gets only its own.

    A client that does not say for whom they are means the registry of the reference.
    """
    if not credentials:
        return False
    if endpoint.is_mirror:
        return (
            bool(credentials.server_address)
            and server_of(credentials.server_address) == endpoint.host
        )
    return True

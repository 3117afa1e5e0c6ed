"""All registries, as the image side sees them: repositories to try in turn, login, search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from moorage.lib import offload
from moorage.lib.errors import DataLoss, MoorageError, System, Unauthorized
from moorage.registry import auth, challenge, failures, hosts, repository, transport
from moorage.registry.credentials import ANONYMOUS, Credentials, server_of
from moorage.registry.endpoint import Endpoint
from moorage.registry.settings import RegistrySettings
from moorage.spec import reference as references
from moorage.spec.reference import Reference

if TYPE_CHECKING:
    from moorage.registry.repository import Repository
    from moorage.registry.transport import Transport

_SEARCH_LIMIT: Final = 8 << 20
_HUB_INDEX: Final = "https://index.docker.io"


class SearchResult(Struct, frozen=True):
    """One line of a v1 search."""

    name: str = ""
    description: str | None = None
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


class _SearchResponse(Struct, frozen=True):
    results: list[SearchResult] = []


class Registries:
    """One for the daemon. *settings* is asked anew each time, so a reload counts at once."""

    def __init__(self, settings: Callable[[], RegistrySettings], *, user_agent: str) -> None:
        self._settings = settings
        self._user_agent = user_agent
        self._transport: Transport | None = None
        self._plain: set[str] = set()  # insecure hosts found to speak no TLS

    @property
    def settings(self) -> RegistrySettings:
        """The settings of this moment."""
        return self._settings()

    @property
    def transport(self) -> Transport:
        """The connections; made when first used."""
        if self._transport is None:
            self._transport = transport.Transport(
                user_agent=self._user_agent, proxies=self.settings.proxies
            )
        return self._transport

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.close()

    async def repositories(
        self, reference: Reference, credentials: Credentials = ANONYMOUS, *, push: bool = False
    ) -> list[Repository]:
        """Return the ways to a repository in the order to try them: mirrors, then its registry.

        Raises: System (unusable certificates or configuration files).
        """
        endpoints = await self._endpoints(reference.domain, reference.path)
        return [
            repository.Repository(
                self.transport,
                endpoint,
                reference,
                auth.Authorizer(self.transport, endpoint, credentials),
            )
            for endpoint in endpoints
            if (endpoint.can_push if push else endpoint.can_pull)
        ]

    async def _endpoints(self, domain: str, path: str) -> list[Endpoint]:
        found = await offload.run("net", hosts.endpoints, self.settings, domain, path)
        return [e for e in found if not (e.host in self._plain and e.insecure_twin)]

    def note_plain(self, endpoint: Endpoint) -> None:
        """Remember that an insecure registry answered without TLS: spare it the next attempt."""
        if endpoint.insecure_alternative:
            self._plain.add(endpoint.host)

    async def login(self, credentials: Credentials) -> str:
        """Check credentials at the registry they are for.

        Returns: an identity token to keep instead of the password, or nothing.
        Raises: Unauthorized, System.
        """
        domain = server_of(credentials.server_address)
        failure: MoorageError | None = None
        for endpoint in await self._endpoints(domain, ""):
            if endpoint.is_mirror:
                continue
            try:
                return await self._login(endpoint, credentials)
            except failures.Unreachable as error:
                failure = error
        raise failure or System(f"no way to registry {domain}")

    async def _login(self, endpoint: Endpoint, credentials: Credentials) -> str:
        authorizer = auth.Authorizer(self.transport, endpoint, credentials)
        ping = transport.Outgoing(method="GET", url=f"{endpoint.api}/")
        async with await self.transport.send(ping, endpoint) as response:
            status = response.status
            challenges = challenge.parse(response.headers.get_all("www-authenticate"))
            body = await self.transport.read(response, failures.BODY_LIMIT)
        if status == 200:
            self.note_plain(endpoint)
            return ""
        wanted = challenge.choose(challenges)
        if status != 401 or wanted is None:
            refused = failures.refusal(status, body, challenges, host=endpoint.host)
            raise System(f"login attempt to {endpoint.api}/ failed with status: {refused}")
        identity = ""
        if wanted.scheme == "bearer":
            offline = not credentials.identity_token
            token = await authorizer.fetch_token(wanted, frozenset(), offline=offline)
            identity = token.refresh_token
            headers = {"Authorization": f"Bearer {token.value}"}
        else:
            headers = {"Authorization": credentials.basic()}
        again = transport.Outgoing(method="GET", url=f"{endpoint.api}/", headers=headers)
        async with await self.transport.send(again, endpoint) as response:
            if response.status == 401:
                raise Unauthorized(
                    f'Get "{endpoint.api}/": unauthorized: authentication required',
                    hint=f"user name or password is wrong at {endpoint.host}",
                )
            if response.status != 200:
                raise System(
                    f"login attempt to {endpoint.api}/ failed with status: {response.status}"
                )
        self.note_plain(endpoint)
        return identity

    async def search(
        self, domain: str, term: str, *, limit: int, credentials: Credentials = ANONYMOUS
    ) -> list[SearchResult]:
        """Ask the v1 index of a registry. Raises: Unauthorized, System."""
        failure: MoorageError | None = None
        for endpoint in await self._endpoints(domain, ""):
            if endpoint.is_mirror:
                continue
            try:
                found = await self._search(endpoint, term, limit, credentials)
            except failures.Unreachable as error:
                failure = error
                continue
            self.note_plain(endpoint)
            return found
        raise failure or System(f"no way to registry {domain}")

    async def _search(
        self, endpoint: Endpoint, term: str, limit: int, credentials: Credentials
    ) -> list[SearchResult]:
        base = endpoint.api.removesuffix("/v2")
        if endpoint.domain == references.DEFAULT_DOMAIN:
            base = _HUB_INDEX
        headers = {"Authorization": credentials.basic()} if credentials.username else {}
        url = f"{base}/v1/search?{urlencode({'q': term, 'n': limit})}"
        request = transport.Outgoing(method="GET", url=url, headers=headers)
        async with await self.transport.send(request, endpoint) as response:
            body = await self.transport.read(response, _SEARCH_LIMIT)
            if response.status == 401:
                raise Unauthorized(f"search at {endpoint.host} needs a login")
            if response.status != 200:
                raise System(f"Unexpected status code {response.status} from search at {base}")
        if len(body) > _SEARCH_LIMIT:
            raise System(f"search at {endpoint.host} gave more than {_SEARCH_LIMIT} bytes")
        try:
            return msgspec.json.decode(body, type=_SearchResponse).results
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataLoss(f"search at {endpoint.host} gave no result list: {error}") from error

"""Commands that speak to a registry themselves, with no daemon in between."""

from __future__ import annotations

import asyncio

from moorage.cli import authorising
from moorage.registry.credentials import Credentials
from moorage.registry.failures import of_pull, of_push
from moorage.registry.proxies import Proxies
from moorage.registry.registries import Registries
from moorage.registry.settings import RegistrySettings
from moorage.registry.ways import first_answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from moorage.cli.session import Session
    from moorage.registry.repository import Repository
    from moorage.spec.reference import Reference

    T = TypeVar("T")


def ask(
    session: Session,
    reference: Reference,
    work: Callable[[Repository], Awaitable[T]],
    *,
    insecure: bool,
    push: bool = False,
) -> T:
    """Do *work* on the repository of *reference*, with the credentials that are stored for it.

    Raises: MoorageError.
    """
    stored = authorising.credentials(session, str(reference))
    credentials = Credentials(
        username=str(stored.get("username", "")),
        password=str(stored.get("password", "")),
        identity_token=str(stored.get("identitytoken", "")),
        server_address=str(stored.get("serveraddress", "")),
    )
    settings = RegistrySettings(
        proxies=Proxies.from_environment(session.environ),
        insecure_hosts=frozenset({reference.domain}) if insecure else frozenset(),
    )

    async def answer() -> T:
        registries = Registries(lambda: settings, user_agent="moor")
        try:
            ways = await registries.repositories(reference, credentials, push=push)
            translate = of_push if push else of_pull
            _, answer = await first_answer(registries, ways, work, translate)
        finally:
            await registries.close()
        return answer

    return asyncio.run(answer())

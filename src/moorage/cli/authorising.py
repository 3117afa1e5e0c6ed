"""The credentials of a registry, for requests that can do without."""

from __future__ import annotations

from moorage.client.credentials import Credentials, header, registry_of
from moorage.lib.errors import MoorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json


def auth_header(session: Session, repository: str) -> dict[str, str]:
    """Return the header with what is stored for the registry of *repository*."""
    return header(credentials(session, repository))


def credentials(session: Session, repository: str) -> Json:
    """Return what is stored for the registry of *repository*, empty if nothing is.

    Many images need no credentials: a helper that is not installed or fails is warned of.
    """
    try:
        return Credentials(session.config).find(registry_of(repository))
    except MoorageError as e:
        _warn(session, e)
        return {}


def everything(session: Session) -> dict[str, Json]:
    """Return what is stored for all registries, without those whose helper fails."""
    stored = Credentials(session.config)
    found: dict[str, Json] = {}
    try:
        for server in stored.servers():
            if auth := stored.find(server):
                found[server] = auth
    except MoorageError as e:
        _warn(session, e)
    return found


def _warn(session: Session, error: MoorageError) -> None:
    session.err.line(f"WARNING: going on without stored credentials: {error}")

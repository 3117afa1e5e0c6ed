"""Routes of the ``System`` tag."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field, structs

from moorage.api import versions
from moorage.api.request import Request
from moorage.api.results import JsonStream, Raw
from moorage.api.routing import route
from moorage.api.streams import event_type
from moorage.engine.usage import DataUsage
from moorage.events.matching import condition
from moorage.lib import timestamps
from moorage.lib.errors import InvalidParameter
from moorage.registry.credentials import Credentials
from moorage.spec.engine.events import EventMessage
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.system import AuthResponse, SystemInfo, SystemVersion

if TYPE_CHECKING:
    from moorage.engine.system import System
    from moorage.events.bus import Bus
    from moorage.images.check import Findings
    from moorage.images.service import Images
    from moorage.registry.registries import Registries

_SHOWN: Final = 40  # characters of what is refused
_TEXT: Final = "text/plain; charset=utf-8"
_PING_FIELDS: Final = {
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}
_PING: Final = Raw(b"OK", _TEXT, headers=_PING_FIELDS, constant=True)
_PING_HEAD: Final = Raw(b"", _TEXT, headers=_PING_FIELDS, constant=True)


class EventsQuery(Struct, frozen=True):
    """Parameters of ``SystemEvents``."""

    since: str = ""
    until: str = ""
    filters: Filters = field(default_factory=Filters)


@route("POST", "/auth", "SystemAuth")
async def system_auth(registries: Registries, body: Credentials) -> AuthResponse:
    """200; 401 the registry refuses the credentials."""
    token = await registries.login(body)
    return AuthResponse(status="Login Succeeded", identity_token=token)


@route("GET", "/info", "SystemInfo")
async def system_info(system: System) -> SystemInfo:
    """200."""
    return await system.info()


@route("GET", "/version", "SystemVersion")
def system_version(system: System, request: Request) -> SystemVersion:
    """200."""
    found = system.version()
    newest = versions.offered(request.headers.get("user-agent", ""), found.api_version)
    return structs.replace(found, api_version=newest)


@route("GET", "/_ping", "SystemPing")
def system_ping() -> Raw:
    """200, and headers that say what this daemon speaks."""
    return _PING


@route("HEAD", "/_ping", "SystemPingHead")
def system_ping_head() -> Raw:
    """200, and the headers alone."""
    return _PING_HEAD


@route("GET", "/events", "SystemEvents")
def system_events(events: Bus, query: EventsQuery, request: Request) -> JsonStream:
    """200 and one event a line; 400 bad time."""
    since_ns = timestamp_ns("since", query.since)
    until_ns = timestamp_ns("until", query.until)
    if since_ns is not None and until_ns is not None and until_ns < since_ns:
        raise InvalidParameter(
            f"`since` time ({query.since}) cannot be after `until` time ({query.until})"
        )
    found: AsyncIterator[EventMessage] = events.subscribe(
        condition(query.filters), since_ns=since_ns, until_ns=until_ns
    )
    wanted = event_type(request.headers.get("accept", ""), request.version)
    return JsonStream(found, content_type=wanted, eager=True)


class DataUsageQuery(Struct, frozen=True):
    """Parameters of ``SystemDataUsage``."""

    type: list[str] = field(default_factory=list)
    verbose: bool = False


@route("GET", "/system/df", "SystemDataUsage")
async def system_data_usage(system: System, query: DataUsageQuery) -> DataUsage:
    """200; 400 unknown type."""
    return await system.data_usage(query.type, verbose=query.verbose)


class CheckQuery(Struct, frozen=True):
    """Parameters of ``SystemCheck``."""

    repair: bool = False


@route("POST", "/system/check", "SystemCheck")
async def system_check(images: Images, query: CheckQuery) -> Findings:
    """200 with what was found; 409 a check is under way."""
    return await images.check(repair=query.repair)


def timestamp_ns(name: str, text: str) -> int | None:
    """Read a time as ``lib.timestamps`` does; empty is None.

    Raises: InvalidParameter.
    """
    if not text:
        return None
    try:
        return timestamps.parse(text)
    except ValueError as error:
        shown = text[:_SHOWN]
        raise InvalidParameter(f'invalid value for "{name}": {shown!r} is no time') from error

"""Swarm, nodes, services, tasks, secrets, configs: answered as a dockerd that is in no swarm."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from msgspec import Struct

from moorage.api.operations import OPERATIONS
from moorage.api.routing import route
from moorage.lib.errors import InvalidParameter, NotImplemented_, Unavailable
from moorage.spec.engine.swarm import SwarmJoinRequest

NOT_A_MANAGER: Final = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect'
    " this node to swarm and try again."
)

_NOUNS: Final = ("nodes", "swarm", "services", "tasks", "secrets", "configs")
_ANSWERED_HERE: Final = ("SwarmInit", "SwarmJoin", "SwarmLeave")
MANAGER_OPERATIONS: Final = tuple(
    entry
    for entry in OPERATIONS
    if entry[1].split("/")[1] in _NOUNS and entry[2] not in _ANSWERED_HERE
)


_UNSIGNED: Final = 1 << 64
_VERSIONED: Final = {
    "SwarmUpdate": "invalid swarm version '{0}': strconv.ParseUint: parsing \"{0}\": {1}",
    "NodeUpdate": "invalid node version '{0}': strconv.ParseUint: parsing \"{0}\": {1}",
    "ServiceUpdate": "invalid service version '{0}': strconv.ParseUint: parsing \"{0}\": {1}",
    "SecretUpdate": "invalid secret version",
    "ConfigUpdate": "invalid config version",
}
"""What is said of an update that does not say which version it is of: that is looked at first."""
_STREAMED: Final = ("ServiceLogs", "TaskLogs")


class VersionQuery(Struct, frozen=True):
    """Parameters of every update."""

    version: str = ""


class StreamsQuery(Struct, frozen=True):
    """Parameters of the logs of services and tasks that are looked at first."""

    stdout: bool = False
    stderr: bool = False


@route("POST", "/swarm/init", "SwarmInit")
def swarm_init() -> NoReturn:
    """501."""
    raise NotImplemented_("this daemon cannot form a swarm", hint="services are not built yet")


@route("POST", "/swarm/join", "SwarmJoin")
def swarm_join(body: SwarmJoinRequest) -> NoReturn:
    """400: incomplete; 501: complete, but a swarm of ours there is not."""
    if not body.listen_addr:
        raise InvalidParameter('invalid ListenAddr "": invalid empty address')
    if not body.remote_addrs:
        raise InvalidParameter("at least 1 RemoteAddr is required to join")
    raise NotImplemented_("this daemon cannot join a swarm", hint="services are not built yet")


@route("POST", "/swarm/leave", "SwarmLeave")
def swarm_leave() -> NoReturn:
    """503."""
    raise Unavailable("This node is not part of a swarm")


def _needs_manager(**_parameters: str) -> NoReturn:
    """503."""
    raise Unavailable(NOT_A_MANAGER)


def _updating(sentence: str) -> Any:
    def update(query: VersionQuery, **_parameters: str) -> NoReturn:
        """400 no version; 503."""
        number = query.version
        if not (number.isascii() and number.isdecimal()):
            raise InvalidParameter(sentence.format(number, "invalid syntax"))
        if int(number) >= _UNSIGNED:
            raise InvalidParameter(sentence.format(number, "value out of range"))
        raise Unavailable(NOT_A_MANAGER)

    return update


def _reading_logs(query: StreamsQuery, **_parameters: str) -> NoReturn:
    """400 no stream; 503."""
    if not (query.stdout or query.stderr):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    raise Unavailable(NOT_A_MANAGER)


def _handler(operation: str) -> Any:
    if operation in _VERSIONED:
        return _updating(_VERSIONED[operation])
    return _reading_logs if operation in _STREAMED else _needs_manager


for _method, _path, _operation in MANAGER_OPERATIONS:
    route(_method, _path, _operation)(_handler(_operation))

"""Swarm, nodes, services, tasks, secrets, configs: answered as a dockerd that is in no swarm."""

from __future__ import annotations

from typing import Final, NoReturn

from moorage.api.operations import OPERATIONS
from moorage.api.routing import route
from moorage.lib.errors import NotImplemented_, Unavailable

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


@route("POST", "/swarm/init", "SwarmInit")
def swarm_init() -> NoReturn:
    """501."""
    raise NotImplemented_("this daemon cannot form a swarm", hint="services are not built yet")


@route("POST", "/swarm/join", "SwarmJoin")
def swarm_join() -> NoReturn:
    """501."""
    raise NotImplemented_("this daemon cannot join a swarm", hint="services are not built yet")


@route("POST", "/swarm/leave", "SwarmLeave")
def swarm_leave() -> NoReturn:
    """503."""
    raise Unavailable("This node is not part of a swarm")


def _needs_manager(**_parameters: str) -> NoReturn:
    """503."""
    raise Unavailable(NOT_A_MANAGER)


for _method, _path, _operation in MANAGER_OPERATIONS:
    route(_method, _path, _operation)(_needs_manager)

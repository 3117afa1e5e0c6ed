"""Swarm, nodes, services, tasks, secrets, configs: answered as a dockerd that is in no swarm."""

from __future__ import annotations

from typing import Final, NoReturn

from moorage.api.routing import route
from moorage.lib.errors import NotImplemented_, Unavailable

NOT_A_MANAGER: Final = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect'
    " this node to swarm and try again."
)

# In the order of the document: (method, path, operationId).
MANAGER_OPERATIONS: Final = (
    ("GET", "/nodes", "NodeList"),
    ("GET", "/nodes/{id}", "NodeInspect"),
    ("DELETE", "/nodes/{id}", "NodeDelete"),
    ("POST", "/nodes/{id}/update", "NodeUpdate"),
    ("GET", "/swarm", "SwarmInspect"),
    ("POST", "/swarm/update", "SwarmUpdate"),
    ("GET", "/swarm/unlockkey", "SwarmUnlockkey"),
    ("POST", "/swarm/unlock", "SwarmUnlock"),
    ("GET", "/services", "ServiceList"),
    ("POST", "/services/create", "ServiceCreate"),
    ("GET", "/services/{id}", "ServiceInspect"),
    ("DELETE", "/services/{id}", "ServiceDelete"),
    ("POST", "/services/{id}/update", "ServiceUpdate"),
    ("GET", "/services/{id}/logs", "ServiceLogs"),
    ("GET", "/tasks", "TaskList"),
    ("GET", "/tasks/{id}", "TaskInspect"),
    ("GET", "/tasks/{id}/logs", "TaskLogs"),
    ("GET", "/secrets", "SecretList"),
    ("POST", "/secrets/create", "SecretCreate"),
    ("GET", "/secrets/{id}", "SecretInspect"),
    ("DELETE", "/secrets/{id}", "SecretDelete"),
    ("POST", "/secrets/{id}/update", "SecretUpdate"),
    ("GET", "/configs", "ConfigList"),
    ("POST", "/configs/create", "ConfigCreate"),
    ("GET", "/configs/{id}", "ConfigInspect"),
    ("DELETE", "/configs/{id}", "ConfigDelete"),
    ("POST", "/configs/{id}/update", "ConfigUpdate"),
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

"""In which order containers start after a boot: those that others depend on first (pure).

The dependencies are those that compose writes on the containers it makes:
``com.docker.compose.depends_on=db:service_healthy:false,cache:service_started:true``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from moorage.containers.container import Container

_PROJECT: Final = "com.docker.compose.project"
_SERVICE: Final = "com.docker.compose.service"
_DEPENDS_ON: Final = "com.docker.compose.depends_on"

Service = tuple[str, str]  # project and service


def by_dependency(containers: Iterable[Container]) -> list[Container]:
    """Return *containers*, each behind those it depends on, else in the order they were made.

    A circle is cut where it is met.
    """
    oldest = sorted(containers, key=lambda c: c.record.created_ns)
    by_service: dict[Service, list[Container]] = {}
    for container in oldest:
        by_service.setdefault(_service(container), []).append(container)
    ordered: dict[str, Container] = {}
    seen: set[str] = set()

    def visit(container: Container) -> None:
        if container.id in seen:
            return
        seen.add(container.id)
        for service in _needs(container):
            for other in by_service.get(service, ()):
                visit(other)
        ordered[container.id] = container

    for container in oldest:
        visit(container)
    return list(ordered.values())


def _service(container: Container) -> Service:
    labels = container.record.config.labels or {}
    return labels.get(_PROJECT, ""), labels.get(_SERVICE, "")


def _needs(container: Container) -> list[Service]:
    labels = container.record.config.labels or {}
    entries = filter(None, labels.get(_DEPENDS_ON, "").split(","))
    return [(labels.get(_PROJECT, ""), entry.partition(":")[0]) for entry in entries]

"""The metrics endpoint (``--metrics-addr``): Prometheus text, with dockerd's names."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Final

from moorage.api.results import Raw
from moorage.api.routing import Route

if TYPE_CHECKING:
    from moorage.engine.system import System

_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ACTIONS: Final = {
    "ContainerCreate": "create",
    "ContainerStart": "start",
    "ContainerDelete": "delete",
    "ContainerChanges": "changes",
    "ImageCommit": "commit",
}


class Histogram:
    """Counts of durations, cumulated when they are shown."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BUCKETS_S) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect.bisect_left(_BUCKETS_S, seconds)] += 1
        self._sum_s += seconds

    def lines(self, name: str, label: str) -> list[str]:
        """Return the samples."""
        total, lines = 0, []
        for bound, count in zip((*_BUCKETS_S, "+Inf"), self._counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{label},le="{bound}"}} {total}')
        lines.append(f"{name}_sum{{{label}}} {self._sum_s:.6f}")
        lines.append(f"{name}_count{{{label}}} {total}")
        return lines


class Metrics:
    """What is counted while requests are served."""

    def __init__(self) -> None:
        self._actions = {action: Histogram() for action in _ACTIONS.values()}
        self._requests: dict[tuple[str, int], int] = {}
        self._events = 0

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (operation, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if operation in _ACTIONS:
            self._actions[_ACTIONS[operation]].add(seconds)

    def count_event(self, _event: object) -> None:
        """Count one event of the bus."""
        self._events += 1

    def lines(self) -> list[str]:
        """Return all samples."""
        name = "engine_daemon_container_actions_seconds"
        lines = [f"# TYPE {name} histogram"]
        for action, histogram in self._actions.items():
            lines += histogram.lines(name, f'action="{action}"')
        lines.append("# TYPE engine_daemon_events_total counter")
        lines.append(f"engine_daemon_events_total {self._events}")
        lines.append("# TYPE moorage_api_requests_total counter")
        for (operation, status), count in sorted(self._requests.items()):
            labels = f'operation="{operation}",status="{status}"'
            lines.append(f"moorage_api_requests_total{{{labels}}} {count}")
        return lines


def routes(counted: Metrics) -> list[Route]:
    """Return the one route of the endpoint."""

    def metrics(system: System) -> Raw:
        lines = [*system.metrics(), *counted.lines(), ""]
        return Raw("\n".join(lines).encode(), "text/plain; version=0.0.4; charset=utf-8")

    return [Route("GET", "/metrics", "Metrics", metrics)]

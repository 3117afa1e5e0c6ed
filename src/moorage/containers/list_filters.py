"""The filters of ``ps``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from moorage.containers import inspect
from moorage.containers.container import Container
from moorage.containers.parts import Parts
from moorage.containers.state import State
from moorage.containers.validate_config import parse_port
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.spec.engine.filters import Filters

if TYPE_CHECKING:
    from moorage.images.image import Image

_KNOWN: Final = (
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label",
    "name", "network", "publish", "since", "status", "volume",
)  # fmt: skip
_HEALTHS: Final = frozenset({"starting", "healthy", "unhealthy", "none"})
_STATUSES: Final = frozenset(str(state) for state in State)
_MAX_PORT: Final = 65535


class Selection:
    """The filters of one request, checked and looked up once.

    Raises: InvalidParameter, NotFound (a container that is referred to).
    """

    def __init__(self, parts: Parts, filters: Filters) -> None:
        filters.require_known(_KNOWN)
        self._parts = parts
        self._filters = filters
        _require(filters, "status", _STATUSES)
        for value in filters.get("health"):
            if value not in _HEALTHS:
                raise InvalidParameter(f"unrecognized filter value for health: {value}")
        self.shows_all = "status" in filters
        self._exit_codes = _exit_codes(filters)
        self._before_ns = self._created(filters.get("before"))
        self._since_ns = self._created(filters.get("since"))
        self._ancestors = self._find_ancestors(filters.get("ancestor"))
        self._publish = _ports(filters.get("publish"))
        self._expose = _ports(filters.get("expose"))
        self._names = _patterns(filters.get("name"))
        self._ids = _patterns(filters.get("id"))

    def _created(self, references: list[str]) -> int | None:
        times = [self._parts.store.get(r).record.created_ns for r in references]
        return times[-1] if times else None

    def _find_ancestors(self, references: list[str]) -> list[Image]:
        found = []
        for reference in references:
            try:
                found.append(self._parts.images.resolve(reference))
            except (NotFound, InvalidParameter):
                continue  # no container can come from it
        return found

    def takes(self, container: Container) -> bool:
        """Whether *container* passes all filters."""
        filters, record = self._filters, container.record
        checks: tuple[tuple[str, Callable[[Container], bool]], ...] = (
            ("name", self._has_name),
            ("id", lambda c: _any_match(self._ids, (c.id,))),
            ("status", lambda c: str(c.state) in filters.get("status")),
            ("exited", self._has_exited),
            ("health", self._has_health),
            ("ancestor", self._has_ancestor),
            ("volume", self._has_volume),
            ("network", self._has_network),
            ("publish", self._publishes),
            ("expose", self._exposes),
            ("is-task", lambda _: not filters.flag("is-task")),
        )
        if not filters.labels(record.config.labels):
            return False
        if self._before_ns is not None and record.created_ns >= self._before_ns:
            return False
        if self._since_ns is not None and record.created_ns <= self._since_ns:
            return False
        return all(check(container) for name, check in checks if name in filters)

    def _has_name(self, container: Container) -> bool:
        own = (container.name, f"/{container.name}", *container.record.names_in_links)
        return _any_match(self._names, own)

    def _has_exited(self, container: Container) -> bool:
        record = container.record
        ended = not container.active and bool(record.started_ns)
        return ended and record.exit_code in self._exit_codes

    def _has_health(self, container: Container) -> bool:
        status = container.health.current.status if container.health else "none"
        return status in self._filters.get("health")

    def _has_ancestor(self, container: Container) -> bool:
        record = container.record
        if record.config.image in self._filters.get("ancestor"):
            return True
        own = self._parts.images.find(record.image_id)
        return own is not None and any(
            image.id == own.id or _is_below(image, own) for image in self._ancestors
        )

    def _has_volume(self, container: Container) -> bool:
        wanted = set(self._filters.get("volume"))
        return any(
            wanted & {mount.name, mount.source, mount.destination} - {""}
            for mount in container.record.mounts
        )

    def _has_network(self, container: Container) -> bool:
        live = self._parts.networks.settings(container.id).networks
        networks = {**inspect.configured_networks(container.record), **live}
        ids = {settings.network_id for settings in networks.values()}
        return any(
            wanted in networks or (wanted and any(i.startswith(wanted) for i in ids))
            for wanted in self._filters.get("network")
        )

    def _publishes(self, container: Container) -> bool:
        published = self._parts.networks.settings(container.id).ports
        public = {
            (int(binding.host_port), parse_port(spec)[1])
            for spec, bindings in published.items()
            for binding in bindings or []
            if binding.host_port
        }
        private = {parse_port(spec) for spec, bindings in published.items() if bindings}
        return bool(self._publish & (public | private))

    def _exposes(self, container: Container) -> bool:
        exposed = container.record.config.exposed_ports or {}
        return bool(self._expose & {parse_port(spec) for spec in exposed})


def _is_below(ancestor: Image, image: Image) -> bool:
    """Whether *image* was made upon *ancestor*: its layers begin with the other's."""
    first, own = ancestor.diff_ids, image.diff_ids
    return bool(first) and own[: len(first)] == first


def _require(filters: Filters, name: str, known: Iterable[str]) -> None:
    for value in filters.get(name):
        if value not in known:
            raise InvalidParameter(f"invalid filter '{name}={value}'")


def _exit_codes(filters: Filters) -> set[int]:
    codes = set()
    for value in filters.get("exited"):
        try:
            codes.add(int(value))
        except ValueError as error:
            reason = f'strconv.Atoi: parsing "{value}": invalid syntax'
            raise InvalidParameter(f"invalid filter 'exited={value}': {reason}") from error
    return codes


def _ports(values: list[str]) -> set[tuple[int, str]]:
    """Return the numbers of ``80``, ``80/udp`` and ``80-90/tcp``."""
    found: set[tuple[int, str]] = set()
    for value in values:
        numbers, _, protocol = value.partition("/")
        first, _, last = numbers.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise InvalidParameter(f'invalid port specification: "{value}"')
        low, high = int(first), int(last or first)
        if not 0 < low <= high <= _MAX_PORT:
            raise InvalidParameter(f'invalid port specification: "{value}"')
        found |= {(number, protocol.lower() or "tcp") for number in range(low, high + 1)}
    return found


def _patterns(values: list[str]) -> list[re.Pattern[str]]:
    patterns = []
    for value in values:
        try:
            patterns.append(re.compile(value))
        except re.error:
            patterns.append(re.compile(re.escape(value)))
    return patterns


def _any_match(patterns: list[re.Pattern[str]], texts: Iterable[str]) -> bool:
    return any(pattern.search(text) for pattern in patterns for text in texts)

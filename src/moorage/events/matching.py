"""Filters of ``GET /events``, with dockerd's ways of matching each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from moorage.spec.engine.events import EventMessage
from moorage.spec.engine.filters import Filters

_ACTORS: Final = (
    "config",
    "container",
    "daemon",
    "network",
    "node",
    "plugin",
    "secret",
    "service",
    "volume",
)


def condition(filters: Filters) -> Callable[[EventMessage], bool] | None:
    """Return the test that *filters* describe; None if they let everything through.

    A filter that is not known lets everything through, as with dockerd.
    """
    if not filters:
        return None
    return lambda event: _matches(event, filters)


def _matches(event: EventMessage, filters: Filters) -> bool:
    attributes = (event.actor.attributes if event.actor else None) or {}
    return (
        _action_matches(event.action, filters)
        and filters.exact("type", event.type)
        and filters.exact("scope", event.scope)
        and filters.labels(attributes)
        and all(_actor_matches(event, kind, filters) for kind in _ACTORS if kind in filters)
        and ("image" not in filters or _image_matches(event, filters))
    )


def _action_matches(action: str, filters: Filters) -> bool:
    """``exec_create: sh`` and ``health_status: healthy`` match by the part before the colon too."""
    return filters.exact("event", action) or filters.exact("event", action.partition(":")[0])


def _actor_matches(event: EventMessage, kind: str, filters: Filters) -> bool:
    if event.type != kind or event.actor is None:
        return False
    name = (event.actor.attributes or {}).get("name", "")
    return filters.prefix(kind, event.actor.id) or filters.prefix(kind, name)


def _image_matches(event: EventMessage, filters: Filters) -> bool:
    if event.actor is None:
        return False
    attribute = "name" if event.type == "image" else "image"
    name = (event.actor.attributes or {}).get(attribute, "")
    candidates = {event.actor.id, name, _without_tag(event.actor.id), _without_tag(name)} - {""}
    return any(value in candidates for value in filters.get("image"))


def _without_tag(reference: str) -> str:
    head, colon, tag = reference.rpartition(":")
    return head if colon and "/" not in tag else reference

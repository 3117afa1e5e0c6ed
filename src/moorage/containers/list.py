"""``ps``: all containers, filtered; from frozen records, so that no container can hold it up."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, structs

from moorage.containers import inspect
from moorage.containers.container import Container
from moorage.containers.list_filters import Selection
from moorage.containers.parts import Parts
from moorage.containers.record import ContainerRecord
from moorage.containers.state import State
from moorage.lib import clock, units
from moorage.spec.engine.container import (
    ContainerSummary,
    ContainerSummaryHealth,
    ContainerSummaryHostConfig,
    ContainerSummaryNetworkSettings,
    PortSummary,
)
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.health import Health
from moorage.spec.engine.hostconfig import PortBinding

_NO_HEALTH: Final = ContainerSummaryHealth(status="none")
_TIMELESS: Final = {
    State.CREATED: "Created",
    State.EXITED: "Created",  # it has never run
    State.REMOVING: "Removal In Progress",
    State.DEAD: "Dead",
}


async def list_all(
    parts: Parts, filters: Filters, *, every: bool, limit: int, size: bool
) -> list[ContainerSummary]:
    """Return the containers, newest first.

    *every* shows those that do not run too, as do *limit* > 0 and a filter on the status.
    Raises: InvalidParameter (filters), NotFound (``before``, ``since``).
    """
    selection = Selection(parts, filters)
    shown_all = every or limit > 0 or selection.shows_all
    newest = sorted(parts.store.all(), key=lambda c: c.record.created_ns, reverse=True)
    chosen = [c for c in newest if (shown_all or c.active) and selection.takes(c)]
    if limit > 0:
        chosen = chosen[:limit]
    now_ns = clock.now_ns()
    summaries = [_summary(parts, c, now_ns) for c in chosen]
    if not size:
        return summaries
    return [await _with_size(parts, c, s) for c, s in zip(chosen, summaries, strict=True)]


async def _with_size(
    parts: Parts, container: Container, summary: ContainerSummary
) -> ContainerSummary:
    written, root = await inspect.sizes(parts, container)
    return structs.replace(summary, size_rw=written, size_root_fs=root)


def _summary(parts: Parts, container: Container, now_ns: int) -> ContainerSummary:
    record = container.record
    health = container.health.current if container.health else None
    live = parts.networks.settings(record.id)
    return ContainerSummary(
        id=record.id,
        names=[f"/{record.name}", *record.names_in_links],
        image=_image_name(parts, record),
        image_id=record.image_id,
        command=command_line(record),
        created=record.created_ns // 1_000_000_000,
        ports=ports(live.ports),
        labels=record.config.labels or {},
        state=str(record.state),
        status=status(record, health, now_ns),
        host_config=ContainerSummaryHostConfig(
            network_mode=record.host_config.network_mode,
            annotations=record.host_config.annotations or UNSET,
        ),
        network_settings=ContainerSummaryNetworkSettings(
            networks=inspect.networks_shown(parts, record, live.networks)
        ),
        mounts=[inspect.mount_point(parts, m) for m in record.mounts],
        health=_health(health),
    )


def _health(health: Health | None) -> ContainerSummaryHealth:
    if health is None:
        return _NO_HEALTH
    return ContainerSummaryHealth(status=health.status, failing_streak=health.failing_streak)


def _image_name(parts: Parts, record: ContainerRecord) -> str:
    """Return the name it was made from, or the id if that name is another image's now."""
    name = record.config.image
    if not name or name == record.image_id:
        return name
    return name if parts.images.names(name, record.image_id) else record.image_id


def command_line(record: ContainerRecord) -> str:
    """Return program and arguments in one line, quoted as Docker does (pure)."""
    words = [f"'{word}'" if " " in word else word for word in record.args]
    return " ".join([record.path, *words])


def ports(published: dict[str, list[PortBinding] | None]) -> list[PortSummary]:
    """Return exposed and published ports (pure)."""
    shown: list[PortSummary] = []
    for spec, bindings in published.items():
        number, _, protocol = spec.partition("/")
        if not bindings:
            shown.append(PortSummary(private_port=int(number), type=protocol or "tcp"))
        shown += [
            PortSummary(
                ip=binding.host_ip,
                private_port=int(number),
                public_port=int(binding.host_port or 0),
                type=protocol or "tcp",
            )
            for binding in bindings or []
        ]
    return shown


def status(record: ContainerRecord, health: Health | None, now_ns: int) -> str:
    """Return the sentence of the STATUS column (pure)."""
    state = record.state
    if state in {State.RUNNING, State.PAUSED}:
        up = f"Up {units.human_duration((now_ns - record.started_ns) / 1e9)}"
        note = "Paused" if state is State.PAUSED else _note(health)
        return f"{up} ({note})" if note else up
    if state is State.RESTARTING or (state is State.EXITED and record.started_ns):
        word = "Restarting" if state is State.RESTARTING else "Exited"
        ago = units.human_duration((now_ns - record.finished_ns) / 1e9)
        return f"{word} ({record.exit_code}) {ago} ago"
    return _TIMELESS[state]


def _note(health: Health | None) -> str:
    if health is None:
        return ""
    return "health: starting" if health.status == "starting" else health.status

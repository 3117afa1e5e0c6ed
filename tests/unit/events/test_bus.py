"""The event bus: replay, time limits, filters, slow readers."""

from __future__ import annotations

import asyncio
import threading

import pytest

from moorage.events import bus as bus_module
from moorage.events.bus import Bus
from moorage.events.matching import condition
from moorage.lib import clock
from moorage.spec.engine.events import EventActor, EventMessage
from moorage.spec.engine.filters import Filters


async def test_since_replays_and_until_ends() -> None:
    bus = Bus()
    bus.publish("container", "create", "a")
    middle = clock.now_ns()
    bus.publish("container", "start", "a", {"name": "x"})
    until = clock.now_ns()
    seen = [event.action async for event in bus.subscribe(since_ns=middle, until_ns=until)]
    assert seen == ["start"]
    assert [e.action async for e in bus.subscribe(until_ns=until)] == ["create", "start"]
    assert bus.subscriber_count == 0


async def test_new_events_come_until_the_time_is_over() -> None:
    bus = Bus()
    bus.publish("container", "old", "a")
    asyncio.get_running_loop().call_soon(bus.publish, "container", "new", "a")  # it has begun then
    until = clock.now_ns() + 100_000_000
    assert [event.action async for event in bus.subscribe(until_ns=until)] == ["new"]


async def test_a_clock_set_back_does_not_put_off_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus()
    real = clock.now_ns
    until = real() + 100_000_000

    def set_back() -> None:
        monkeypatch.setattr(clock, "now_ns", lambda: real() - 365 * 86400 * 10**9)
        bus.publish("container", "new", "a")

    asyncio.get_running_loop().call_later(0.01, set_back)
    async with asyncio.timeout(20):
        assert [event.action async for event in bus.subscribe(until_ns=until)] == ["new"]


async def test_publish_from_another_thread_arrives() -> None:
    bus = Bus()
    events = bus.subscribe()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    threading.Thread(target=bus.publish, args=("image", "pull", "i")).start()
    assert (await first).action == "pull"
    await events.aclose()  # type: ignore[attr-defined]


async def test_a_slow_reader_loses_its_oldest_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "BACKLOG_LIMIT", 3)
    bus = Bus()
    events = bus.subscribe()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    for number in range(6):
        bus.publish("container", str(number), "a")
    seen = [(await first).action] + [(await anext(events)).action for _ in range(2)]
    assert seen == ["3", "4", "5"]


def event(kind: str, action: str, actor: str, **attributes: str) -> EventMessage:
    return EventMessage(type=kind, action=action, actor=EventActor(id=actor, attributes=attributes))


EXEC = event("container", "exec_create: sh", "abcdef", name="web", image="nginx:1", tier="a")


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        ({"type": ["container"]}, True),
        ({"type": ["image"]}, False),
        ({"type": ["image", "container"]}, True),
        ({"event": ["exec_create"]}, True),
        ({"event": ["exec_create: sh"]}, True),
        ({"event": ["exec_start"]}, False),
        ({"container": ["abc"]}, True),
        ({"container": ["web"]}, True),
        ({"container": ["db"]}, False),
        ({"network": ["abc"]}, False),
        ({"image": ["nginx"]}, True),
        ({"image": ["nginx:1"]}, True),
        ({"image": ["ngin"]}, False),
        ({"label": ["tier=a"]}, True),
        ({"label": ["tier=b"]}, False),
        ({"event": ["exec_create"], "container": ["db"]}, False),
    ],
)
def test_filters(filters: dict[str, list[str]], matches: bool) -> None:  # noqa: FBT001
    test = condition(Filters(filters))
    assert test is not None
    assert test(EXEC) is matches


def test_an_unknown_filter_lets_all_through() -> None:
    test = condition(Filters({"colour": ["red"]}))
    assert test is not None
    assert test(EXEC)

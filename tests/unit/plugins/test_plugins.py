"""Plugins of the v1 protocol: found, activated, called; those that hang or lie do no harm."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from moorage.lib.errors import (
    DeadlineExceeded,
    InvalidParameter,
    NotFound,
    NotImplemented_,
    System,
    Unavailable,
)
from moorage.plugins import registry as registry_module
from moorage.plugins.discovery import Discovery
from moorage.plugins.protocol import Nothing, PluginRefusal
from moorage.plugins.registry import Plugins
from support.fakeplugin import FakePlugin, PluginError


class Said(Struct, rename="pascal"):
    text: str = ""


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


def say(_: dict[str, Any]) -> dict[str, Any]:
    return {"Text": "hello"}


@pytest.fixture
def plugin(sockets: Path) -> Iterator[FakePlugin]:
    with FakePlugin(sockets / "demo.sock", ["Demo"], {"Demo.Say": say}) as plugin:
        yield plugin


Body = Callable[[Plugins], Coroutine[None, None, None]]


@pytest.fixture
def run(sockets: Path, specs: Path) -> Callable[[Body], None]:
    def run(body: Body) -> None:
        async def work() -> None:
            plugins = Plugins(Discovery((sockets,), (specs,)), user_agent="test")
            try:
                await body(plugins)
            finally:
                await plugins.close()

        asyncio.run(work())

    return run


Run = Callable[[Body], None]


def test_a_plugin_is_activated_once_and_called(run: Run, plugin: FakePlugin) -> None:
    async def body(plugins: Plugins) -> None:
        for _ in range(2):
            client = await plugins.get("demo", "Demo")
            assert (await client.call("Demo.Say", Nothing(), Said)).text == "hello"
        assert [c.name for c in (await plugins.all("Demo"))[0]] == ["demo"]
        assert (await plugins.all("VolumeDriver"))[0] == []

    run(body)
    assert len(plugin.called("Plugin.Activate")) == 1


def test_plugins_that_are_not_there_or_do_something_else(run: Run, plugin: FakePlugin) -> None:
    async def body(plugins: Plugins) -> None:
        for name in ("other", "../demo", "", "a/b"):
            with pytest.raises(NotFound, match=f'plugin "{name}" not found'):
                await plugins.get(name, "Demo")
        with pytest.raises(NotFound, match="does not implement VolumeDriver"):
            await plugins.get("demo", "VolumeDriver")

    run(body)
    assert plugin.called("Demo.Say") == []


def test_specification_files(run: Run, plugin: FakePlugin, specs: Path, sockets: Path) -> None:
    (specs / "line.spec").write_text(f"unix://{sockets}/demo.sock\n")
    (specs / "doc.json").write_text(
        json.dumps({"Name": "doc", "Addr": f"unix://{sockets}/demo.sock", "TLSConfig": None})
    )
    (specs / "bad.spec").write_text("gopher://x")

    async def body(plugins: Plugins) -> None:
        for name in ("line", "doc"):
            client = await plugins.get(name, "Demo")
            assert (await client.call("Demo.Say", Nothing(), Said)).text == "hello"
        with pytest.raises(InvalidParameter, match="is no address of a plugin"):
            await plugins.get("bad", "Demo")
        found, warnings = await plugins.all("Demo")
        assert sorted(c.name for c in found) == ["demo", "doc", "line"]
        assert len(warnings) == 1

    run(body)
    assert plugin.calls


def test_refusals_and_methods_that_do_not_exist(run: Run, plugin: FakePlugin) -> None:
    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise PluginError("not today")

    plugin.methods["Demo.Refuse"] = refuse
    plugin.methods["Demo.Softly"] = lambda _: {"Err": "rather not"}

    async def body(plugins: Plugins) -> None:
        client = await plugins.get("demo", "Demo")
        with pytest.raises(PluginRefusal, match=r"Demo\.Refuse: not today"):
            await client.call("Demo.Refuse", Nothing(), Said)
        with pytest.raises(PluginRefusal, match=r"\Arather not\Z"):
            await client.call("Demo.Softly", Nothing(), Said)
        with pytest.raises(NotImplemented_, match="has no such method"):
            await client.call("Demo.Nothing", Nothing(), Said)

    run(body)


@pytest.mark.parametrize("raw", [b"<html>", b'{"Text": 5}', b"[1,2]", b'{"Text"', b"\xff\xfe"])
def test_a_plugin_that_lies_is_named(run: Run, plugin: FakePlugin, raw: bytes) -> None:
    plugin.methods["Demo.Lie"] = lambda _: {"raw": raw}

    async def body(plugins: Plugins) -> None:
        client = await plugins.get("demo", "Demo")
        with pytest.raises(System, match=r"plugin demo: Demo\.Lie: the answer makes no sense"):
            await client.call("Demo.Lie", Nothing(), Said)

    run(body)


def test_an_answer_without_end_is_cut_off(run: Run, plugin: FakePlugin) -> None:
    plugin.methods["Demo.Flood"] = lambda _: {"raw": bytes(9 << 20)}

    async def body(plugins: Plugins) -> None:
        client = await plugins.get("demo", "Demo")
        with pytest.raises(System, match="more than 8388608 bytes"):
            await client.call("Demo.Flood", Nothing(), Said)

    run(body)


def test_a_plugin_that_hangs_costs_its_time_limit_and_no_listing(
    run: Run, plugin: FakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def hang(_: dict[str, Any]) -> dict[str, Any]:
        release.wait(10)
        return {}

    plugin.methods["Demo.Hang"] = hang

    async def body(plugins: Plugins) -> None:
        client = await plugins.get("demo", "Demo")
        with pytest.raises(DeadlineExceeded, match=r"plugin demo: Demo\.Hang: no answer in 0 s"):
            await client.call("Demo.Hang", Nothing(), Said, timeout_s=0.1)
        assert (await client.call("Demo.Say", Nothing(), Said)).text == "hello"

    async def listing(plugins: Plugins) -> None:
        monkeypatch.setattr(registry_module, "_LISTING_TIMEOUT_S", 0.1)
        for _ in range(2):
            found, warnings = await plugins.all("Demo")
            assert found == []
            assert len(warnings) == 1

    try:
        run(body)
        plugin.methods["Plugin.Activate"] = hang
        run(listing)
        assert len(plugin.called("Plugin.Activate")) == 2  # the second listing did not ask
    finally:
        release.set()


def test_a_socket_nobody_listens_on(
    run: Run, sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakePlugin(sockets / "gone.sock", ["Demo"], {}):
        (sockets / "gone.sock").rename(sockets / "kept.sock")
    monkeypatch.setattr(registry_module, "_STARTING_S", 0.01)

    async def body(plugins: Plugins) -> None:
        with pytest.raises(Unavailable, match="is the plugin running"):
            await plugins.get("kept", "Demo")

    run(body)

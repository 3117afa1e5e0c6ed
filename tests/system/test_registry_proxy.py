"""Registries behind a proxy of ``daemon.json``, with a password of its own."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from support import images
from support.cli import Cli
from support.daemon import Daemon, free_port
from support.proxy import Proxy
from support.registry import FakeRegistry

pytestmark = pytest.mark.requires("root", "overlayfs", "docker")
SECRET = "proxy-password-41"  # noqa: S105 - of a proxy of the test's own


def config(proxy: str) -> dict[str, object]:
    url = f"http://ann:{SECRET}@{proxy}"
    return {
        "insecure-registries": ["registry.test"],
        "proxies": {"http-proxy": url, "https-proxy": url, "no-proxy": "127.0.0.0/8"},
        "debug": True,
    }


def test_a_registry_is_reached_by_the_proxy_and_loopback_is_not(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    with FakeRegistry() as registry, Proxy(registry.host) as proxy:
        registry.add_simple_image("app", "1", [images.layer([images.Entry("a", b"x")])])
        daemon = make_daemon(flags=["--bridge=none"], config=config(proxy.address)).start()
        docker = Cli("docker", daemon.socket, tmp_path)
        docker("pull", "registry.test/app:1")
        docker("tag", "registry.test/app:1", "registry.test/copy:1")
        docker("push", "registry.test/copy:1")
        assert ("copy", "1") in registry.state.manifests
        first, *rest = proxy.heads
        assert first.startswith("CONNECT registry.test:443 ")  # TLS is tried first
        assert {head.split()[1].partition("/v2/")[0] for head in rest} >= {"http://registry.test"}
        basic = base64.b64encode(f"ann:{SECRET}".encode()).decode()
        assert all(f"Proxy-Authorization: Basic {basic}" in head for head in proxy.heads)
        asked = len(proxy.heads)
        docker("pull", f"{registry.host}/app:1")
        assert len(proxy.heads) == asked
        assert "http://xxxxx:xxxxx@" in docker("info", "-f", "{{.HTTPProxy}}")
        assert SECRET not in daemon.log.read_text()


def test_i9_a_proxy_that_is_away_is_named_without_its_password(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    proxy = f"127.0.0.1:{free_port()}"
    daemon = make_daemon(flags=["--bridge=none"], config=config(proxy)).start()
    failed = Cli("docker", daemon.socket, tmp_path).run("pull", "registry.test/app:1")
    assert f"proxyconnect tcp: dial tcp {proxy}: connect: connection refused" in failed.err
    assert SECRET not in failed.err + daemon.log.read_text()

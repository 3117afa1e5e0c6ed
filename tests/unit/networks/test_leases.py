"""Leases that the name server renews while the daemon is away."""

import socket
import threading
from typing import Any

import pytest

from moorage.networks.nameserver import leases
from moorage.networks.nameserver.leases import Leases


def account(endpoint: str) -> dict[str, Any]:
    return {
        "leases": [1, 2], "endpoints": [endpoint], "confirmed": 0.0, "limit": 0.0, "every": 30.0,
        "tunnels": ["vx-none"], "authorities": [], "clients": [],
    }  # fmt: skip


@pytest.mark.parametrize("comes", [False, True])
def test_a_daemon_that_comes_while_renewing_fails_keeps_its_tunnels(
    monkeypatch: pytest.MonkeyPatch, *, comes: bool
) -> None:
    down: list[str] = []
    monkeypatch.setattr(leases, "fence", down.extend)
    renewing = Leases()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = account(f"http://127.0.0.1:{silent.getsockname()[1]}")
        renewing.set(said)
        thread = threading.Thread(target=renewing.renew, args=[said])
        thread.start()
        asking, _ = silent.accept()
        if comes:
            renewing.attend()
        asking.close()
        thread.join()
    assert down == ([] if comes else ["vx-none"])

"""The daemon as a process: start, stop, roots of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.api import Api
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root")


def test_ping_answers_with_what_clients_look_for(api: Api) -> None:
    response = api.at("").get("/_ping").ok()
    assert response.body == b"OK"
    assert response.headers["api-version"] == "1.55"
    assert response.headers["ostype"] == "linux"
    assert response.headers["builder-version"] == "1"
    assert response.headers["swarm"] == "inactive"


def test_a_second_daemon_on_the_same_roots_is_refused(make_daemon: Callable[..., Daemon]) -> None:
    first = make_daemon().start()
    second = Daemon(first.root, flags=["-H", f"unix://{first.root}/other"])
    assert second.spawn().wait(10) == 1
    assert f"data-root {first.data_root} is in use by another daemon (pid {first.pid})" in (
        first.log_tail()
    )

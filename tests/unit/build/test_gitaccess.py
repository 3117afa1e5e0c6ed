from __future__ import annotations

import base64
from pathlib import Path

import pytest

from moorage.build.operations.gitaccess import environment
from moorage.build.session import Session

TOKEN = "basic " + base64.b64encode(b"x-access-token:t").decode()


@pytest.mark.parametrize(
    ("secrets", "url", "header"),
    [
        ({"GIT_AUTH_TOKEN": b"t\n"}, "https://a/r.git", TOKEN),
        ({"GIT_AUTH_TOKEN.a": b"t", "GIT_AUTH_HEADER": b"h"}, "https://a/r.git", TOKEN),
        ({"GIT_AUTH_HEADER": b"h"}, "http://a:81/r.git", "h"),
        ({"GIT_AUTH_TOKEN.b": b"t"}, "https://a/r.git", None),
        ({"GIT_AUTH_TOKEN": b"t"}, "git://a/r.git", None),
    ],
)
async def test_secrets_become_a_header_for_their_host(
    secrets: dict[str, bytes], url: str, header: str | None
) -> None:
    found = await environment(Session("s", secrets=secrets), url)
    if header is None:
        assert found == {}
        return
    assert found["GIT_CONFIG_KEY_0"] == f"http.{url.removesuffix('r.git')}.extraheader"
    assert found["GIT_CONFIG_VALUE_0"] == f"Authorization: {header}"


@pytest.mark.parametrize("url", ["git@a:r.git", "ssh://a/r.git"])
async def test_ssh_has_the_clients_agent(url: str) -> None:
    session = Session("s", agents={"default": Path("/agent")})
    assert await environment(session, url) == {"SSH_AUTH_SOCK": "/agent"}
    assert await environment(Session("s"), url) == {}

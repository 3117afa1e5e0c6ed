"""Credentials: htpasswd with TLS, tokens of a server of the test's own, and no secret leaks."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import images
from support.api import Api
from support.cli import Cli
from support.daemon import Daemon
from support.dockerregistry import docker_registry, make_certificate, signed_token
from support.registry import token_server

pytestmark = pytest.mark.requires("root", "docker-registry", "htpasswd", "openssl")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("registry")
    certificate = make_certificate(root)
    with docker_registry(root, certificate=certificate, htpasswd=("ann", "secret-word")) as host:
        yield host


@pytest.fixture
def image(daemon: Daemon, docker: Cli, registry: str) -> Iterator[str]:
    name = f"{registry}/private/app:1"
    layer = images.layer([images.Entry("file", b"private")])
    daemon.load(images.docker_archive([layer], tags=[name]))
    yield name
    docker.run("rmi", "-f", name)


def test_nothing_without_login_everything_with_it(docker: Cli, image: str, registry: str) -> None:
    refused = docker.run("push", image)
    assert refused.code == 1
    assert "no basic auth credentials" in refused.err
    wrong = docker.run("login", "-u", "ann", "--password-stdin", registry, stdin="wrong")
    assert wrong.code == 1
    assert "unauthorized" in wrong.err
    said = docker("login", "-u", "ann", "--password-stdin", registry, stdin="secret-word")
    assert "Login Succeeded" in said
    docker("push", image)
    docker("rmi", image)
    docker("pull", image)
    docker("logout", registry)
    assert "no basic auth credentials" in docker.run("pull", image).err


def test_login_by_the_api(api: Api, registry: str) -> None:
    body = {"username": "ann", "password": "secret-word", "serveraddress": registry}
    assert api.post("/auth", body).ok().json()["Status"] == "Login Succeeded"
    refused = api.post("/auth", {**body, "password": "wrong"})
    assert refused.status == 401
    assert "unauthorized" in refused.json()["message"]
    nowhere = api.post("/auth", {**body, "serveraddress": ":::"})
    assert (nowhere.status, "invalid registry address: :::" in nowhere.message) == (400, True)


def test_i9_no_secret_is_in_logs_events_or_errors(
    daemon: Daemon, docker: Cli, image: str, registry: str
) -> None:
    since = time.time()
    docker("login", "-u", "ann", "--password-stdin", registry, stdin="secret-word")
    docker("push", image)
    refused = docker.run("login", "-u", "ann", "--password-stdin", registry, stdin="secret-word2")
    seen = refused.err + daemon.log.read_text() + json.dumps(daemon.api.events(since))
    assert "secret-word" not in seen
    docker("logout", registry)


def test_tokens_of_a_token_server(daemon: Daemon, docker: Cli, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "tokens")
    asked: list[dict[str, list[str]]] = []

    def give(query: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, dict[str, object]]:
        asked.append(query)
        if "account" in query and not headers.get("authorization", "").startswith("Basic "):
            return 401, {"details": "unauthorized"}
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            allowed = actions.split(",") if "authorization" in headers else ["pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims = {
            "iss": "test", "sub": "ann", "aud": "test-registry", "exp": now + 60,
            "nbf": now - 10, "iat": now, "jti": str(len(asked)), "access": access,
        }  # fmt: skip
        return 200, {"token": signed_token(certificate, claims), "expires_in": 60}

    with token_server(give) as realm:
        token = {
            "realm": realm,
            "service": "test-registry",
            "issuer": "test",
            "rootcertbundle": str(certificate.certificate),
        }
        with docker_registry(tmp_path / "r", token=token) as host:
            name = f"{host}/team/app:1"
            layer = images.layer([images.Entry("file", b"token")])
            daemon.load(images.docker_archive([layer], tags=[name]))
            assert "denied" in docker.run("push", name).err
            docker("login", "-u", "ann", "--password-stdin", host, stdin="secret-word")
            docker("push", name)
            docker("logout", host)
            docker("rmi", name)
            docker("pull", name)
            docker("rmi", name)
    scopes = [scope for query in asked for scope in query.get("scope", [])]
    assert "repository:team/app:pull,push" in scopes
    assert "repository:team/app:pull" in scopes

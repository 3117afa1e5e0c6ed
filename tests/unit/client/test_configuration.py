"""config.json, contexts, credentials, endpoints."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from moorage.cli.failure import CommandError
from moorage.cli.globaloptions import GLOBAL_OPTIONS
from moorage.cli.options import parse
from moorage.cli.session import Session
from moorage.client.configfile import ConfigFile
from moorage.client.contexts import ContextStore
from moorage.client.credentials import DOCKER_HUB, Credentials, header, registry_of
from moorage.client.endpoint import Endpoint, Tls
from moorage.client.ssh import ssh_arguments
from moorage.lib.errors import Conflict, InvalidParameter, NotFound


def write_config(directory: Path, **values: Any) -> ConfigFile:
    (directory / "config.json").write_text(json.dumps(values))
    return ConfigFile(str(directory))


def test_a_save_keeps_what_it_does_not_know_and_follows_a_link(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.json"
    real.write_text('{"plugins":{"x":{"y":"z"}},"psFormat":"{{.ID}}"}')
    (tmp_path / "config.json").symlink_to(real)
    config = ConfigFile(str(tmp_path))
    config.values["currentContext"] = "web"
    config.save()
    saved = json.loads(real.read_text())
    assert saved["plugins"] == {"x": {"y": "z"}}
    assert saved["currentContext"] == "web"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert (tmp_path / "config.json").is_symlink()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "not JSON"), ("[]", "not a JSON object"), ("  \n", ""), (None, "is a directory")],
)
def test_a_broken_file_is_empty_and_never_overwritten(
    tmp_path: Path, text: str | None, reason: str
) -> None:
    path = tmp_path / "config.json"
    if text is None:
        path.mkdir()
    else:
        path.write_text(text)
    config = ConfigFile(str(tmp_path))
    assert config.values == {}
    assert reason in config.broken
    config.values["currentContext"] = "web"
    if reason:
        with pytest.raises(InvalidParameter, match=r"config\.json is not overwritten: .*"):
            config.save()
        assert text is None or path.read_text() == text
    else:
        config.save()
        assert ConfigFile(str(tmp_path)).text("currentContext") == "web"


def test_contexts_are_stored_where_docker_looks(tmp_path: Path) -> None:
    store = ContextStore(str(tmp_path))
    endpoint = {"Host": "tcp://h:2376", "SkipTLSVerify": False}
    meta = {"Name": "web", "Metadata": {"Description": "d"}, "Endpoints": {"docker": endpoint}}
    store.create(meta, {"ca.pem": b"CA"})
    context = store.get("web")
    assert (context.description, context.host) == ("d", "tcp://h:2376")
    assert Path(context.tls_directory, "docker", "ca.pem").read_bytes() == b"CA"
    found = context.endpoint()
    assert found.address == "h:2376"
    assert found.tls is not None
    assert found.tls.verify
    with pytest.raises(Conflict):
        store.create(meta, {})
    assert [c.name for c in store.list()] == ["web"]
    store.remove("web")
    assert store.list() == []
    with pytest.raises(NotFound, match='context "web": context not found'):
        store.get("web")


@pytest.mark.parametrize("name", ["default", "a", "a/b", "-ab", ".ab", "é1"])
def test_context_names_docker_refuses(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParameter):
        ContextStore(str(tmp_path)).create({"Name": name}, {})


@pytest.mark.parametrize(
    ("host", "scheme", "address"),
    [
        ("unix:///run/x.sock", "unix", "/run/x.sock"),
        ("tcp://h", "tcp", "h:2375"),
        ("tcp://h:1/", "tcp", "h:1"),
        ("tcp://[::1]", "tcp", "[::1]:2375"),
        ("h:99", "tcp", "h:99"),
        ("ssh://u@h:22", "ssh", "u@h:22"),
    ],
)
def test_hosts(host: str, scheme: str, address: str) -> None:
    endpoint = Endpoint(host)
    assert (endpoint.scheme, endpoint.address) == (scheme, address)


def test_tls_has_a_port_of_its_own() -> None:
    tls = Tls(ca=None, cert=None, key=None, verify=True)
    assert Endpoint("tcp://h", tls).address == "h:2376"
    with pytest.raises(InvalidParameter, match="Invalid bind address format: foo://x"):
        Endpoint("foo://x")


def test_ssh_arguments_never_let_a_host_become_an_option() -> None:
    assert ssh_arguments("u@h:2222") == [
        "-o", "ConnectTimeout=30", "-T", "-l", "u", "-p", "2222", "h",
    ]  # fmt: skip
    for address in ("-oProxyCommand=x", "u@-h", "-u@h", "h/path", "u:secret@h", "", "h:x"):
        with pytest.raises(InvalidParameter):
            ssh_arguments(address)


def session(words: list[str], environ: dict[str, str], directory: Path) -> Session:
    values, _ = parse(GLOBAL_OPTIONS, words, interspersed=False)
    return Session(values, {"DOCKER_CONFIG": str(directory), **environ})


@pytest.mark.parametrize(
    ("words", "environ", "host"),
    [
        (["-H", "unix:///a"], {"DOCKER_HOST": "unix:///b", "DOCKER_CONTEXT": "web"}, "unix:///a"),
        (["-c", "web"], {"DOCKER_HOST": "unix:///b"}, "tcp://web:1"),
        ([], {"MOOR_HOST": "unix:///m", "DOCKER_HOST": "unix:///b"}, "unix:///m"),
        ([], {"DOCKER_HOST": "unix:///b", "DOCKER_CONTEXT": "web"}, "unix:///b"),
        ([], {"DOCKER_CONTEXT": "web"}, "tcp://web:1"),
        ([], {}, "tcp://current:1"),
    ],
)
def test_the_order_in_which_a_daemon_is_chosen(
    tmp_path: Path, words: list[str], environ: dict[str, str], host: str
) -> None:
    write_config(tmp_path, currentContext="current")
    for name in ("web", "current"):
        meta = {"Name": name, "Endpoints": {"docker": {"Host": f"tcp://{name}:1"}}}
        ContextStore(str(tmp_path)).create(meta, {})
    assert session(words, environ, tmp_path).endpoint.host == host


def test_host_and_context_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot specify both --host and --context"):
        session(["-H", "x", "-c", "y"], {}, tmp_path).endpoint  # noqa: B018
    with pytest.raises(CommandError, match='context "nope": context not found'):
        session(["-c", "nope"], {}, tmp_path).endpoint  # noqa: B018


def test_docker_tls_verify_and_cert_path(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    environ = {
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(tmp_path),
        "DOCKER_HOST": "tcp://h",
    }
    tls = session([], environ, tmp_path).endpoint.tls
    assert tls is not None
    assert (tls.ca, tls.cert, tls.verify) == (f"{tmp_path}/ca.pem", None, True)
    plain = {"DOCKER_HOST": "tcp://h"}
    assert session([], plain, tmp_path).endpoint.tls is None
    assert session(["--tls"], plain, tmp_path).endpoint.tls is not None


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("nginx", DOCKER_HUB),
        ("me/nginx:1", DOCKER_HUB),
        ("docker.io/me/nginx", DOCKER_HUB),
        ("localhost/x", "localhost"),
        ("r.example:5000/x/y:1", "r.example:5000"),
    ],
)
def test_the_registry_of_an_image(image: str, registry: str) -> None:
    assert registry_of(image) == registry


def test_logging_out_of_what_is_unknown_writes_no_file(tmp_path: Path) -> None:
    Credentials(ConfigFile(str(tmp_path / "none"))).erase("r.example")
    assert not list(tmp_path.iterdir())


def test_credentials_in_the_file(tmp_path: Path) -> None:
    packed = base64.b64encode(b"me:pass:word").decode()
    config = write_config(tmp_path, auths={"https://r.example/v1/": {"auth": packed}})
    store = Credentials(config)
    assert store.find("r.example") == {
        "serveraddress": "r.example", "username": "me", "password": "pass:word",
    }  # fmt: skip
    assert store.find("other") == {}
    assert store.store("x", {"username": "u", "password": "p"}) == config.path
    assert Credentials(ConfigFile(str(tmp_path))).find("x")["password"] == "p"  # noqa: S105
    store.erase("x")
    assert Credentials(ConfigFile(str(tmp_path))).find("x") == {}
    sent = header({"username": "é?"})["X-Registry-Auth"]
    assert json.loads(base64.urlsafe_b64decode(sent)) == {"username": "é?"}


HELPER = """#!/bin/sh
read -r line
echo "$@" >>"$0.arguments"
case "$1" in
get) [ "$line" = known ] && echo '{"Username":"me","Secret":"s"}' ||
    { echo "credentials not found in native keychain"; exit 1; } ;;
store) echo "$line" >"$0.stored" ;;
erase) echo "$line" >"$0.erased" ;;
esac
"""


def test_i9_credentials_of_a_helper_never_are_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-fake"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    store = Credentials(write_config(tmp_path, credsStore="fake"))
    assert store.find("known") == {"username": "me", "password": "s", "serveraddress": "known"}
    assert store.find("unknown") == {}
    assert store.store("r", {"username": "u", "password": "p"}) is None
    kept = json.loads((tmp_path / "docker-credential-fake.stored").read_text())
    assert kept == {"ServerURL": "r", "Username": "u", "Secret": "p"}
    said = (tmp_path / "docker-credential-fake.arguments").read_text()
    assert said.split("\n") == ["get", "get", "store", ""]  # names and secrets go by the pipe
    assert "auth" not in json.dumps(
        json.loads((tmp_path / "config.json").read_text())["auths"]["r"]
    )


@pytest.mark.parametrize("name", ["../x", "a b", "x;y"])
def test_a4_a_helpers_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid credential helper name"):
        Credentials(write_config(tmp_path, credsStore=name)).find("r")

"""TLS on TCP: who may come in, and streams whose directions end apart."""

from __future__ import annotations

import http.client
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.certificates import Authority
from support.containers import until
from support.daemon import Daemon, free_port

pytestmark = pytest.mark.requires("root", "openssl")

MakeDaemon = Callable[..., Daemon]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def tls_daemon(make_daemon: MakeDaemon, authority: Authority, *flags: str) -> tuple[Daemon, int]:
    server = authority.sign("server", server=True)
    port = free_port()
    files = ["--tlscert", str(server.cert), "--tlskey", str(server.key)]
    files += ["--tlscacert", str(authority.cert)]
    return make_daemon(flags=["-H", f"tcp://127.0.0.1:{port}", *files, *flags]).start(), port


def client_context(
    authority: Authority, name: str | None, *, of: Authority | None = None
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.cert))
    if name is not None:
        identity = (of or authority).sign(name)
        context.load_cert_chain(identity.cert, identity.key)
    return context


def ping(port: int, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=5)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status
    finally:
        connection.close()


def answers(port: int, context: ssl.SSLContext) -> bool:
    try:
        return ping(port, context) == 200
    except OSError:
        return False


def test_tlsverify_takes_only_clients_of_its_authority(
    make_daemon: MakeDaemon, authority: Authority, tmp_path: Path
) -> None:
    _, port = tls_daemon(make_daemon, authority, "--tlsverify")
    assert ping(port, client_context(authority, "client")) == 200
    with pytest.raises(OSError, match=r"(?i)certificate|reset|closed|EOF|alert"):
        ping(port, client_context(authority, None))
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(OSError, match=r"(?i)certificate|reset|closed|EOF|alert|unknown ca"):
        ping(port, client_context(authority, "mallory", of=stranger))
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"OK" not in plain.recv(1000)


def test_tls_without_verify_takes_clients_without_certificate(
    make_daemon: MakeDaemon, authority: Authority
) -> None:
    _, port = tls_daemon(make_daemon, authority, "--tls")
    assert ping(port, client_context(authority, None)) == 200


def test_a6_strangers_take_no_more_than_their_part_of_the_descriptors(
    make_daemon: MakeDaemon, authority: Authority
) -> None:
    """Who has not shown a certificate yet cannot keep others out by opening connections."""
    daemon, port = tls_daemon(make_daemon, authority, "--tlsverify")
    usual = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (200, usual[1]))
    with ExitStack() as opened:
        for _ in range(400):
            silent = socket.create_connection(("127.0.0.1", port), timeout=5)
            opened.enter_context(silent)
        assert daemon.api.get("/_ping").status == 200
        descriptors = Path(f"/proc/{daemon.pid}/fd")
        until(lambda: len(list(descriptors.iterdir())) < 100, 5)
        assert daemon.api.get("/info").status == 200
    context = client_context(authority, "client")
    until(lambda: answers(port, context))


def test_a_handshake_that_does_not_come_holds_no_connection(
    make_daemon: MakeDaemon, authority: Authority
) -> None:
    daemon, port = tls_daemon(make_daemon, authority, "--tls")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as silent:
        silent.sendall(b"\x16\x03\x01")
        assert ping(port, client_context(authority, None)) == 200
    assert daemon.stop() == 0

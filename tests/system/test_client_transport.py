"""``moor`` over TLS and ssh: the same streams, half-closed in the same way."""

from __future__ import annotations

import os
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from support import images
from support.certificates import Authority
from support.cli import Cli
from support.daemon import BIN, Daemon, free_port

pytestmark = pytest.mark.requires("root", "overlayfs", "openssl")

MEGABYTES = 20


def test_streams_over_tls(make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, client = authority.sign("server", server=True), authority.sign("client")
    port = free_port()
    files = ["--tlscacert", str(authority.cert)]
    files += ["--tlscert", str(server.cert), "--tlskey", str(server.key)]
    daemon = make_daemon(flags=["-H", f"tcp://127.0.0.1:{port}", "--tlsverify", *files]).start()
    daemon.load(images.busybox())
    moor = Cli(str(BIN / "moor"), daemon.socket, tmp_path)
    (tmp_path / "cert.pem").write_bytes(client.cert.read_bytes())
    (tmp_path / "key.pem").write_bytes(client.key.read_bytes())
    moor.environment |= {
        "DOCKER_HOST": f"tcp://127.0.0.1:{port}",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(tmp_path),
    }
    run = ("run", "--rm", "-i", "--network", "none", "busybox")
    assert moor(*run, "sh", "-c", "cat; echo end", stdin="half") == "halfend"
    assert moor(*run, "wc", "-c", stdin=b"x" * (MEGABYTES << 20)) == str(MEGABYTES << 20)
    zeros = moor.run(*run, "dd", "if=/dev/zero", "bs=1M", f"count={MEGABYTES}").out
    assert len(zeros) == MEGABYTES << 20
    stranger = Authority(tmp_path, "stranger")
    refused = moor.run("--tlscacert", stranger.cert, "ps")
    assert refused.code == 1
    assert "is refused" in refused.err
    plain = moor.run("ps", env={"DOCKER_TLS_VERIFY": ""})
    assert plain.code == 1
    assert "does it listen with TLS? try --tlsverify" in plain.err


def test_what_is_wrong_with_certificates_is_said(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Whose certificate it is, what is wrong with it, and what can be done."""
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    server, client = authority.sign("server", server=True), authority.sign("client")
    foreign = stranger.sign("foreign")
    port, plain_port = free_port(), free_port()
    files = ["--tlscacert", str(authority.cert)]
    files += ["--tlscert", str(server.cert), "--tlskey", str(server.key)]
    daemon = make_daemon(flags=["-H", f"tcp://127.0.0.1:{port}", "--tlsverify", *files]).start()
    certificates = tmp_path / "none"
    certificates.mkdir()
    moor = Cli(str(BIN / "moor"), daemon.socket, tmp_path)
    address = f"tcp://127.0.0.1:{port}"
    moor.environment |= {"DOCKER_HOST": address, "DOCKER_CERT_PATH": str(certificates)}
    junk, missing = tmp_path / "junk", tmp_path / "missing"
    junk.write_text("junk")

    def said(ca: Path | None, cert: Path | None, key: Path | None) -> str:
        given = (("--tlscacert", ca), ("--tlscert", cert), ("--tlskey", key))
        flags = [word for flag, path in given if path for word in (flag, str(path))]
        refused = moor.run("--tlsverify", *flags, "ps")
        assert (refused.code, refused.out) == (1, "")
        return refused.err

    ca = authority.cert
    assert "there is no ca.pem in DOCKER_CERT_PATH" in said(None, client.cert, client.key)
    assert f"{stranger.cert} is not the authority that signed it" in said(
        stranger.cert, client.cert, client.key
    )
    assert f"{address} asks for a client certificate, and there is none" in said(ca, None, None)
    assert f"refuses the client certificate {foreign.cert}: it is not signed by an" in said(
        ca, foreign.cert, foreign.key
    )
    assert f"the key {server.key} does not belong to {client.cert}" in said(
        ca, client.cert, server.key
    )
    assert f"{junk} holds no certificate" in said(junk, client.cert, client.key)
    assert f"{junk} holds no certificate" in said(ca, junk, client.key)
    assert f"{junk} holds no private key" in said(ca, client.cert, junk)
    assert f"open {missing}: no such file or directory" in said(missing, None, None)
    moor.environment["DOCKER_HOST"] = f"tcp://localhost:{port}"
    assert moor.run("--tlsverify", "--tlscacert", ca, "--tlscert", client.cert, "--tlskey",
                    client.key, "ps").code == 0  # fmt: skip
    with socketserver.TCPServer(("127.0.0.1", plain_port), _NoTls) as deaf:
        threading.Thread(target=deaf.handle_request, daemon=True).start()
        moor.environment["DOCKER_HOST"] = f"tcp://127.0.0.1:{plain_port}"
        assert "does not speak TLS" in said(ca, client.cert, client.key)


class _NoTls(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(1000)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


SSH = """#!/bin/sh
# stands in for ssh: remembers its arguments and runs the command on "the other host"
echo "$@" >>"{log}"
for last; do :; done
DOCKER_HOST=unix://{socket} PATH={bin}:$PATH exec sh -c "$last"
"""


def test_streams_over_ssh(daemon: Daemon, moor: Cli, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    log = tmp_path / "log"
    ssh = programs / "ssh"
    ssh.write_text(SSH.format(log=log, socket=daemon.socket, bin=BIN))
    ssh.chmod(0o755)
    moor.environment |= {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "DOCKER_HOST": "ssh://me@there:2222",
    }
    run = ("run", "--rm", "-i", "--network", "none", "busybox")
    assert moor(*run, "sh", "-c", "cat; echo end", stdin="half") == "halfend"
    assert moor(*run, "wc", "-c", stdin=b"x" * (1 << 20)) == str(1 << 20)
    assert log.read_text().startswith("-o ConnectTimeout=30 -T -l me -p 2222 there -- ")

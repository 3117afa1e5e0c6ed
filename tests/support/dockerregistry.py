"""Debian's ``docker-registry`` as a real peer: plain, with TLS, passwords or tokens."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.daemon import free_port


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that signs itself, for 127.0.0.1 and localhost."""

    certificate: Path
    key: Path


def make_certificate(directory: Path, name: str = "server") -> Certificate:
    directory.mkdir(parents=True, exist_ok=True)
    made = Certificate(directory / f"{name}.pem", directory / f"{name}.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", made.key, "-out", made.certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


@contextlib.contextmanager
def docker_registry(
    root: Path,
    *,
    certificate: Certificate | None = None,
    htpasswd: tuple[str, str] | None = None,
    token: dict[str, str] | None = None,
) -> Iterator[str]:
    """Run a registry; the context is its host and port. *token* is its ``auth.token``."""
    root.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{free_port()}"
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(root / "data")}},
        "http": {"addr": host},
    }
    if certificate is not None:
        files = {"certificate": str(certificate.certificate), "key": str(certificate.key)}
        config["http"]["tls"] = files
    if htpasswd is not None:
        lines = subprocess.run(
            ["htpasswd", "-nbB", "-C", "4", *htpasswd], check=True, capture_output=True
        ).stdout
        (root / "htpasswd").write_bytes(lines)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(root / "htpasswd")}}
    if token is not None:
        config["auth"] = {"token": token}
    (root / "config.yml").write_text(json.dumps(config))
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(root / "config.yml")], stdout=log, stderr=log
        )
    try:
        _wait(host, process, tls=certificate is not None)
        yield host
    finally:
        process.terminate()
        process.wait(10)


def _wait(host: str, process: subprocess.Popen[bytes], *, tls: bool) -> None:
    deadline = time.monotonic() + 10
    while True:
        connection = (
            http.client.HTTPSConnection(host, context=ssl._create_unverified_context())  # noqa: S323, SLF001
            if tls
            else http.client.HTTPConnection(host)
        )
        try:
            connection.request("GET", "/v2/")
            connection.getresponse().read()
        except OSError:
            assert process.poll() is None, "docker-registry has ended"
            assert time.monotonic() < deadline, "docker-registry does not answer"
            time.sleep(0.02)
        else:
            return
        finally:
            connection.close()


def signed_token(certificate: Certificate, claims: dict[str, Any]) -> str:
    """Return a JSON web token as docker-registry takes it: ES256, the certificate inside."""
    der = subprocess.run(
        ["openssl", "x509", "-in", certificate.certificate, "-outform", "DER"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
    signing = f"{_part(header)}.{_part(claims)}"
    signature = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", certificate.key],
        input=signing.encode(), check=True, capture_output=True,
    ).stdout  # fmt: skip
    return f"{signing}.{_base64(_raw_signature(signature))}"


def _part(document: dict[str, Any]) -> str:
    return _base64(json.dumps(document).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _raw_signature(der: bytes) -> bytes:
    """Turn ASN.1's two integers into 32 bytes each."""
    assert der[0] == 0x30
    first = der[4 : 4 + der[3]]
    rest = der[4 + der[3] :]
    second = rest[2 : 2 + rest[1]]
    return b"".join(part.lstrip(b"\0").rjust(32, b"\0") for part in (first, second))

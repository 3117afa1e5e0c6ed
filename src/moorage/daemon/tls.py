"""The TLS side of ``--tls*``: certificates from files, clients verified if asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.daemon.config import Config
from moorage.lib import latetls
from moorage.lib.errors import InvalidParameter

if TYPE_CHECKING:
    import ssl


def server_context(config: Config) -> ssl.SSLContext | None:
    """Return the context for TCP listeners; None without TLS.

    Raises: InvalidParameter, naming the key and the file.
    """
    if not (config.tls or config.tlsverify):
        return None
    latetls.load()
    import ssl  # noqa: PLC0415 - only a daemon with TLS pays for it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    certificate = _file("tlscert", config.tlscert, "cert.pem")
    key = _file("tlskey", config.tlskey, "key.pem")
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise InvalidParameter(
            f"invalid configuration: tlscert: {certificate} with tlskey {key}: {error}"
        ) from error
    if config.tlsverify:
        authority = _file("tlscacert", config.tlscacert, "ca.pem")
        try:
            context.load_verify_locations(authority)
        except (ssl.SSLError, OSError) as error:
            raise InvalidParameter(
                f"invalid configuration: tlscacert: {authority}: {error}"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _file(key: str, path: str, default: str) -> Path:
    directory = os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker"
    found = Path(path) if path else Path(directory) / default
    if not found.is_file():
        raise InvalidParameter(
            f"invalid configuration: {key}: no such file: {found}",
            hint="TLS needs --tlscert and --tlskey, and --tlsverify needs --tlscacert",
        )
    return found

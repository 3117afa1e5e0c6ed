"""A certificate authority and what it signs, made by openssl in a test's directory."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """Signs servers and clients; lives below *root*."""

    def __init__(self, root: Path, name: str = "ca") -> None:
        self._root = root
        self.cert = root / f"{name}.pem"
        self._key = root / f"{name}-key.pem"
        subject = f"/CN={name}"
        self._openssl("req", "-x509", "-days", "2", "-subj", subject, self._key, self.cert)

    def _openssl(self, *arguments: str | Path) -> None:
        *options, key, out = arguments
        common = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command = ["openssl", *map(str, options), *common, "-keyout", str(key), "-out", str(out)]
        subprocess.run(command, check=True, capture_output=True)

    def sign(self, name: str, *, server: bool = False) -> Identity:
        """Return an identity with the common name *name*; a server's is good for 127.0.0.1."""
        identity = Identity(self._root / f"{name}.pem", self._root / f"{name}-key.pem")
        usage = "serverAuth" if server else "clientAuth"
        extensions = ["-addext", f"extendedKeyUsage={usage}"]
        extensions += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
        signed_by = ["-x509", "-days", "2", "-CA", str(self.cert), "-CAkey", str(self._key)]
        self._openssl(
            "req", *signed_by, "-subj", f"/CN={name}", *extensions, identity.key, identity.cert
        )
        return identity

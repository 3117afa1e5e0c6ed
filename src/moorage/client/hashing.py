"""SHA-256 without OpenSSL: ``hashlib`` loads all of that, for three milliseconds."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 12):
    import _sha2 as _module
else:
    import _sha256 as _module  # type: ignore[import-not-found]


def sha256(data: bytes) -> str:
    """Return the digest of *data* in hexadecimal digits."""
    return str(_module.sha256(data).hexdigest())

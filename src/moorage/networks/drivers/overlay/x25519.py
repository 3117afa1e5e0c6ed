"""X25519 (RFC 7748): the public half of a WireGuard key.

Not in constant time: a key is worked out once, when the host joins its first cluster.
"""

from __future__ import annotations

from typing import Final

_P: Final = 2**255 - 19
_A24: Final = 121665
_BASE: Final = (9).to_bytes(32, "little")


def clamp(secret: bytes) -> bytes:
    """Return 32 random bytes as a private key."""
    raw = bytearray(secret)
    raw[0] &= 248
    raw[31] &= 127
    raw[31] |= 64
    return bytes(raw)


def public(private: bytes, point: bytes = _BASE) -> bytes:
    """Return *private* times *point*, the base point unless told otherwise (Montgomery ladder)."""
    scalar = int.from_bytes(clamp(private), "little")
    x1 = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swapped = 1, 0, x1, 1, 0
    for bit in reversed(range(255)):
        wanted = (scalar >> bit) & 1
        if swapped ^ wanted:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = wanted
        a, b = (x2 + z2) % _P, (x2 - z2) % _P
        aa, bb = a * a % _P, b * b % _P
        e = (aa - bb) % _P
        da, cb = (x3 - z3) * a % _P, (x3 + z3) * b % _P
        x3, z3 = pow(da + cb, 2, _P), x1 * pow(da - cb, 2, _P) % _P
        x2, z2 = aa * bb % _P, e * (aa + _A24 * e) % _P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, _P - 2, _P) % _P).to_bytes(32, "little")

"""Digests of the OCI image specification: ``algorithm:hex``, parsed before they become a path."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NewType

from moorage.lib.errors import InvalidParameter

Digest = NewType("Digest", str)  # always one that ``parse`` has let through

_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX: Final = re.compile(r"[0-9a-f]+\Z")


def parse(text: str) -> Digest:
    """Check *text*, which may come from a registry or an archive, and return it as a digest.

    Raises: InvalidParameter, with Go's sentences for a wrong form, algorithm or length.
    """
    algorithm, colon, value = text.partition(":")
    if not colon or not algorithm or not value:
        raise InvalidParameter(f"invalid checksum digest format: {text[:200]!r}")
    if algorithm not in _LENGTHS:
        raise InvalidParameter(f"unsupported digest algorithm: {algorithm[:64]!r}")
    if len(value) != _LENGTHS[algorithm]:
        raise InvalidParameter(f"invalid checksum digest length: {text[:200]!r}")
    if not _HEX.match(value):
        raise InvalidParameter(f"invalid checksum digest format: {text[:200]!r}")
    return Digest(text)


def is_digest(text: str) -> bool:
    """Whether *text* is a whole digest."""
    try:
        parse(text)
    except InvalidParameter:
        return False
    return True


def of(data: bytes | memoryview) -> Digest:
    """Return the SHA-256 digest of *data*."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def algorithm_of(digest: Digest) -> str:
    """Return the part before the colon."""
    return digest.partition(":")[0]


def hex_of(digest: Digest) -> str:
    """Return the part after the colon: safe as a file name."""
    return digest.partition(":")[2]


def chain_id(parent: Digest | None, diff_id: Digest) -> Digest:
    """Return the ChainID of a layer *diff_id* on top of *parent* (OCI image spec, config)."""
    return diff_id if parent is None else of(f"{parent} {diff_id}".encode())


def chain_ids(diff_ids: list[Digest]) -> list[Digest]:
    """Return the ChainID of every layer of a stack, lowest first."""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(chain_id(chain[-1] if chain else None, diff_id))
    return chain

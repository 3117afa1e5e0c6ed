"""The records of a cache that travels. Keys are made of content alone, so they hold anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from moorage.build.cache import Cache, Record
from moorage.build.graph import Vertex
from moorage.build.result import Snapshot
from moorage.build.solver import Build
from moorage.lib.errors import InvalidParameter
from moorage.spec.digest import Digest
from moorage.spec.oci.descriptor import Descriptor

MEDIA_TYPE: Final = "application/vnd.moorage.cacheconfig.v1+json"
INLINE: Final = "moorage.buildcache.v1"  # member of an image's configuration
_encode = msgspec.json.Encoder().encode


class Travelling(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What one step gave."""

    keys: tuple[str, ...]
    description: str = ""
    parent_chain: Digest | None = None
    diff_id: Digest | None = None  # None: the step changed nothing
    created_ns: int = 0
    blob: Descriptor | None = None  # the layer; None: it is one of the image's own (inline)


class Document(Struct, frozen=True, kw_only=True, rename="camel"):
    """A whole cache."""

    version: int = 1
    records: list[Travelling]


def collect(cache: Cache, target: Vertex, job: Build, *, everything: bool) -> list[Travelling]:
    """Return the records of a build: of all its steps, or of those whose layers the image has."""
    wanted = list(target.walk()) if everything else list(_line(target))
    found: dict[str, Travelling] = {}
    for vertex in wanted:
        task = job.solved.get(vertex.digest)
        if task is None or not vertex.inputs:
            continue
        record = cache.peek(job.keys.get(vertex.digest, ()))
        if record is not None and isinstance(task.result(), Snapshot):
            found[record.id] = _travelling(record)
    return list(found.values())


def _line(target: Vertex) -> Sequence[Vertex]:
    """Return the steps that the target's file system grew by, first to last."""
    line = [target]
    while line[-1].inputs:
        line.append(line[-1].inputs[0])
    return line[::-1]


def _travelling(record: Record) -> Travelling:
    return Travelling(
        keys=record.keys,
        description=record.description,
        parent_chain=record.parent_chain,
        diff_id=record.diff_id,
        created_ns=record.created_ns,
    )


def into_config(config: bytes, records: list[Travelling]) -> bytes:
    """Add the records to an image's configuration."""
    document: dict[str, msgspec.Raw] = msgspec.json.decode(config, type=dict[str, msgspec.Raw])
    document[INLINE] = msgspec.Raw(_encode(Document(records=records)))
    return _encode(document)


def from_config(config: bytes) -> list[Travelling]:
    """Return the records that an image carries. Raises: InvalidParameter."""
    try:
        document = msgspec.json.decode(config, type=dict[str, msgspec.Raw])
        found = document.get(INLINE)
        return msgspec.json.decode(found, type=Document).records if found else []
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"the cache of this image cannot be read: {error}") from error


def parse(data: bytes) -> Document:
    """Decode a document. Raises: InvalidParameter."""
    try:
        return msgspec.json.decode(data, type=Document)
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"this build cache cannot be read: {error}") from error

"""The build graph: operations on file trees, addressed by what they are and what they work on.

A vertex is an operation and the vertices it takes as inputs; its digest covers both, so two equal
vertices are one, whoever wrote them. Nothing here does anything: ``solver`` runs the graph. Any
frontend may make one (the Dockerfile language does; a client's own definition could).

Input 0 of an operation that changes a root file system is that file system. What is shown to the
user (name, place in the Dockerfile) stands beside the operation and is no part of its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import msgspec
from msgspec import Struct

from moorage.spec.digest import Digest
from moorage.spec.platforms import Platform

_encode = msgspec.json.Encoder(order="deterministic").encode


class Scratch(Struct, frozen=True, tag="scratch"):
    """The empty file system."""


class ImageSource(Struct, frozen=True, kw_only=True, tag="image"):
    """The root file system of an image, already resolved to its configuration."""

    reference: str
    config: Digest
    diff_ids: tuple[Digest, ...]  # its layers, lowest first


class ContextSource(Struct, frozen=True, kw_only=True, tag="context"):
    """Files that the client gave: the build context, or a named one."""

    name: str
    session: str  # whose


class GitSource(Struct, frozen=True, kw_only=True, tag="git"):
    """A checkout."""

    url: str
    ref: str = ""
    subdirectory: str = ""
    keep_git_directory: bool = False
    checksum: str = ""


class HttpSource(Struct, frozen=True, kw_only=True, tag="http"):
    """A download: one file."""

    url: str
    checksum: str = ""
    file_name: str = ""


class InlineFile(Struct, frozen=True):
    """A file whose content stands in the Dockerfile."""

    name: str
    content: str


class CopyAction(Struct, frozen=True, kw_only=True):
    """One source of a COPY or ADD."""

    input: int | None = None  # which input the paths are in; None: *files*
    paths: tuple[str, ...] = ()  # may hold wildcards
    files: tuple[InlineFile, ...] = ()
    unpack: bool = False  # archives become what is in them
    required: bool = True


class Copy(Struct, frozen=True, kw_only=True, tag="copy"):
    """Copy files into a root file system."""

    actions: tuple[CopyAction, ...]
    destination: str  # absolute; a trailing slash says "directory"
    owner: str | None = None  # as ``user:group`` of the destination; None: root or the source's
    mode: str | None = None  # octal, or symbolic as chmod(1)
    parents: bool = False
    exclude: tuple[str, ...] = ()
    follow_destination: bool = True  # false for --link: nothing of the base is looked at


class MakeDirectory(Struct, frozen=True, kw_only=True, tag="mkdir"):
    """Make a directory with its parents, unless it is there."""

    path: str
    owner: str | None = None  # of what is made, as USER says it; None: root


class Merge(Struct, frozen=True, kw_only=True, tag="merge"):
    """Lay the files of input 1 over those of input 0, whatever input 0 holds (``--link``)."""


class ExecMount(Struct, frozen=True, kw_only=True):
    """A mount that exists while the command runs."""

    kind: str  # bind cache tmpfs secret ssh
    target: str = ""
    input: int | None = None  # bind, cache: where the files come from
    source: str = ""
    readonly: bool = False
    id: str = ""
    sharing: str = "shared"
    required: bool = False
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    size_bytes: int = 0
    env: str | None = None
    content: str | None = None  # a file made for this mount (here-document script)


class Ulimit(Struct, frozen=True):
    """A resource limit."""

    name: str
    soft: int
    hard: int


class Limits(Struct, frozen=True, kw_only=True):
    """What a command may use; 0 and empty: no limit. No part of a cache key."""

    memory_bytes: int = 0
    memory_swap_bytes: int = 0
    cpu_shares: int = 0
    cpu_period_us: int = 0
    cpu_quota_us: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    shm_bytes: int = 0
    cgroup_parent: str = ""
    ulimits: tuple[Ulimit, ...] = ()


class Exec(Struct, frozen=True, kw_only=True, tag="exec"):
    """Run a command in a root file system; what it changed is the result."""

    arguments: tuple[str, ...]
    environment: tuple[str, ...] = ()
    directory: str = "/"
    user: str = ""
    mounts: tuple[ExecMount, ...] = ()
    network: str = "default"  # default none host
    insecure: bool = False
    devices: tuple[str, ...] = ()  # full names of CDI
    extra_hosts: tuple[str, ...] = ()
    hostname: str = ""


Source: TypeAlias = Scratch | ImageSource | ContextSource | GitSource | HttpSource
Operation: TypeAlias = Source | Copy | MakeDirectory | Merge | Exec


@dataclass(frozen=True, eq=False)
class Vertex:
    """An operation on its inputs.

    *salt* sets apart what must not be shared: a step that the user wants done again.
    *proxy* are variables the command sees that are no part of its identity; *platform* is what its
    programs are made for, told if they cannot be run.
    """

    operation: Operation
    inputs: tuple[Vertex, ...] = ()
    name: str = ""
    place: str = ""  # "Dockerfile:12"; empty for internal steps
    span: tuple[int, int] | None = None
    stage: str = ""
    use_cache: bool = True
    proxy: tuple[str, ...] = field(default=())
    platform: Platform = field(default=Platform())

    @cached_property
    def digest(self) -> Digest:
        """Identify the vertex by operation and inputs."""
        state = hashlib.sha256(_encode(self.operation))
        for vertex in self.inputs:
            state.update(vertex.digest.encode())
        return Digest(f"sha256:{state.hexdigest()}")

    def walk(self) -> Iterator[Vertex]:
        """Yield the vertex and all it needs, inputs first, each digest once."""
        seen: set[str] = set()
        stack: list[tuple[Vertex, bool]] = [(self, False)]
        while stack:
            vertex, expanded = stack.pop()
            if expanded:
                yield vertex
            elif vertex.digest not in seen:
                seen.add(vertex.digest)
                stack.append((vertex, True))
                stack.extend((child, False) for child in reversed(vertex.inputs))


def operation_key(operation: Operation) -> bytes:
    """Return what of an operation counts for the cache."""
    return _encode(operation)

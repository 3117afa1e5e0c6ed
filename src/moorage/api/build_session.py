"""Routes of build sessions: this daemon's own way to build, spoken by ``moor``.

::

    client                                                     daemon
    POST /build/session            secrets, Dockerfile     ->
                                                           <-  id
    POST /build/session/ID/context a list of all files     ->
                                                           <-  which of them are missing here
    PUT  /build/session/ID/context tar of the missing ones ->
    POST /build/session/ID/build   options                 ->
                                                           <-  events, a result or a failure
    GET  /build/session/ID/output  what is no image        <-
    DELETE /build/session/ID                               ->
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, field

from moorage.api.results import Created, Hijacked, JsonStream, NoContent, Stream
from moorage.api.routing import route
from moorage.build import agents, contexts, graph
from moorage.build import options as wanted
from moorage.build import session as sessions
from moorage.lib import bridge
from moorage.lib.errors import InvalidParameter, NotFound
from moorage.registry.credentials import decode_config_header
from moorage.spec import platforms

if TYPE_CHECKING:
    from typing import BinaryIO

    from moorage.api.request import Request
    from moorage.build.history import PastBuild
    from moorage.build.streams import BuildStreams
    from moorage.spec.platforms import Platform

_FACTS_LIMIT: Final = 256 << 20
_CHUNK: Final = 1 << 20


class SessionCreate(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Body of ``BuildSessionCreate``; bytes are base64."""

    secrets: dict[str, str] = field(default_factory=dict)
    dockerfile: str | None = None
    auth: str = ""  # as the X-Registry-Config header


class SessionCreated(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What ``BuildSessionCreate`` returns."""

    id: str = field(name="ID")


class ContextQuery(Struct, frozen=True, kw_only=True):
    """Which context; *key* names the client's directory, so that the next build finds it again."""

    name: str = "context"
    key: str = ""


class AgentQuery(Struct, frozen=True, kw_only=True):
    """Which agent."""

    id: str = "default"


class OutputQuery(Struct, frozen=True, kw_only=True):
    """Which output."""

    kind: str = ""


class WireOption(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A type with attributes: an output, a cache, an attestation."""

    type: str
    attrs: dict[str, str] = field(default_factory=dict)


class WireUlimit(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A resource limit."""

    name: str
    soft: int = 0
    hard: int = 0


class SessionBuild(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Body of ``BuildSessionBuild``."""

    dockerfile: str = "Dockerfile"  # its name, as it is shown
    tags: list[str] = field(default_factory=list)
    build_args: dict[str, str | None] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    target: str = ""
    platforms: list[str] = field(default_factory=list)
    no_cache: bool = False
    no_cache_filter: list[str] = field(default_factory=list)
    pull: bool = False
    cache_from: list[WireOption] = field(default_factory=list)
    cache_to: list[WireOption] = field(default_factory=list)
    outputs: list[WireOption] = field(default_factory=list)
    attestations: list[WireOption] = field(default_factory=list)
    network: str = "default"
    extra_hosts: list[str] = field(default_factory=list)
    contexts: dict[str, str] = field(default_factory=dict)
    allow: list[str] = field(default_factory=list)
    squash: bool = False
    check: bool = False
    debug: bool = False
    remote: str = ""
    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    shm_size: int = 0
    cgroup_parent: str = ""
    ulimits: list[WireUlimit] = field(default_factory=list)

    def options(self, host: Platform) -> wanted.BuildOptions:
        """Return the builder's options. Raises: InvalidParameter."""
        return wanted.BuildOptions(
            dockerfile=self.dockerfile,
            tags=tuple(self.tags),
            build_args=self.build_args,
            labels=self.labels,
            target=self.target,
            platforms=tuple(platforms.parse(p, default=host) for p in self.platforms),
            no_cache=self.no_cache,
            no_cache_stages=tuple(self.no_cache_filter),
            pull=self.pull,
            cache_from=tuple(
                wanted.CacheOption(type=o.type, attributes=o.attrs) for o in self.cache_from
            ),
            cache_to=tuple(
                wanted.CacheOption(type=o.type, attributes=o.attrs) for o in self.cache_to
            ),
            outputs=tuple(wanted.Output(type=o.type, attributes=o.attrs) for o in self.outputs),
            attestations=tuple(
                wanted.Attestation(type=o.type, mode=o.attrs.get("mode", "min"))
                for o in self.attestations
            ),
            network=self.network,
            extra_hosts=tuple(self.extra_hosts),
            contexts=self.contexts,
            allow=frozenset(self.allow),
            squash=self.squash,
            check=self.check,
            debug=self.debug,
            remote=self.remote,
            limits=graph.Limits(
                memory_bytes=self.memory,
                memory_swap_bytes=self.memory_swap,
                cpu_shares=self.cpu_shares,
                cpu_period_us=self.cpu_period,
                cpu_quota_us=self.cpu_quota,
                cpuset_cpus=self.cpuset_cpus,
                cpuset_mems=self.cpuset_mems,
                shm_bytes=self.shm_size,
                cgroup_parent=self.cgroup_parent,
                ulimits=tuple(graph.Ulimit(u.name, u.soft, u.hard) for u in self.ulimits),
            ),
        )


@route("POST", "/build/session", "BuildSessionCreate")
async def build_session_create(build: BuildStreams, body: SessionCreate) -> Created:
    """201."""
    session = await build.builder.sessions.create()
    session.credentials = decode_config_header(body.auth)
    session.secrets = {name: _bytes(name, text) for name, text in body.secrets.items()}
    if body.dockerfile is not None:
        session.dockerfile = _bytes("Dockerfile", body.dockerfile)
    return Created(SessionCreated(id=session.id))


def _bytes(name: str, text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidParameter(f"{name}: not base64") from error
    limit = sessions.SECRET_LIMIT
    if name != "Dockerfile" and len(value) > limit:
        raise InvalidParameter(f"invalid secret size {len(value)}, the limit is {limit}")
    return value


@route("POST", "/build/session/{id}/context", "BuildSessionContextCompare")
async def build_session_context_compare(
    build: BuildStreams, id: str, query: ContextQuery, request: Request
) -> list[str]:
    """200 and the paths that are missing; 404 no such session."""
    session = build.builder.sessions.get(id)
    text = await request.read(_FACTS_LIMIT)
    try:
        facts = msgspec.json.decode(text, type=list[contexts.FileFact])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"invalid description of a context: {error}") from error
    update, wanted = await build.builder.contexts.compare(query.key, facts)
    session.updates[query.name] = update
    return wanted


@route("PUT", "/build/session/{id}/context", "BuildSessionContextSend")
async def build_session_context_send(
    build: BuildStreams, id: str, query: ContextQuery, request: Request
) -> NoContent:
    """204; 404 no such session, or nothing was compared before."""
    session = build.builder.sessions.get(id)
    update = session.updates.pop(query.name, None)
    if update is None:
        raise NotFound(f"context {query.name!r} of this session was not described")
    session.contexts[query.name] = await update.finish(request.body_stream())
    return NoContent()


@route("PUT", "/build/session/{id}/archive", "BuildSessionArchive")
async def build_session_archive(build: BuildStreams, id: str, request: Request) -> NoContent:
    """204: the main context came as one archive, compressed or not; 404 no such session."""
    session = build.builder.sessions.get(id)
    session.contexts["context"] = await build.builder.contexts.receive(request.body_stream())
    return NoContent()


@route("POST", "/build/session/{id}/agent", "BuildSessionAgent")
async def build_session_agent(
    build: BuildStreams, id: str, query: AgentQuery, request: Request
) -> Hijacked:
    """101: the connection carries an SSH agent; 404 no such session."""
    session = build.builder.sessions.get(id)
    pipe = await request.hijack(content_type="application/vnd.moorage.agent")
    relay = agents.AgentRelay(build.builder.agents_root, pipe)
    session.agents[query.id] = relay.path
    try:
        await relay.run()
    finally:
        session.agents.pop(query.id, None)
        pipe.close()
    return Hijacked()


@route("POST", "/build/session/{id}/build", "BuildSessionBuild")
async def build_session_build(build: BuildStreams, id: str, body: SessionBuild) -> JsonStream:
    """200 and a stream of events; 400 wrong Dockerfile; 404 no such session."""
    session = build.builder.sessions.get(id)
    return JsonStream(build.events(body.options(build.builder.platform), session, id))


@route("GET", "/build/session/{id}/output", "BuildSessionOutput")
async def build_session_output(build: BuildStreams, id: str, query: OutputQuery) -> Stream:
    """200 and a tar; 404 no such session or output."""
    path = build.builder.sessions.get(id).outputs.get(query.kind)
    if path is None:
        raise NotFound(f"this build has no output of type {query.kind!r}")
    return Stream("application/x-tar", _file(path / "output.tar"))


async def _file(path: Path) -> AsyncIterator[bytes]:
    def produce(out: BinaryIO) -> None:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                out.write(chunk)

    async for chunk in bridge.iterate(produce):
        yield chunk


@route("DELETE", "/build/session/{id}", "BuildSessionDelete")
async def build_session_delete(build: BuildStreams, id: str) -> NoContent:
    """204, also if it is gone."""
    await build.builder.sessions.end(id)
    return NoContent()


@route("GET", "/build/history", "BuildHistoryList")
async def build_history_list(build: BuildStreams) -> list[PastBuild]:
    """200."""
    return build.builder.history.list()


@route("GET", "/build/history/{id}", "BuildHistoryInspect")
async def build_history_inspect(build: BuildStreams, id: str) -> PastBuild:
    """200; 404 no such build."""
    return build.builder.history.get(id)


@route("GET", "/build/history/{id}/log", "BuildHistoryLog")
async def build_history_log(build: BuildStreams, id: str) -> Stream:
    """200 and the events of the build, one a line; 404 no such build."""
    record = build.builder.history.get(id)

    async def lines() -> AsyncIterator[bytes]:
        for line in build.builder.history.log(record.id):
            yield line

    return Stream("application/json", lines())


@route("DELETE", "/build/history/{id}", "BuildHistoryDelete")
async def build_history_delete(build: BuildStreams, id: str) -> NoContent:
    """204; 404 no such build."""
    build.builder.history.remove(build.builder.history.get(id).id)
    return NoContent()

"""Routes of the ``Container`` tag."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, field

from moorage.api import attaching
from moorage.api.results import JSON, Created, Hijacked, NoContent, Raw, Stream, encode_json
from moorage.api.routing import route
from moorage.api.streams import stdcopy_frames, stream_type
from moorage.containers import commit
from moorage.images.service import parse_name
from moorage.lib import timestamps
from moorage.lib.errors import InvalidParameter
from moorage.logs.selection import Run, Selection
from moorage.spec import platforms
from moorage.spec.engine.container import (
    ContainerConfig,
    ContainerCreateRequest,
    ContainerInspectResponse,
    ContainerPruneResponse,
    ContainerSummary,
    ContainerTopResponse,
    ContainerUpdate,
    ContainerUpdateResponse,
    ContainerWaitExitError,
    ContainerWaitResponse,
    FilesystemChange,
    IDResponse,
)
from moorage.spec.engine.filters import Filters
from moorage.spec.engine.hostconfig import HostConfig

if TYPE_CHECKING:
    from moorage.api.request import Request
    from moorage.containers.service import Containers

_RECORDS: Final = re.compile(r"[0-9]{1,18}\Z")  # anything else is "all", as for dockerd
_TAR = "application/x-tar"
_PATH_STAT = "X-Docker-Container-Path-Stat"


class ListQuery(Struct, frozen=True):
    """Parameters of ``ContainerList``."""

    all: bool = False
    limit: int = 0
    size: bool = False
    filters: Filters = field(default_factory=Filters)
    before: str = ""  # before API 1.22
    since: str = ""


@route("GET", "/containers/json", "ContainerList")
async def container_list(containers: Containers, query: ListQuery) -> list[ContainerSummary]:
    """200; 400 unknown filter; 404 ``before`` or ``since`` names nothing."""
    return await containers.list_all(
        query.filters, every=query.all, limit=query.limit, size=query.size
    )


class CreateQuery(Struct, frozen=True):
    """Parameters of ``ContainerCreate``."""

    name: str = ""
    platform: str = ""


@route("POST", "/containers/create", "ContainerCreate")
async def container_create(
    containers: Containers, query: CreateQuery, body: ContainerCreateRequest
) -> Created:
    """201; 400 bad configuration; 404 no such image; 409 the name is taken."""
    networking = body.networking_config
    return Created(
        await containers.create(
            name=query.name,
            config=body.configuration(),
            host_config=body.host_config or HostConfig(),
            endpoints=(networking.endpoints_config if networking else None) or {},
            platform=platforms.parse(query.platform) if query.platform else None,
        )
    )


class SizeQuery(Struct, frozen=True):
    """Parameters of ``ContainerInspect``."""

    size: bool = False


@route("GET", "/containers/{id}/json", "ContainerInspect")
async def container_inspect(
    containers: Containers, id: str, query: SizeQuery
) -> ContainerInspectResponse:
    """200; 404 no such container."""
    return await containers.inspect(id, size=query.size)


class TopQuery(Struct, frozen=True):
    """Parameters of ``ContainerTop``."""

    ps_args: str = "-ef"


@route("GET", "/containers/{id}/top", "ContainerTop")
async def container_top(containers: Containers, id: str, query: TopQuery) -> ContainerTopResponse:
    """200; 404 no such container; 409 not running."""
    return await containers.top(id, query.ps_args)


class LogsQuery(Struct, frozen=True):
    """Parameters of ``ContainerLogs``."""

    follow: bool = False
    stdout: bool = False
    stderr: bool = False
    since: str = ""
    until: str = ""
    timestamps: bool = False
    details: bool = False
    tail: str = "all"


@route("GET", "/containers/{id}/logs", "ContainerLogs")
async def container_logs(
    containers: Containers, id: str, query: LogsQuery, request: Request
) -> Stream:
    """200; 400 no stream chosen or a bad time; 404 no such container; 501 unreadable driver."""
    if not query.stdout and not query.stderr:
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    container = containers.get(id)
    wanted = Selection(
        follow=query.follow,
        stdout=query.stdout,
        stderr=query.stderr,
        since_ns=_time("since", query.since),
        until_ns=_time("until", query.until),
        timestamps=query.timestamps,
        details=query.details,
        tail=int(query.tail) if _RECORDS.match(query.tail) else None,
    )
    tty = container.record.config.tty
    runs = containers.logs(id, wanted)
    return Stream(
        stream_type(tty=tty, version=request.version),
        _framed(runs, tty=tty),
    )


def _time(name: str, text: str) -> int:
    if not text or text == "0":
        return 0
    try:
        return timestamps.parse(text)
    except ValueError as error:
        raise InvalidParameter(f'invalid value for "{name}": {error}') from error


async def _framed(runs: AsyncIterator[Run], *, tty: bool) -> AsyncIterator[bytes]:
    async for stream, texts in runs:
        yield b"".join(texts) if tty else stdcopy_frames(stream, texts)


@route("GET", "/containers/{id}/changes", "ContainerChanges")
async def container_changes(containers: Containers, id: str) -> list[FilesystemChange] | Raw:
    """200, ``null`` for none; 404 no such container."""
    return await containers.changes(id) or Raw(b"null\n")


@route("GET", "/containers/{id}/export", "ContainerExport")
async def container_export(containers: Containers, id: str) -> Stream:
    """200; 404 no such container."""
    return Stream("application/octet-stream", containers.export(id), eager=False)


class StatsQuery(Struct, frozen=True):
    """Parameters of ``ContainerStats``."""

    stream: bool = True
    one_shot: bool = msgspec.field(default=False, name="one-shot")


@route("GET", "/containers/{id}/stats", "ContainerStats")
async def container_stats(containers: Containers, id: str, query: StatsQuery) -> object:
    """200; 404 no such container."""
    if query.stream and query.one_shot:
        raise InvalidParameter("cannot have stream=true and one-shot=true")
    if not query.stream:
        return await containers.stats(id, one_shot=query.one_shot)
    return Stream(JSON, _lines(containers.follow_stats(id)))


async def _lines(values: AsyncIterator[object]) -> AsyncIterator[bytes]:
    async for value in values:
        yield encode_json(value)


class ResizeQuery(Struct, frozen=True):
    """Size of a terminal."""

    h: int = 0
    w: int = 0


@route("POST", "/containers/{id}/resize", "ContainerResize")
async def container_resize(containers: Containers, id: str, query: ResizeQuery) -> None:
    """200; 404 no such container; 409 not running."""
    await containers.resize(id, query.h, query.w)


@route("POST", "/containers/{id}/start", "ContainerStart")
async def container_start(containers: Containers, id: str, request: Request) -> NoContent:
    """204; 304 runs already; 400 a body, the command cannot be run; 404 no such container."""
    if request.body_length is None or request.body_length > len(b"{null}\n"):
        raise InvalidParameter(
            "starting container with non-empty request body was deprecated since API v1.22 and"
            " removed in v1.24"
        )
    return NoContent(changed=await containers.start(id))


class StopQuery(Struct, frozen=True):
    """Parameters of ``ContainerStop`` and ``ContainerRestart``."""

    signal: str | None = None
    t: int | None = None  # seconds before SIGKILL; -1 waits for ever


@route("POST", "/containers/{id}/stop", "ContainerStop")
async def container_stop(containers: Containers, id: str, query: StopQuery) -> NoContent:
    """204 stopped; 304 was not running; 404 no such container."""
    return NoContent(changed=await containers.stop(id, signal=query.signal, timeout_s=query.t))


@route("POST", "/containers/{id}/restart", "ContainerRestart")
async def container_restart(containers: Containers, id: str, query: StopQuery) -> NoContent:
    """204; 404 no such container."""
    await containers.restart(id, signal=query.signal, timeout_s=query.t)
    return NoContent()


class KillQuery(Struct, frozen=True):
    """Parameters of ``ContainerKill``."""

    signal: str = ""


@route("POST", "/containers/{id}/kill", "ContainerKill")
async def container_kill(containers: Containers, id: str, query: KillQuery) -> NoContent:
    """204; 404 no such container; 409 not running."""
    await containers.kill(id, query.signal)
    return NoContent()


@route("POST", "/containers/{id}/update", "ContainerUpdate")
async def container_update(
    containers: Containers, id: str, body: ContainerUpdate
) -> ContainerUpdateResponse:
    """200; 400 impossible limit; 404 no such container; 409 contradiction."""
    return ContainerUpdateResponse(warnings=await containers.update(id, body))


class RenameQuery(Struct, frozen=True):
    """Parameters of ``ContainerRename``."""

    name: str = ""


@route("POST", "/containers/{id}/rename", "ContainerRename")
async def container_rename(containers: Containers, id: str, query: RenameQuery) -> NoContent:
    """204; 400 bad name; 404 no such container; 409 taken."""
    await containers.rename(id, query.name)
    return NoContent()


@route("POST", "/containers/{id}/pause", "ContainerPause")
async def container_pause(containers: Containers, id: str) -> NoContent:
    """204; 404 no such container; 409 not running, or paused."""
    await containers.pause(id)
    return NoContent()


@route("POST", "/containers/{id}/unpause", "ContainerUnpause")
async def container_unpause(containers: Containers, id: str) -> NoContent:
    """204; 404 no such container; 409 not paused."""
    await containers.unpause(id)
    return NoContent()


class AttachQuery(Struct, frozen=True):
    """Parameters of ``ContainerAttach``."""

    detach_keys: str = msgspec.field(default="", name="detachKeys")
    logs: bool = False
    stream: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False


@route("POST", "/containers/{id}/attach", "ContainerAttach")
async def container_attach(
    containers: Containers, id: str, query: AttachQuery, request: Request
) -> Hijacked:
    """101 or 200; 400 bad detach keys; 404 no such container; 409 paused."""
    session = await attaching.open_session(containers, id, query)
    tty = session.container.record.config.tty
    try:
        duplex = await request.hijack(content_type=stream_type(tty=tty, version=request.version))
    except BaseException:
        await session.close()
        raise
    await attaching.serve(containers, session, duplex, framed=not tty)
    return Hijacked()


@route("GET", "/containers/{id}/attach/ws", "ContainerAttachWebsocket")
async def container_attach_websocket(
    containers: Containers, id: str, query: AttachQuery, request: Request
) -> Hijacked:
    """101; 400 not a WebSocket; 404 no such container; 409 paused."""
    session = await attaching.open_session(containers, id, query)
    try:
        duplex = await request.websocket()
    except BaseException:
        await session.close()
        raise
    await attaching.serve(containers, session, duplex, framed=False)
    return Hijacked()


class WaitQuery(Struct, frozen=True):
    """Parameters of ``ContainerWait``."""

    condition: str = ""


@route("POST", "/containers/{id}/wait", "ContainerWait")
async def container_wait(containers: Containers, id: str, query: WaitQuery) -> Stream:
    """200, the head at once and the body with the end; 400 bad condition; 404."""
    future = containers.wait(id, query.condition)

    async def body() -> AsyncIterator[bytes]:
        ended = await future
        error = ContainerWaitExitError(message=ended.error) if ended.error else msgspec.UNSET
        yield encode_json(ContainerWaitResponse(status_code=ended.exit_code, error=error))

    return Stream(JSON, body())


class DeleteQuery(Struct, frozen=True):
    """Parameters of ``ContainerDelete``."""

    v: bool = False
    force: bool = False
    link: bool = False


@route("DELETE", "/containers/{id:path}", "ContainerDelete")
async def container_delete(containers: Containers, id: str, query: DeleteQuery) -> NoContent:
    """204; 404 no such container; 409 runs."""
    await containers.remove(id, force=query.force, volumes=query.v, link=query.link)
    return NoContent()


class PathQuery(Struct, frozen=True):
    """Parameters of the archive operations."""

    path: str = ""
    no_overwrite_dir_non_dir: bool = msgspec.field(default=False, name="noOverwriteDirNonDir")
    copy_uid_gid: bool = msgspec.field(default=False, name="copyUIDGID")


@route("HEAD", "/containers/{id}/archive", "ContainerArchiveInfo")
async def container_archive_info(containers: Containers, id: str, query: PathQuery) -> Raw:
    """200 with the path's state in a header; 404 no such container or path."""
    return Raw(b"", headers=await _path_stat(containers, id, query.path))


@route("GET", "/containers/{id}/archive", "ContainerArchive")
async def container_archive(containers: Containers, id: str, query: PathQuery) -> Stream:
    """200 a tar; 404 no such container or path."""
    headers = await _path_stat(containers, id, query.path)
    return Stream(_TAR, containers.get_archive(id, query.path), headers=headers, eager=False)


async def _path_stat(containers: Containers, id: str, path: str) -> dict[str, str]:
    found = await containers.archive_info(id, path)
    return {_PATH_STAT: base64.b64encode(msgspec.json.encode(found)).decode()}


@route("PUT", "/containers/{id}/archive", "PutContainerArchive")
async def put_container_archive(
    containers: Containers, id: str, query: PathQuery, request: Request
) -> None:
    """200; 400 no directory or a broken archive; 403 read-only; 404 no such container or path."""
    await containers.put_archive(
        id,
        query.path,
        request.body_stream(),
        keep_kinds=query.no_overwrite_dir_non_dir,
        owner_of_container=query.copy_uid_gid,
    )


class PruneQuery(Struct, frozen=True):
    """Parameters of ``ContainerPrune``."""

    filters: Filters = field(default_factory=Filters)


@route("POST", "/containers/prune", "ContainerPrune")
async def container_prune(containers: Containers, query: PruneQuery) -> ContainerPruneResponse:
    """200; 400 unknown filter."""
    return await containers.prune(query.filters)


class CommitQuery(Struct, frozen=True):
    """Parameters of ``ImageCommit``."""

    container: str = ""
    repo: str = ""
    tag: str = ""
    comment: str = ""
    author: str = ""
    pause: bool = True
    changes: list[str] = field(default_factory=list)


@route("POST", "/commit", "ImageCommit")
async def image_commit(
    containers: Containers, query: CommitQuery, body: ContainerConfig
) -> Created:
    """201; 400 bad change or name; 404 no such container; 409 being removed."""
    options = commit.CommitOptions(
        name=parse_name(query.repo, query.tag) if query.repo else None,
        comment=query.comment,
        author=query.author,
        pause=query.pause,
        changes=[line for text in query.changes for line in text.splitlines() if line.strip()],
        config=body,
    )
    image = await containers.commit(query.container, options)
    return Created(IDResponse(id=image.id))

"""Routes of the ``Exec`` tag."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from moorage.api import attaching
from moorage.api.results import Created, Hijacked
from moorage.api.routing import route
from moorage.api.streams import STDOUT, stdcopy_frame, stream_type
from moorage.containers import detach_keys, terminal
from moorage.containers.exec import require_runnable
from moorage.lib.errors import Conflict, MoorageError
from moorage.spec.engine.container import IDResponse
from moorage.spec.engine.exec import ExecConfig, ExecInspectResponse, ExecStartConfig

if TYPE_CHECKING:
    from moorage.api.request import Duplex, Request
    from moorage.containers.exec_session import ExecSession
    from moorage.containers.service import Containers


@route("POST", "/containers/{id}/exec", "ContainerExec")
async def container_exec(containers: Containers, id: str, body: ExecConfig) -> Created:
    """201; 400 no command; 404 no such container; 409 not running, or paused."""
    session = containers.execs.create(containers.get(id), body)
    return Created(IDResponse(id=session.id))


@route("POST", "/exec/{id}/start", "ExecStart")
async def exec_start(
    containers: Containers, id: str, body: ExecStartConfig, request: Request
) -> Hijacked | None:
    """200 detached, or 101/200 and the streams; 404 no such exec; 409 ran already, not running."""
    session = containers.execs.get(id)
    if session.started:
        raise Conflict(f"Error: Exec command {id} has already run")
    require_runnable(session.container)
    size = _size(body.console_size or session.config.console_size)
    if body.detach:
        await containers.execs.start(session, attach=False, console_size=size)
        return None
    keys = detach_keys.parse(session.config.detach_keys) if session.config.tty else None
    duplex = await request.hijack(content_type=stream_type(tty=body.tty, version=request.version))
    with suppress(ConnectionError):
        await _serve(containers, session, duplex, framed=not body.tty, keys=keys, size=size)
        await duplex.write_eof()
    return Hijacked()


async def _serve(
    containers: Containers,
    session: ExecSession,
    duplex: Duplex,
    *,
    framed: bool,
    keys: bytes | None,
    size: tuple[int, int] | None,
) -> None:
    """Start and copy; what goes wrong is told in the stream, for the status is out already.

    *framed*: as the one who starts it wants it, whether there is a terminal or not.
    """
    try:
        attachment = await containers.execs.start(session, attach=True, console_size=size)
    except MoorageError as error:
        text = f"{error}\r\n".encode()
        await duplex.write(stdcopy_frame(STDOUT, text) if framed else text)
        return
    assert attachment is not None  # noqa: S101 - it was asked for
    try:
        if await attaching.copy(duplex, attachment, framed=framed, keys=keys):
            containers.execs.detached(session)
        else:  # a client asks for the exit code as soon as its stream ends
            await session.end_noted.wait()
    finally:
        await attachment.close()


def _size(pair: list[int] | None) -> tuple[int, int] | None:
    """Read a console size; None if none is given. Raises: InvalidParameter."""
    size = terminal.size(pair)
    return size if any(size) else None


class ResizeQuery(Struct, frozen=True):
    """Size of a terminal."""

    h: int = 0
    w: int = 0


@route("POST", "/exec/{id}/resize", "ExecResize")
async def exec_resize(containers: Containers, id: str, query: ResizeQuery) -> None:
    """200; 404 no such exec; 409 does not run."""
    session = containers.execs.get(id)
    await containers.execs.resize(session, query.h, query.w)


@route("GET", "/exec/{id}/json", "ExecInspect")
def exec_inspect(containers: Containers, id: str) -> ExecInspectResponse:
    """200; 404 no such exec."""
    return containers.execs.inspect(containers.execs.get(id))

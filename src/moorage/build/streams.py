"""A build as a stream of values: in the shape of Docker's first builder, or event by event.

The build runs as a task of its own, and is cancelled when the reader of the stream goes away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, field

from moorage.build.classic import ClassicView, Memory, failure, success
from moorage.build.failures import BuildFailed
from moorage.build.options import BuildOptions
from moorage.build.progress import Event, Progress, StatusEvent
from moorage.build.service import Builder, BuildResult, Plan
from moorage.build.session import Session
from moorage.lib.errors import MoorageError
from moorage.lib.tasks import Supervisor
from moorage.registry.credentials import Credentials
from moorage.spec import reference
from moorage.spec.engine.build import ImageID
from moorage.spec.engine.system import ErrorDetail

if TYPE_CHECKING:
    from moorage.build.frontends.dockerfile.convert import Converted
    from moorage.build.frontends.dockerfile.lint import Warning_

Put = Callable[[object], None]


class StreamLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the classic stream: the document's ``BuildInfo`` without what is empty."""

    stream: str = ""
    status: str = ""  # of a base image that is pulled
    id: str = ""
    aux: ImageID | None = None


class StreamError(Struct, frozen=True, kw_only=True):
    """The last line of a stream that failed, by which clients know."""

    error_detail: ErrorDetail = field(name="errorDetail")
    error: str


class Finished(Struct, frozen=True, kw_only=True, tag="result", rename="camel"):
    """The last line of a stream of events."""

    image_id: str = ""
    tags: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()  # kinds to be fetched from the session


class Failed(Struct, frozen=True, kw_only=True, tag="failure", rename="camel", omit_defaults=True):
    """The last line of a stream of events whose build failed."""

    message: str
    hint: str = ""
    frame: str = ""
    vertex: str = ""
    code: int = 1
    debug_image: str = ""


async def run(work: Callable[[Put], Awaitable[None]], owner: Supervisor) -> AsyncIterator[object]:
    """Yield what *work* puts, until it ends; raise what it raises."""
    queue: asyncio.Queue[object] = asyncio.Queue()
    end = object()

    async def body() -> None:
        try:
            await work(queue.put_nowait)
        finally:
            queue.put_nowait(end)

    task = owner.start(body(), "build")
    try:
        while (value := await queue.get()) is not end:
            yield value
        await task
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])


class BuildStreams:
    """Makes streams for requests."""

    def __init__(self, builder: Builder, supervisor: Supervisor) -> None:
        self.builder = builder
        self._supervisor = supervisor

    def classic(
        self,
        options: BuildOptions,
        credentials: dict[str, Credentials],
        body: AsyncIterator[bytes],
        build_id: str,
    ) -> AsyncIterator[object]:
        """Build from the tar in *body*; what ``docker build`` shows.

        Raises, before the first value: InvalidParameter and the like, for a wrong request.
        """

        async def work(put: Put) -> None:
            session = await self.builder.sessions.create()
            session.credentials = credentials
            try:
                with session.building():
                    await self._classic(options, session, body, build_id, put)
            finally:
                await self.builder.sessions.end(session.id)

        return run(work, self._supervisor)

    async def _classic(
        self,
        options: BuildOptions,
        session: Session,
        body: AsyncIterator[bytes],
        build_id: str,
        put: Put,
    ) -> None:
        builder = self.builder
        if not options.remote:
            session.contexts["context"] = await builder.contexts.receive(body)
        plan = await builder.prepare(options, session)
        await builder.ignore(plan)
        progress = Progress()

        view = _ClassicOutput(plan, put, builder.states)
        progress.listen(view.pulled)
        try:
            result = await builder.build(
                plan,
                progress,
                build_id=build_id,
                on_plan=partial(view.planned, progress),
            )
        except BuildFailed as error:
            message = failure(error.command, error.code) if error.command else str(error)
            view.fail(_stream_error(message, error.code))
            return
        except MoorageError as error:
            if view.steps is None:
                raise
            view.fail(_stream_error(str(error), 1))
            return
        view.end(result)

    def events(
        self,
        options: BuildOptions,
        session: Session,
        build_id: str,
    ) -> AsyncIterator[object]:
        """Build what the session holds; every event as it is, then a result or a failure."""

        async def work(put: Put) -> None:
            with session.building():
                await self._events(options, session, build_id, put)

        return run(work, self._supervisor)

    async def _events(
        self, options: BuildOptions, session: Session, build_id: str, put: Put
    ) -> None:
        plan = await self.builder.prepare(options, session, dockerfile=session.dockerfile)
        await self.builder.ignore(plan)
        progress = Progress()
        if options.check:
            for warning in await self.builder.check(plan):
                put(self.builder.warning_event(plan, warning))
            put(Finished())
            return
        progress.listen(put)
        try:
            result = await self.builder.build(plan, progress, build_id=build_id)
        except BuildFailed as error:
            vertex = error.vertex.digest if error.vertex is not None else ""
            put(
                Failed(
                    message=error.message,
                    hint=error.hint or "",
                    frame=error.frame,
                    vertex=vertex,
                    code=error.code,
                    debug_image=error.debug_image,
                )
            )
            return
        except MoorageError as error:
            put(Failed(message=error.message, hint=error.hint or ""))
            return
        put(
            Finished(
                image_id=result.image_id or "",
                tags=result.tags,
                outputs=tuple(session.outputs),
            )
        )


class _ClassicOutput:
    """What a build by the classic API writes."""

    def __init__(self, plan: Plan, put: Put, memory: Memory) -> None:
        self._plan = plan
        self._put = put
        self._memory = memory
        self._held: list[StreamLine] = []
        self.steps: ClassicView | None = None

    def _write(self, text: str) -> None:
        line = StreamLine(stream=text)
        if self._plan.options.quiet:
            self._held.append(line)
        else:
            self._put(line)

    def fail(self, error: StreamError) -> None:
        """End with an error; a quiet build tells now what it has kept to itself."""
        for line in self._held:
            self._put(line)
        self._put(error)

    def pulled(self, event: Event) -> None:
        """Show the progress of a base image."""
        if self._plan.options.quiet or not isinstance(event, StatusEvent):
            return
        if event.id.startswith("pull "):
            self._put(StreamLine(status=event.name, id=event.id.removeprefix("pull ")))

    def planned(self, progress: Progress, converted: Converted) -> None:
        """Show the steps as *progress* tells of them."""
        arguments = [arg.line.original for arg in self._plan.dockerfile.global_args]
        self.steps = ClassicView(
            converted,
            arguments,
            self._write,
            self._memory,
            no_cache=self._plan.options.no_cache,
        )
        progress.listen(self.steps.hear)

    def end(self, result: BuildResult) -> None:
        """Write the last lines."""
        if self.steps is not None:
            self.steps.finish()
        options = self._plan.options
        if result.unused_args:
            names = " ".join(result.unused_args)
            self._write(f"[Warning] One or more build-args [{names}] were not consumed\n")
        for warning in result.warnings:
            self._write(f"[Warning] {_short(warning, options.dockerfile)}\n")
        if result.image_id is None:
            return
        if options.quiet:
            self._put(StreamLine(stream=f"{result.image_id}\n"))
            return
        self._put(StreamLine(aux=ImageID(id=result.image_id)))
        tags = [reference.parse_with_default_tag(name).familiar for name in options.tags]
        for text in success(result.image_id, tags):
            self._write(text)


def _stream_error(message: str, code: int) -> StreamError:
    return StreamError(error_detail=ErrorDetail(code=code, message=message), error=message)


def _short(warning: Warning_, dockerfile: str) -> str:
    return f"{warning.rule}: {warning.detail} ({dockerfile}:{warning.span.start})"

"""From a request to a build that may begin: session, Dockerfile, ignore file, plan."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from moorage.build import ignore
from moorage.build.ignore import Matcher
from moorage.buildkit import attributes
from moorage.buildkit.attributes import Request
from moorage.buildkit.explaining import explained
from moorage.buildkit.session import contexts
from moorage.buildkit.session.client import SessionClient
from moorage.buildkit.wire.session import BytesMessage
from moorage.grpc import message
from moorage.lib import tasks
from moorage.lib.errors import InvalidParameter, MoorageError, NotFound, NotImplemented_
from moorage.lib.tasks import Supervisor

if TYPE_CHECKING:
    from moorage.build.service import Builder, Plan
    from moorage.build.session import Session
    from moorage.buildkit.session.links import Link
    from moorage.buildkit.status import Narrator
    from moorage.buildkit.wire.control import CacheOption, SolveRequest

_CONTEXT: Final = "context"
_UPLOAD: Final = "/moby.upload.v1.Upload/Pull"
_LOCAL: Final = "local:"


@dataclass(slots=True)
class Prepared:
    """A build whose Dockerfile has been read; its files are the client's still."""

    plan: Plan
    link: Link | None


class Preparations:
    """Makes builds ready for one solve; what they hold is let go when the solve ends."""

    def __init__(
        self,
        builder: Builder,
        request: SolveRequest,
        link: Link | None,
        narrator: Narrator,
        undo: AsyncExitStack,
    ) -> None:
        self._builder = builder
        self._request = request
        self._link = link
        self._narrator = narrator
        self._undo = undo
        self._work = Supervisor("solve")

    async def close(self) -> None:
        """End what is still being prepared, for callers that may have gone."""
        await self._work.close()

    async def prepare(
        self, frontend: str, attrs: Mapping[str, str], cache_from: Sequence[CacheOption]
    ) -> Prepared:
        """Read the Dockerfile and what stands beside it.

        Raises: CallFailed, with the place in the Dockerfile; ConnectionError.
        Cancel: it goes on, until the solve ends.
        """
        try:
            return await self._work_out(frontend, attrs, cache_from)
        except MoorageError as error:
            raise explained(error) from error

    async def _work_out(
        self, frontend: str, attrs: Mapping[str, str], cache_from: Sequence[CacheOption]
    ) -> Prepared:
        request = attributes.read(
            frontend,
            attrs,
            solve=self._request,
            cache_from=cache_from,
            host=self._builder.platform,
        )
        if request.subrequest:
            raise NotImplemented_(
                f"the subrequest {request.subrequest} of the frontend is not built"
            )
        return await tasks.finish(self._prepare(request, self._link), self._work, "prepare")

    async def _prepare(self, request: Request, link: Link | None) -> Prepared:
        session = await self._session()
        dockerfile: bytes | None = None
        if link is not None:
            client = SessionClient(link, self._builder.contexts, self._builder.agents_root)
            self._undo.push_async_callback(client.close)
            session.client = client
            self._name_directories(request, client)
            if request.upload:
                await self._take_upload(request.upload, link, session)
            if request.dockerfile:
                dockerfile = await self._local(request, link, session, client)
        elif not request.options.remote:
            raise InvalidParameter("the solve names no session, and a context has to come by one")
        plan = await self._builder.prepare(request.options, session, dockerfile=dockerfile)
        if dockerfile is None:
            await self._builder.ignore(plan)
        return Prepared(plan, link)

    async def _session(self) -> Session:
        session = await self._builder.sessions.create()
        self._undo.push_async_callback(self._builder.sessions.end, session.id)
        self._undo.enter_context(session.building())
        return session

    @staticmethod
    def _name_directories(request: Request, client: SessionClient) -> None:
        if request.context:
            client.directories[_CONTEXT] = request.context
        for name, where in request.options.contexts.items():
            if where.startswith(_LOCAL):
                client.directories[name] = where.removeprefix(_LOCAL)

    async def _local(
        self,
        request: Request,
        link: Link,
        session: Session,
        client: SessionClient,
    ) -> bytes:
        """Read the Dockerfile and its ignore file out of the client's directories."""
        name = request.options.dockerfile
        with self._narrator.step(f"[internal] load build definition from {name}") as step:
            beside = f"{name}.dockerignore"
            lower = posixpath.join(posixpath.dirname(name), "dockerfile")
            names = [name, beside, *([lower] if posixpath.basename(name) == "Dockerfile" else [])]
            found = await contexts.read_small(link, request.dockerfile, names)
            text = found.get(name, found.get(lower))
            if text is None:
                raise NotFound(f"failed to read dockerfile: open {name}: no such file or directory")
            step.part("transferring dockerfile:", len(text), completed=True)
        if not request.context:
            return text
        with self._narrator.step("[internal] load .dockerignore") as step:
            rules = found.get(beside)
            if rules is None:
                found = await contexts.read_small(link, request.context, [".dockerignore"])
                rules = found.get(".dockerignore", b"")
            step.part("transferring context:", len(rules), completed=True)
        patterns = ignore.parse(rules)
        if patterns:
            session.ignored = Matcher(patterns)
            client.ignored[_CONTEXT] = tuple(patterns)
        return text

    async def _take_upload(self, name: str, link: Link, session: Session) -> None:
        """Take the archive that the client was given on its standard input."""
        async with upload(link, name) as body:
            session.contexts[_CONTEXT] = await self._builder.contexts.receive(body)


@asynccontextmanager
async def upload(link: Link, name: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """Yield the pieces of what the client uploads as *name*. Raises: InvalidParameter."""
    if not link.offers(_UPLOAD):
        raise InvalidParameter("the client offers no upload, and its context is one")
    metadata = [("urlpath", f"/{name}"), ("urlhost", "buildkit-session")]
    async with link.channel.call(_UPLOAD, metadata) as stream:
        await stream.send(end=True)

        async def pieces() -> AsyncIterator[bytes]:
            while (data := await stream.receive()) is not None:
                yield message.decode(BytesMessage, data).data
            stream.check()

        yield pieces()

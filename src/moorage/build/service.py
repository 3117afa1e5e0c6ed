"""The builder of the daemon: takes options and files, gives images.

``build`` is the road of every build, whoever asked for it: context, Dockerfile, checks, graph,
solver, image, outputs. ``api`` wraps it in the stream of the classic builder or of ``moor``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from moorage.build import contextfiles, entitlements, image, remotes
from moorage.build.cache import Cache
from moorage.build.classic import Memory
from moorage.build.contextfiles import ContextFiles
from moorage.build.contexts import Contexts
from moorage.build.exporters.export import Exporters
from moorage.build.exporters.product import Product
from moorage.build.failures import BuildFailed
from moorage.build.frontends.dockerfile import convert as converting
from moorage.build.frontends.dockerfile import lint, parser
from moorage.build.frontends.dockerfile import source as sources
from moorage.build.graph import GitSource, HttpSource
from moorage.build.history import History, PastBuild
from moorage.build.needs import BaseImage, ImageFinder
from moorage.build.operations.copying import is_archive
from moorage.build.operations.running import CommandFailed
from moorage.build.operations.worker import BuildJob, DaemonWorker
from moorage.build.options import BuildOptions
from moorage.build.progress import Event, Progress, StatusEvent, VertexEvent, WarningEvent
from moorage.build.result import Files, Snapshot
from moorage.build.session import Session, Sessions
from moorage.build.settings import Settings
from moorage.build.solver import Build, Solver, VertexFailed
from moorage.build.transfer.document import Travelling, collect
from moorage.build.transfer.service import Transfers
from moorage.build.upkeep import Upkeep
from moorage.cdi.directories import Directories
from moorage.lib import clock, ids, offload
from moorage.lib.errors import InvalidParameter, MoorageError, NotFound, System
from moorage.spec.digest import Digest
from moorage.spec.platforms import Platform

if TYPE_CHECKING:
    from moorage.build.frontends.dockerfile.convert import Converted
    from moorage.build.frontends.dockerfile.lint import Linter, Warning_
    from moorage.build.frontends.dockerfile.parser import Dockerfile

_SYNTAX: Final = ("docker/dockerfile", "docker.io/docker/dockerfile")


class BuildResult(Struct, frozen=True, kw_only=True):
    """What a build gave."""

    image_id: Digest | None
    tags: tuple[str, ...] = ()
    warnings: tuple[Warning_, ...] = ()
    unused_args: tuple[str, ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """A build whose Dockerfile has been read."""

    options: BuildOptions
    session: Session
    dockerfile: Dockerfile
    linter: Linter


class Builder:
    """One for the daemon."""

    def __init__(
        self,
        *,
        cache: Cache,
        contexts: Contexts,
        history: History,
        solver: Solver,
        worker: DaemonWorker,
        images: ImageFinder,
        transfers: Transfers,
        agents_root: Path,
        exporters: Exporters,
        settings: Settings,
        upkeep: Upkeep,
        cdi: Directories,
    ) -> None:
        self.sessions = Sessions()
        self.contexts = contexts
        self.agents_root = agents_root  # on tmpfs: sockets that lead to clients' agents
        self.history = history
        self._cache = cache
        self._solver = solver
        self._worker = worker
        self._images = images
        self._transfers = transfers
        self._exporters = exporters
        self._settings = settings
        self.upkeep = upkeep
        self._cdi = cdi
        self._running: dict[str, asyncio.Task[object]] = {}

    @property
    def platform(self) -> Platform:
        """Return the platform of this machine."""
        return self._settings.platform

    @property
    def states(self) -> Memory:
        """Return what knows the states that earlier builds have been in."""
        return self._cache

    def open(self) -> None:
        """Load the history; remove what builds of a former daemon left."""
        self.history.open()
        self.contexts.open()
        self._exporters.open()

    # --- before the first step -----------------------------------------------------------------

    async def prepare(
        self, options: BuildOptions, session: Session, *, dockerfile: bytes | None = None
    ) -> Plan:
        """Find and read the Dockerfile; *dockerfile* is its text if it is not in the context.

        Raises: DockerfileError, NotFound, InvalidParameter.
        """
        main = session.contexts.get(converting.CONTEXT)
        if main is None and (dockerfile is None or session.client is None):
            main = session.contexts[converting.CONTEXT] = self.contexts.empty()
        if options.remote:
            dockerfile = await self._fetch_context(options, session, dockerfile)
        name = options.dockerfile or "Dockerfile"
        if dockerfile is None:
            main = session.contexts[converting.CONTEXT]
            dockerfile = await offload.run("fs", _find_dockerfile, main, name)
        parsed = parser.parse(dockerfile, name)
        _check_syntax(parsed)
        linter = lint.Linter(parsed, options.build_args.get("BUILDKIT_DOCKERFILE_CHECK"))
        linter.check_text()
        converting.find_target(parsed, options.target)
        return Plan(options=options, session=session, dockerfile=parsed, linter=linter)

    async def ignore(self, plan: Plan) -> None:
        """Take what ``.dockerignore`` excludes out of a context that came whole."""
        main = plan.session.contexts[converting.CONTEXT]
        plan.session.ignored = await offload.run("fs", main.ignore, plan.options.dockerfile)

    async def _fetch_context(
        self, options: BuildOptions, session: Session, dockerfile: bytes | None
    ) -> bytes | None:
        """Fetch a remote context: a repository, an archive, or a single Dockerfile, returned."""
        git = remotes.parse_git(options.remote)
        if git is not None:
            keep = options.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR") in {"1", "true"}
            found = await self._worker.fetch(
                GitSource(
                    url=git.url,
                    ref=git.ref,
                    subdirectory=git.subdirectory,
                    keep_git_directory=keep,
                ),
                session,
            )
            main = ContextFiles(found.root, identity=found.identity)
        elif remotes.is_url(options.remote):
            found = await self._worker.fetch(HttpSource(url=options.remote), session)
            main = self.contexts.empty()
            path = found.root / found.file
            if await offload.run("fs", _is_archive, found):
                with path.open("rb") as file:
                    await offload.run("fs", contextfiles.unpack, main.root, file)
            else:
                dockerfile = await offload.run("fs", contextfiles.read_file, found.root, found.file)
        else:
            raise InvalidParameter(
                f"remote context {options.remote!r} is neither a Git repository nor an http(s) URL"
            )
        session.contexts[converting.CONTEXT] = main
        return dockerfile

    # --- the build -----------------------------------------------------------------------------

    async def check(self, plan: Plan) -> list[Warning_]:
        """Apply the checks without building."""
        await self._convert(plan, self._platforms(plan.options)[0], Progress())
        return plan.linter.warnings

    @staticmethod
    def warning_event(plan: Plan, warning: Warning_) -> WarningEvent:
        """Return a finding with the lines it is about."""
        return WarningEvent(
            rule=warning.rule,
            detail=warning.detail,
            url=warning.url,
            frame=plan.dockerfile.source.frame(warning.span),
            line=warning.span.start,
        )

    async def build(
        self,
        plan: Plan,
        progress: Progress,
        *,
        build_id: str = "",
        on_plan: Callable[[Converted], None] | None = None,
    ) -> BuildResult:
        """Build.

        *on_plan* is told what will be done before it is.
        Raises: BuildFailed, DockerfileError, NotFound, InvalidParameter, Forbidden.
        Cancel: everything of this build alone is undone.
        """
        identity = ids.new_id()[:25]
        record = self._begin(identity, plan)
        listener, close = self.history.recorder(identity)
        steps: dict[str, bool] = {}

        def count(event: Event) -> None:
            listener(event)
            if isinstance(event, VertexEvent) and event.completed_ns:
                steps[event.id] = event.cached

        progress.listen(count)
        outcome: dict[str, str] = {"status": "cancelled"}
        names = {identity, build_id} - {""}
        self.upkeep.begin(record.created_ns)
        task = asyncio.current_task()
        if task is not None:
            self._running.update(dict.fromkeys(names, task))
        try:
            with _host_errors():
                result = await self._build(identity, plan, progress, on_plan)
            outcome = {"status": "completed", "image_id": result.image_id or ""}
        except MoorageError as error:
            outcome = {"status": "error", "error": str(error)}
            raise
        finally:
            for name in names:
                self._running.pop(name, None)
            close()
            self.upkeep.end(record.created_ns)
            self.history.finish(
                replace(
                    record,
                    completed_ns=clock.now_ns(),
                    steps=len(steps),
                    cached_steps=sum(steps.values()),
                    warnings=len(plan.linter.warnings),
                    **outcome,
                )
            )
        return result

    def _begin(self, identity: str, plan: Plan) -> PastBuild:
        options = plan.options
        record = PastBuild(
            id=identity,
            name=options.tags[0] if options.tags else options.dockerfile,
            tags=options.tags,
            dockerfile=options.dockerfile,
            target=options.target,
            status="running",
            created_ns=clock.now_ns(),
            platform=",".join(str(p) for p in self._platforms(options)),
        )
        self.history.save(record)
        return record

    async def _build(
        self,
        identity: str,
        plan: Plan,
        progress: Progress,
        on_plan: Callable[[Converted], None] | None,
    ) -> BuildResult:
        options = plan.options
        converted = [await self._convert(plan, p, progress) for p in self._platforms(options)]
        for warning in plan.linter.warnings:
            progress.emit(self.warning_event(plan, warning))
        plan.linter.fail_on_warnings()
        if on_plan is not None:
            on_plan(converted[0])
        incoming = await self._transfers.read(
            options, plan.session, converted[0].platform, progress
        )
        job = BuildJob(
            Build(identity, progress), plan.session, options.limits, options.epoch_s, incoming
        )
        try:
            products = [await self._solve(plan, item, job) for item in converted]
            records = self._records(products, job)
            if self._transfers.is_inline(options):
                for product in products:
                    product.inline_cache = records["min"]
            image_id = await self._exporters.export(
                products, options, plan.session, identity, progress
            )
            await self._transfers.write(options, plan.session, records)
        finally:
            for held in job.held:
                self._cache.release(held)
        return BuildResult(
            image_id=image_id,
            tags=options.tags,
            warnings=tuple(plan.linter.warnings),
            unused_args=tuple(converted[0].unused_args),
        )

    def _records(self, products: list[Product], job: BuildJob) -> dict[str, list[Travelling]]:
        """Return what of the cache may travel with this build, by mode."""
        return {
            mode: [
                record
                for product in products
                for record in collect(
                    self._cache, product.converted.vertex, job, everything=mode == "max"
                )
            ]
            for mode in ("min", "max")
        }

    def _platforms(self, options: BuildOptions) -> tuple[Platform, ...]:
        return options.platforms or (self._settings.platform,)

    async def _convert(self, plan: Plan, platform: Platform, progress: Progress) -> Converted:
        options = plan.options
        return await converting.convert(
            converting.Request(
                dockerfile=plan.dockerfile,
                options=options,
                images=_ClientImages(self._images, plan.session, progress),
                build_platform=self._settings.platform,
                target_platform=platform,
                session=plan.session.id,
                linter=plan.linter,
                ignored=plan.session.ignored,
                granted=entitlements.grant(options.allow, self._settings.entitlements),
                read_devices=self._cdi.read,
            )
        )

    async def _solve(self, plan: Plan, converted: Converted, job: BuildJob) -> Product:
        started_ns = clock.now_ns()
        try:
            result = await self._solver.solve(converted.vertex, job)
        except VertexFailed as failure:
            raise await self._explain(plan, converted, failure) from failure
        if not isinstance(result, Snapshot):
            raise System("the target of a build is not a file system")
        config = image.configuration(
            converted,
            result.layers,
            self._outcomes(converted, job),
            now_ns=clock.now_ns(),
            epoch_s=plan.options.epoch_s,
        )
        return Product(
            converted=converted,
            snapshot=result,
            config=config,
            base_layers=converted.target.base_layers,
            dockerfile=plan.dockerfile,
            started_ns=started_ns,
        )

    def _outcomes(self, converted: Converted, job: BuildJob) -> dict[Digest, image.StepOutcome]:
        """Return what became of each step: did it make a layer, and when."""
        found: dict[Digest, image.StepOutcome] = {}
        for vertex in converted.vertex.walk():
            task = job.solved.get(vertex.digest)
            if task is None or not vertex.inputs:
                continue
            base = job.solved[vertex.inputs[0].digest].result()
            mine = task.result()
            record = self._cache.peek(job.keys.get(vertex.digest, ()))
            if isinstance(mine, Snapshot) and isinstance(base, Snapshot):
                found[vertex.digest] = image.StepOutcome(
                    len(mine.layers) > len(base.layers),
                    record.created_ns if record is not None else clock.now_ns(),
                )
        return found

    async def _explain(
        self, plan: Plan, converted: Converted, failure: VertexFailed
    ) -> MoorageError:
        cause = failure.__cause__
        vertex = failure.vertex
        frame = ""
        if vertex.span is not None:
            source = plan.dockerfile.source
            frame = source.frame(sources.Span(*vertex.span))
        debug_image = ""
        if plan.options.debug and failure.inputs and isinstance(failure.inputs[0], Snapshot):
            debug_image = await self._exporters.keep_state(converted, failure.inputs[0])
        if isinstance(cause, CommandFailed):
            return BuildFailed(
                cause.message,
                code=cause.code,
                command=cause.command,
                frame=frame,
                vertex=vertex,
                debug_image=debug_image,
                hint=cause.hint,
            )
        message = cause.message if isinstance(cause, MoorageError) else _host_sentence(cause)
        hint = cause.hint if isinstance(cause, MoorageError) else None
        if isinstance(cause, NotFound):
            hint = self._excluded_hint(plan, message) or hint
        return BuildFailed(message, frame=frame, vertex=vertex, debug_image=debug_image, hint=hint)

    def _excluded_hint(self, plan: Plan, message: str) -> str | None:
        """Say which pattern of ``.dockerignore`` excluded the file that is missing."""
        matcher = plan.session.ignored
        path = message.partition('"/')[2].partition('"')[0]
        if matcher is None or not path:
            return None
        pattern = matcher.deciding(path)
        return f"excluded by {pattern.text!r} in .dockerignore" if pattern else None

    def cancel(self, name: str) -> None:
        """Cancel a running build. Raises: NotFound."""
        task = self._running.get(name)
        if task is None:
            raise NotFound(f"no such build: {name}")
        task.cancel()


@contextmanager
def _host_errors() -> Iterator[None]:
    """Give an error of the host its class."""
    try:
        yield
    except OSError as error:
        raise System(_host_sentence(error)) from error


def _host_sentence(error: BaseException | None) -> str:
    """Say what the host has said, without its number."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return error.strerror.lower() + (f": {error.filename}" if error.filename else "")


class _ClientImages:
    """Images as one client may have them: with its credentials, told to its progress."""

    def __init__(self, images: ImageFinder, session: Session, progress: Progress) -> None:
        self._images = images
        self._session = session
        self._progress = progress

    async def resolve(self, reference: str, platform: Platform, *, pull: bool) -> BaseImage:
        """Find a base image."""

        def report(what: str, current: int, total: int) -> None:
            self._progress.emit(
                StatusEvent(id=f"pull {reference}", name=what, current=current, total=total)
            )

        return await self._images.find(
            reference,
            platform,
            pull=pull,
            credentials=self._session.credentials_for,
            report=report,
        )


def _check_syntax(dockerfile: Dockerfile) -> None:
    directive = dockerfile.lexed.directives.get("syntax")
    if directive is None:
        return
    name = directive.value.split("@")[0].rsplit(":", 1)[0].removesuffix("-upstream")
    if name not in _SYNTAX:
        raise sources.DockerfileError(
            f"unsupported frontend {directive.value}",
            dockerfile.source,
            sources.Span(directive.line, directive.line),
            hint="this builder reads docker/dockerfile itself and runs no other frontend",
        )


def _find_dockerfile(context: ContextFiles, name: str) -> bytes:
    content = context.read(name)
    if content is None and name == "Dockerfile":
        content = context.read("dockerfile")
    if content is None:
        near = context.names_beside(name)
        hint = f"the context has: {', '.join(near[:8])}" if near else "the context is empty"
        raise NotFound(f"Cannot locate specified Dockerfile: {name}", hint=hint)
    return content


def _is_archive(files: Files) -> bool:
    fd = os.open(files.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return is_archive(fd, files.file)
    finally:
        os.close(fd)

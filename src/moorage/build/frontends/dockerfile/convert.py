"""The stages that a target needs, as one graph, with the image configuration that goes with it.

Only what the target needs is converted. Base images are looked up at the same time; a stage is read
when what it is based on and copies from has been read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from moorage.build import remotes
from moorage.build.entitlements import Granted
from moorage.build.frontends.dockerfile import (
    copying,
    devices,
    expansion,
    parser,
    running,
    stage,
)
from moorage.build.frontends.dockerfile.instructions import (
    Copy,
    From,
    Run,
    Stage,
    StageInstruction,
)
from moorage.build.frontends.dockerfile.lint import Linter
from moorage.build.frontends.dockerfile.parser import Dockerfile
from moorage.build.frontends.dockerfile.scope import BUILTIN, Scope, platform_args
from moorage.build.frontends.dockerfile.source import (
    DockerfileError,
    Span,
    SyntaxFault,
    did_you_mean,
)
from moorage.build.frontends.dockerfile.stage import StageState, Step
from moorage.build.graph import (
    ContextSource,
    GitSource,
    HttpSource,
    ImageSource,
    Scratch,
    Vertex,
)
from moorage.build.ignore import Matcher
from moorage.build.needs import BaseImage, BaseImages
from moorage.build.options import BuildOptions
from moorage.cdi.catalogue import Catalogue
from moorage.lib import offload
from moorage.lib.errors import Forbidden, InvalidParameter, MoorageError
from moorage.spec import platforms
from moorage.spec.oci.image import ContainerConfig, History
from moorage.spec.platforms import Platform

CONTEXT: Final = "context"


@dataclass(slots=True)
class Converted:
    """A target, ready to be solved."""

    vertex: Vertex
    config: ContainerConfig
    platform: Platform
    author: str
    base_history: tuple[History, ...]
    base_created: str  # of the image it is based on; empty for scratch
    target: StageState
    stages: list[StageState]  # all that are needed, in the order of the file
    unused_args: list[str]
    bases: list[BaseImage]


@dataclass(slots=True)
class Request:
    """What a conversion works with."""

    dockerfile: Dockerfile
    options: BuildOptions
    images: BaseImages
    build_platform: Platform
    target_platform: Platform
    session: str
    linter: Linter
    ignored: Matcher | None = None
    granted: Granted = field(default_factory=Granted)
    read_devices: Callable[[], Catalogue] = Catalogue  # blocks in files of the host


async def convert(request: Request) -> Converted:
    """Convert a Dockerfile for one platform.

    Raises: DockerfileError, NotFound (a base image), Forbidden (an entitlement).
    """
    return await _Converter(request).run()


def find_target(dockerfile: Dockerfile, target: str) -> Stage:
    """Return the stage named or numbered *target*; the last if empty.

    Raises: InvalidParameter.
    """
    stages = dockerfile.stages
    if not target:
        return stages[-1]
    for candidate in reversed(stages):
        if candidate.name and candidate.name == target.lower():
            return candidate
    if target.isdigit() and int(target) < len(stages):
        return stages[int(target)]
    hint = did_you_mean(target, [s.name for s in stages if s.name])
    message = f'target stage "{target}" could not be found'
    raise InvalidParameter(f"{message} ({hint})" if hint else message)


class _Converter:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.file = request.dockerfile
        self.options = request.options
        self.linter = request.linter
        self.states: dict[int, StageState] = {}
        self.bases: dict[tuple[str, str], BaseImage] = {}
        self.globals: dict[str, str] = {}
        self.consumed: set[str] = set()
        self.catalogue: Catalogue | None = None  # of this host's devices, once one is wanted

    async def run(self) -> Converted:
        target = find_target(self.file, self.options.target)
        self._read_global_args(target)
        everything = self.options.check and not self.options.target
        order = self._needed(self.file.stages if everything else (target,))
        for index in order:
            await self._convert_stage(self.file.stages[index])
        state = self.states[target.index]
        given = {name for name, value in self.options.build_args.items() if value is not None}
        labels = self.options.labels
        if labels:
            state.set_config(labels={**(state.config.labels or {}), **labels})
        return Converted(
            vertex=state.vertex,
            config=state.config,
            platform=state.platform,
            author=state.author,
            base_history=state.base_history,
            base_created=state.base_created,
            target=state,
            stages=[self.states[index] for index in sorted(order)],
            unused_args=sorted(given - self.consumed - _always_used()),
            bases=list(self.bases.values()),
        )

    # --- names ---------------------------------------------------------------------------------

    def _read_global_args(self, target: Stage) -> None:
        scope = self._global_scope(target, self.options.build_args)
        self.globals = scope.variables()
        self.consumed |= scope.consumed
        with suppress(DockerfileError):  # ${NAME:?…}: without the argument there is no build
            self._check_default_bases(target)

    def _check_default_bases(self, target: Stage) -> None:
        defaults = self._global_scope(target, {}).variables()
        for base in (candidate.base for candidate in self.file.stages):
            with self._at(base.line.span):
                name = expansion.expand(base.image, defaults, escape=self.file.escape).text
            self.linter.check_default_base(base.image, name, base.line.span)

    def _global_scope(self, target: Stage, given: Mapping[str, str | None]) -> Scope:
        """Return what stands before the first FROM, with *given* build arguments."""
        request = self.request
        automatic = platform_args(request.build_platform, request.target_platform, target.name)
        scope = Scope(
            escape=self.file.escape,
            given=given,
            inherited=automatic,
            on_unset=lambda _name, _known: None,
        )
        scope.environment.update(automatic)
        for name in automatic:
            if (value := given.get(name)) is not None:
                scope.environment[name] = value
        for arg in self.file.global_args:
            with self._at(arg.line.span):
                for name, raw in arg.pairs:
                    default = None if raw is None else scope.expand(raw)
                    scope.environment.pop(name, None)
                    scope.declare(name, default)
        return scope

    def _at(self, span: Span) -> _Place:
        return _Place(self.file, span)

    def _base_name(self, base: From) -> str:
        variables = self.globals
        with self._at(base.line.span):
            found = expansion.expand(base.image, variables, escape=self.file.escape)
        for name in sorted(found.unset):
            self.linter.undefined_in_from(name, variables, base.line.span)
        if not found.text:
            raise DockerfileError(
                f"base name ({base.image}) should not be blank", self.file.source, base.line.span
            )
        return found.text

    def _stage_by_name(self, name: str, before: int) -> Stage | None:
        """Return the last stage called *name* that stands before the stage *before*."""
        for candidate in reversed(self.file.stages[:before]):
            if candidate.name == name.lower():
                return candidate
        return None

    def _stage_of(self, name: str, current: int, span: Span) -> Stage | None:
        """Return the stage that a ``from=`` in stage *current* means; None: image or context."""
        if name in self.options.contexts:
            return None
        found = self._stage_by_name(name, len(self.file.stages))
        earlier = self._stage_by_name(name, current)
        found = earlier or found
        if found is None and name.isdigit():
            if int(name) >= current:
                raise DockerfileError(
                    f"invalid stage index {name}: it refers to current build stage or a later one",
                    self.file.source,
                    span,
                    hint=f"stages before this one: 0 to {current - 1}" if current else None,
                )
            return self.file.stages[int(name)]
        return found

    def _references(self, current: Stage) -> list[Stage]:
        """Return the stages that *current* is based on or takes files from."""
        found: list[Stage] = []
        base = self._base_name(current.base)
        if base not in self.options.contexts and (
            parent := self._stage_by_name(base, current.index)
        ):
            found.append(parent)
        for instruction in current.instructions:
            for name in _origins(instruction):
                other = self._stage_of(name, current.index, instruction.line.span)
                if other is not None:
                    found.append(other)
        return found

    def _needed(self, targets: Sequence[Stage]) -> list[int]:
        """Return the indices of the stages to convert, each after what it needs."""
        order: list[int] = []
        open_: list[int] = []

        def visit(current: Stage) -> None:
            if current.index in order:
                return
            if current.index in open_:
                raise DockerfileError(
                    f"circular dependency detected on stage: {current.base.name or current.index}",
                    self.file.source,
                    current.base.line.span,
                )
            open_.append(current.index)
            for other in self._references(current):
                visit(other)
            open_.remove(current.index)
            order.append(current.index)

        for target in targets:
            visit(target)
        return order

    # --- stages --------------------------------------------------------------------------------

    async def _convert_stage(self, current: Stage) -> None:
        base = current.base
        name = self._base_name(base)
        platform = self._platform(base)
        label = self._label(current)
        state = StageState(
            label=label,
            total=0,
            vertex=Vertex(Scratch()),
            scope=self._scope(current),
            platform=platform,
            linter=self.linter,
            dockerfile=self.file.source.name,
            use_cache=not self._uncached(current),
        )
        await self._set_base(state, current, name, platform)
        triggers = [
            parser.parse_trigger(text, self.file.source, base.line.span, self.file.escape)
            for text in state.config.on_build or []
        ]
        state.set_config(on_build=None)
        instructions = [*triggers, *current.instructions]
        state.total = 1 + sum(_makes_vertex(item) for item in instructions)
        files = await self._resolve_origins(instructions, current)
        if not self.options.check and any(isinstance(i, Run) and i.devices for i in instructions):
            self.catalogue = await offload.run("fs", self.request.read_devices)
        for instruction in instructions:
            with self._at(instruction.line.span):
                self._dispatch(state, instruction, files)
        self.consumed |= state.scope.consumed
        self.states[current.index] = state

    def _scope(self, current: Stage) -> Scope:
        def on_unset(name: str, known: Mapping[str, str]) -> None:
            self.linter.undefined_variable(name, known, self._reading)

        self._reading = current.base.line.span
        return Scope(
            escape=self.file.escape,
            given=self.options.build_args,
            inherited=self.globals,
            on_unset=on_unset,
        )

    def _label(self, current: Stage) -> str:
        if current.base.name:
            return current.name
        return f"stage-{current.index}"

    def _uncached(self, current: Stage) -> bool:
        names = {name.lower() for name in self.options.no_cache_stages}
        return self.options.no_cache or bool(names & {current.name, str(current.index)} - {""})

    def _platform(self, base: From) -> Platform:
        if not base.platform:
            return self.request.target_platform
        span = base.line.span
        with self._at(span):
            text = expansion.expand(base.platform, self.globals, escape=self.file.escape)
            for name in sorted(text.unset):
                self.linter.undefined_in_from(name, self.globals, span)
            self.linter.check_platform(base.platform, text.text, span)
            if not text.text:
                raise SyntaxFault(f"empty platform value from expression {base.platform}")
            try:
                return platforms.parse(text.text, default=self.request.build_platform)
            except InvalidParameter as error:
                raise SyntaxFault(
                    f"failed to parse platform {text.text}: {error.message}"
                ) from error

    async def _set_base(
        self, state: StageState, current: Stage, name: str, platform: Platform
    ) -> None:
        line = current.base.line
        text = line.original
        parent = None if name in self.options.contexts else self._stage_by_name(name, current.index)
        if parent is not None:
            other = self.states[parent.index]
            state.vertex = other.vertex
            state.config = other.config
            state.author = other.author
            state.platform = other.platform
            state.scope.environment = dict(other.scope.environment)
            state.scope.arguments = dict(other.scope.arguments)
            state.base_history = other.base_history
            state.base_layers = other.base_layers
            state.base_created = other.base_created
            state.inherited = [*other.inherited, *other.steps]
            state.absolute_workdir = other.absolute_workdir
            state.steps.append(Step(text, line))
            return
        if name.lower() == "scratch" and name not in self.options.contexts:
            state.set_config(working_dir="/")
            state.scope.environment["PATH"] = stage.DEFAULT_PATH
            state.set_config(env=state.environment())
            state.steps.append(Step(text, line))
            return
        base = await self._resolve(name, platform, line.span)
        self.linter.check_base_platform(name, base.config.platform, platform, line.span)
        state.vertex = self._image_vertex(base, line.span, state.label, state.use_cache)
        state.steps.append(Step(text, line, state.vertex))
        self._inherit(state, base)

    def _inherit(self, state: StageState, base: BaseImage) -> None:
        config = base.config.config or ContainerConfig()
        state.config = config
        state.author = base.config.author
        state.base_history = tuple(base.config.history or ())
        state.base_layers = len(base.layers)
        state.base_created = base.config.created or ""
        state.platform = base.config.platform
        state.absolute_workdir = bool(config.working_dir)
        for pair in config.env or []:
            name, _, value = pair.partition("=")
            state.scope.environment[name] = value
        state.scope.environment.setdefault("PATH", stage.DEFAULT_PATH)
        state.set_config(env=state.environment())

    async def _resolve(self, name: str, platform: Platform, span: Span) -> BaseImage:
        """Find an image; errors show the line that asks for it."""
        where = self.options.contexts.get(name, name).removeprefix("docker-image://")
        key = (where, str(platform))
        if key not in self.bases:
            try:
                self.bases[key] = await self.request.images.resolve(
                    where, platform, pull=self.options.pull
                )
            except MoorageError as error:
                frame = self.file.source.frame(span)
                raise type(error)(f"{name}: {error}\n{frame}") from error
        return self.bases[key]

    def _image_vertex(self, base: BaseImage, span: Span, label: str, use_cache: bool) -> Vertex:  # noqa: FBT001
        return Vertex(
            ImageSource(reference=base.reference, config=base.id, diff_ids=base.layers),
            name=f"[{label}] FROM {base.reference}",
            place=f"{self.file.source.name}:{span.start}",
            span=(span.start, span.end),
            stage=label,
            use_cache=use_cache,
        )

    async def _resolve_origins(
        self, instructions: list[StageInstruction], current: Stage
    ) -> Callable[[str], Vertex]:
        """Make ready what the stage copies from; return how to find it by name."""
        known: dict[str, Vertex] = {}
        wanted: dict[str, Span] = {}
        for instruction in instructions:
            for name in _origins(instruction):
                if "$" in name:
                    continue
                other = self._stage_of(name, current.index, instruction.line.span)
                if other is not None:
                    known[name] = self.states[other.index].vertex
                else:
                    wanted.setdefault(name, instruction.line.span)

        async def look_up(name: str, span: Span) -> None:
            known[name] = await self._origin(name, span, self._label(current))

        async with asyncio.TaskGroup() as group:
            for name, span in wanted.items():
                group.create_task(look_up(name, span))
        context = Vertex(
            ContextSource(name=CONTEXT, session=self.request.session),
            name="[internal] load build context",
        )
        return lambda name: known[name] if name else context

    async def _origin(self, name: str, span: Span, label: str) -> Vertex:
        """Return the vertex of a named context or an image."""
        where = self.options.contexts.get(name)
        if name.lower() == "scratch" and where is None:
            return Vertex(Scratch())
        if where is not None and not where.startswith("docker-image://"):
            return named_context(name, where, self.request.session)
        base = await self._resolve(name, self.request.target_platform, span)
        return self._image_vertex(base, span, label, use_cache=True)

    # --- instructions --------------------------------------------------------------------------

    def _dispatch(
        self, state: StageState, instruction: StageInstruction, files: Callable[[str], Vertex]
    ) -> None:
        self._reading = instruction.line.span
        if isinstance(instruction, Run):
            self._check_entitled(instruction)
            running.run(
                state,
                instruction,
                find=files,
                extra_hosts=self.options.extra_hosts,
                network=self.options.network or "default",
                hostname=self.options.build_args.get("BUILDKIT_SANDBOX_HOSTNAME") or "",
                devices=self._devices(instruction),
            )
        elif isinstance(instruction, Copy):
            copying.copy(
                state,
                instruction,
                find=files,
                check_ignored=self._check_ignored,
                keep_git_directory=(
                    self.options.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR") in {"1", "true"}
                ),
            )
        else:
            stage.apply(state, instruction)

    def _check_entitled(self, run: Run) -> None:
        needed = []
        if run.security == "insecure":
            needed.append("security.insecure")
        if run.network == "host":
            needed.append("network.host")
        for name in needed:
            if name not in self.request.granted.names:
                frame = self.file.source.frame(run.line.span)
                raise Forbidden(
                    f"{name} is not allowed\n{frame}",
                    hint=f"ask for it with --allow {name}; the daemon must permit it too",
                )

    def _devices(self, run: Run) -> tuple[str, ...]:
        """Return the full names of the devices that a RUN gets."""
        if self.catalogue is None:
            return ()
        found: list[str] = []
        for wanted in run.devices:
            names = devices.find(wanted, self.catalogue, self.request.granted)
            for name in names:
                if not self.request.granted.permits_device(name, self.catalogue):
                    frame = self.file.source.frame(run.line.span)
                    raise Forbidden(
                        f"device {name} is not allowed\n{frame}",
                        hint=f"ask for it with --allow device={name}, or --allow device for any;"
                        " the daemon must permit it too",
                    )
            found += names
        return tuple(dict.fromkeys(found))

    def _check_ignored(self, path: str) -> None:
        matcher = self.request.ignored
        relative = path.strip("/")
        wild = any(char in relative for char in "*?[")
        if matcher is not None and relative and not wild and matcher.excludes(relative):
            self.linter.report(
                "CopyIgnoredFile",
                f'Attempting to Copy file "{relative}" that is excluded by .dockerignore',
                self._reading,
            )


class _Place:
    """Gives an error without a place the lines it is about."""

    def __init__(self, file: Dockerfile, span: Span) -> None:
        self._file = file
        self._span = span

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, SyntaxFault):
            raise DockerfileError(
                error.reason, self._file.source, self._span, hint=error.hint
            ) from error
        if isinstance(error, InvalidParameter) and not isinstance(error, DockerfileError):
            raise DockerfileError(
                error.message, self._file.source, self._span, hint=error.hint
            ) from error


def named_context(name: str, where: str, session: str) -> Vertex:
    """Return the vertex of a context given by ``--build-context name=where``."""
    git = remotes.parse_git(where)
    if git is not None:
        source = GitSource(url=git.url, ref=git.ref, subdirectory=git.subdirectory)
        return Vertex(source, name=f"[context {name}] {remotes.redact(where)}")
    if remotes.is_url(where):
        return Vertex(HttpSource(url=where), name=f"[context {name}] {remotes.redact(where)}")
    return Vertex(
        ContextSource(name=name, session=session), name=f"[context {name}] load from client"
    )


def _origins(instruction: StageInstruction) -> list[str]:
    """Return the names an instruction takes files from, the build context left out."""
    if isinstance(instruction, Copy):
        return [instruction.from_] if instruction.from_ else []
    if isinstance(instruction, Run):
        return [mount.from_ for mount in instruction.mounts if mount.from_]
    return []


def _makes_vertex(instruction: StageInstruction) -> bool:
    return isinstance(instruction, Run | Copy) or getattr(instruction, "kind", "") == "WORKDIR"


def _always_used() -> frozenset[str]:
    return BUILTIN | set(platform_args(Platform(), Platform(), ""))

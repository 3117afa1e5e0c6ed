"""One stage being read: its file system as a vertex, its image configuration, its history.

Instructions that only change the configuration are done here; RUN is in ``running``, COPY and ADD
in ``copying``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from moorage.build.frontends.dockerfile.instructions import (
    Arg,
    Command,
    Entry,
    Healthcheck,
    Onbuild,
    Pairs,
    StageInstruction,
    Value,
    Values,
)
from moorage.build.frontends.dockerfile.lexer import LogicalLine
from moorage.build.frontends.dockerfile.lint import Linter
from moorage.build.frontends.dockerfile.scope import Scope
from moorage.build.frontends.dockerfile.source import SyntaxFault
from moorage.build.graph import MakeDirectory, Operation, Vertex
from moorage.lib import gotext, signalnames
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.health import HealthConfig
from moorage.spec.oci.image import ContainerConfig, History
from moorage.spec.platforms import Platform

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL: Final = ("/bin/sh", "-c")
COMMENT: Final = "buildkit.dockerfile.v0"  # what tools look for to tell how to read the history

_PORT: Final = re.compile(r"(?:.*:)?(\d+)(?:-(\d+))?(?:/([A-Za-z]+))?\Z")
_PROTOCOLS: Final = frozenset({"tcp", "udp", "sctp"})
_MAX_PORT: Final = 65535


@dataclass(slots=True)
class Step:
    """One instruction of a stage as the user sees it."""

    text: str
    line: LogicalLine | None
    vertex: Vertex | None = None  # None: the configuration alone changes
    history: History | None = None


@dataclass(slots=True)
class StageState:
    """What a stage has become so far."""

    label: str  # name, or stage-N
    total: int  # instructions that make steps, for "[label 2/5]"
    vertex: Vertex
    scope: Scope
    platform: Platform
    linter: Linter
    dockerfile: str
    config: ContainerConfig = field(default_factory=ContainerConfig)
    author: str = ""
    base_history: tuple[History, ...] = ()
    base_created: str = ""  # of the image it is based on
    base_layers: int = 0  # of the image it is based on, through all stages
    inherited: list[Step] = field(default_factory=list)  # of the stages this one is based on
    steps: list[Step] = field(default_factory=list)
    absolute_workdir: bool = False
    cmd_is_own: bool = False
    use_cache: bool = True
    number: int = 1

    @property
    def shell(self) -> tuple[str, ...]:
        """Return what runs commands in shell form."""
        return tuple(self.config.shell or DEFAULT_SHELL)

    @property
    def directory(self) -> str:
        """Return the working directory."""
        return self.config.working_dir or "/"

    def environment(self) -> list[str]:
        """Return ENV as ``NAME=value``."""
        return [f"{name}={value}" for name, value in self.scope.environment.items()]

    def set_config(self, **changes: object) -> None:
        """Replace fields of the configuration."""
        self.config = replace(self.config, **changes)

    def next_name(self, text: str) -> str:
        """Return the name of the next step that does something."""
        self.number += 1
        return f"[{self.label} {self.number}/{self.total}] {text}"

    def add_vertex(
        self,
        operation: Operation,
        inputs: tuple[Vertex, ...],
        line: LogicalLine,
        *,
        name: str | None = None,
        proxy: tuple[str, ...] = (),
    ) -> Vertex:
        """Make *operation* a vertex of this stage."""
        return Vertex(
            operation,
            inputs,
            name=name if name is not None else self.next_name(line.original),
            place=f"{self.dockerfile}:{line.span.start}",
            span=(line.span.start, line.span.end),
            stage=self.label,
            use_cache=self.use_cache,
            proxy=proxy,
            platform=self.platform,
        )

    def record(self, text: str, line: LogicalLine, created_by: str, vertex: Vertex | None) -> None:
        """Add a step and its line of the history; *vertex* becomes the file system."""
        if vertex is not None:
            self.vertex = vertex
        entry = History(
            created_by=created_by,
            comment=COMMENT,
            empty_layer=vertex is None,
        )
        self.steps.append(Step(text, line, vertex, entry))


def apply(state: StageState, instruction: StageInstruction) -> None:
    """Do an instruction that is neither RUN nor COPY nor ADD.

    Raises: SyntaxFault.
    """
    if isinstance(instruction, Arg):
        _arg(state, instruction)
    elif isinstance(instruction, Pairs):
        _pairs(state, instruction)
    elif isinstance(instruction, Entry):
        _entry(state, instruction)
    elif isinstance(instruction, Healthcheck):
        _healthcheck(state, instruction)
    elif isinstance(instruction, Onbuild):
        state.set_config(on_build=[*(state.config.on_build or []), instruction.trigger])
        state.steps.append(Step(instruction.line.original, instruction.line))
    elif isinstance(instruction, Value):
        _VALUES[instruction.kind](state, instruction)
    elif isinstance(instruction, Values):
        _lists(state, instruction)


def _note(state: StageState, line: LogicalLine, created_by: str) -> None:
    state.record(line.original, line, created_by, None)


def _arg(state: StageState, arg: Arg) -> None:
    shown: list[str] = []
    for name, raw in arg.pairs:
        default = None if raw is None else state.scope.expand(raw)
        value = state.scope.declare(name, default)
        shown.append(name if value is None else f"{name}={value}")
    _note(state, arg.line, f"ARG {' '.join(shown)}")


def _pairs(state: StageState, pairs: Pairs) -> None:
    scope = state.scope
    expanded = [(scope.expand(name), scope.expand(value)) for name, value in pairs.pairs]
    if pairs.kind == "ENV":
        scope.environment.update(expanded)
        state.set_config(env=state.environment())
    else:
        state.set_config(labels={**(state.config.labels or {}), **dict(expanded)})
    _note(state, pairs.line, f"{pairs.kind} {' '.join(f'{n}={v}' for n, v in expanded)}")


def in_shell(state: StageState, command: Command) -> list[str]:
    """Return the argument vector of a command."""
    return [*state.shell, *command.words] if command.in_shell else list(command.words)


def _entry(state: StageState, entry: Entry) -> None:
    arguments = in_shell(state, entry.command)
    if entry.kind == "SHELL":
        state.set_config(shell=arguments)
        _note(state, entry.line, f"SHELL [{' '.join(arguments)}]")
        return
    if entry.kind == "CMD":
        state.set_config(cmd=arguments, args_escaped=True)
        state.cmd_is_own = True
    else:
        state.set_config(entrypoint=arguments)
        if not state.cmd_is_own:
            state.set_config(cmd=None)
    _note(state, entry.line, f"{entry.kind} {gotext.quoted(arguments)}")


def _healthcheck(state: StageState, check: Healthcheck) -> None:
    if check.command is None:
        test = ["NONE"]
    elif check.command.in_shell:
        test = ["CMD-SHELL", *check.command.words]
    else:
        test = ["CMD", *check.command.words]
    health = HealthConfig(
        test=test,
        interval=check.interval_ns,
        timeout=check.timeout_ns,
        start_period=check.start_period_ns,
        start_interval=check.start_interval_ns,
        retries=check.retries,
    )
    state.set_config(healthcheck=health)
    shown = {
        "Test": f"[{' '.join(test)}]",
        "Interval": gotext.duration(health.interval),
        "Timeout": gotext.duration(health.timeout),
        "StartPeriod": gotext.duration(health.start_period),
        "StartInterval": gotext.duration(health.start_interval),
        "Retries": str(health.retries),
    }
    text = " ".join(f"{name}:{value}" for name, value in shown.items())
    _note(state, check.line, f"HEALTHCHECK {{{text}}}")


def _workdir(state: StageState, value: Value) -> None:
    path = state.scope.expand(value.value)
    if posixpath.isabs(path):
        state.absolute_workdir = True
    elif not state.absolute_workdir:
        state.linter.relative_workdir(path, value.line.span)
    path = posixpath.normpath(posixpath.join("/", state.directory, path))
    path = "/" + path.lstrip("/")
    state.set_config(working_dir=path)
    if path == "/":
        _note(state, value.line, f"WORKDIR {path}")
        return
    operation = MakeDirectory(path=path, owner=state.config.user or None)
    vertex = state.add_vertex(operation, (state.vertex,), value.line)
    state.record(value.line.original, value.line, f"WORKDIR {path}", vertex)


def _user(state: StageState, value: Value) -> None:
    user = state.scope.expand(value.value)
    state.set_config(user=user)
    _note(state, value.line, f"USER {user}")


def _stop_signal(state: StageState, value: Value) -> None:
    name = state.scope.expand(value.value)
    try:
        signalnames.parse(name)
    except InvalidParameter as error:
        raise SyntaxFault(error.message, hint="expected a name as SIGTERM or a number") from error
    state.set_config(stop_signal=name)
    _note(state, value.line, f"STOPSIGNAL {name}")


def _maintainer(state: StageState, value: Value) -> None:
    state.author = value.value
    _note(state, value.line, f"MAINTAINER {value.value}")


_VALUES: Final[dict[str, Callable[[StageState, Value], None]]] = {
    "WORKDIR": _workdir,
    "USER": _user,
    "STOPSIGNAL": _stop_signal,
    "MAINTAINER": _maintainer,
}


def _lists(state: StageState, values: Values) -> None:
    given = sorted(values.values) if values.kind == "EXPOSE" else values.values
    expanded = [word for raw in given for word in state.scope.expand_words(raw)]
    if values.kind == "EXPOSE":
        ports = [port for word in expanded for port in parse_ports(word)]
        state.set_config(exposed_ports={**(state.config.exposed_ports or {}), **_set(ports)})
        _note(state, values.line, f"EXPOSE [{' '.join(ports)}]")
        return
    if not all(expanded) or not expanded:
        raise SyntaxFault("VOLUME specified can not be an empty string")
    state.set_config(volumes={**(state.config.volumes or {}), **_set(expanded)})
    _note(state, values.line, f"VOLUME [{' '.join(expanded)}]")


def _set(names: Iterable[str]) -> dict[str, dict[str, object]]:
    return {name: {} for name in names}


def parse_ports(text: str) -> list[str]:
    """Return ``80/tcp`` for ``80``, and each port of a range. Raises: SyntaxFault."""
    found = _PORT.match(text)
    if not found:
        raise SyntaxFault(f"invalid containerPort: {text}", hint="expected PORT[-PORT][/PROTOCOL]")
    protocol = (found[3] or "tcp").lower()
    first, last = int(found[1]), int(found[2] or found[1])
    if protocol not in _PROTOCOLS:
        raise SyntaxFault(f"invalid proto: {found[3]}", hint="expected tcp, udp or sctp")
    if not first <= last <= _MAX_PORT:
        raise SyntaxFault(f"invalid containerPort: {text}", hint=f"ports end at {_MAX_PORT}")
    return [f"{port}/{protocol}" for port in range(first, last + 1)]

"""The instructions of a Dockerfile as values; nothing is expanded yet."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from moorage.build.frontends.dockerfile.devices import Device
from moorage.build.frontends.dockerfile.lexer import Heredoc, LogicalLine
from moorage.build.frontends.dockerfile.mounts import Mount


class Command(Struct, frozen=True):
    """A command line in exec form (a JSON array) or shell form."""

    words: tuple[str, ...]  # shell form: one word, the whole line
    in_shell: bool
    heredocs: tuple[Heredoc, ...] = ()


class Instruction(Struct, frozen=True, kw_only=True):
    """What all have: the line it was written on."""

    line: LogicalLine


class From(Instruction, frozen=True, kw_only=True):
    """``FROM [--platform=] image [AS name]``: a stage begins."""

    image: str
    name: str = ""  # as written
    as_keyword: str = ""
    platform: str = ""


class Run(Instruction, frozen=True, kw_only=True):
    """``RUN``."""

    command: Command
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[Device, ...] = ()


class Copy(Instruction, frozen=True, kw_only=True):
    """``COPY`` and ``ADD``: the latter also fetches and unpacks."""

    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...] = ()  # sources given in place
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    add: bool = False
    keep_git_dir: bool | None = None
    checksum: str = ""
    unpack: bool | None = None  # None: unpack local archives, not downloads


class Pairs(Instruction, frozen=True, kw_only=True):
    """``ENV`` and ``LABEL``."""

    kind: str
    pairs: tuple[tuple[str, str], ...]
    legacy: bool = False  # ``ENV name value``


class Arg(Instruction, frozen=True, kw_only=True):
    """``ARG name[=default] ...``."""

    pairs: tuple[tuple[str, str | None], ...]


class Entry(Instruction, frozen=True, kw_only=True):
    """``CMD``, ``ENTRYPOINT``, ``SHELL``."""

    kind: str
    command: Command


class Value(Instruction, frozen=True, kw_only=True):
    """``WORKDIR``, ``USER``, ``STOPSIGNAL``, ``MAINTAINER``: one value."""

    kind: str
    value: str


class Values(Instruction, frozen=True, kw_only=True):
    """``EXPOSE`` and ``VOLUME``: a list."""

    kind: str
    values: tuple[str, ...]


class Healthcheck(Instruction, frozen=True, kw_only=True):
    """``HEALTHCHECK``; durations in ns, 0 = inherit."""

    command: Command | None  # None: HEALTHCHECK NONE
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


class Onbuild(Instruction, frozen=True, kw_only=True):
    """``ONBUILD``: kept as text in the image, run by the build that is based on it."""

    trigger: str


StageInstruction: TypeAlias = (
    Run | Copy | Pairs | Arg | Entry | Value | Values | Healthcheck | Onbuild
)


class Stage(Struct, frozen=True, kw_only=True):
    """A FROM and what follows."""

    index: int
    base: From
    instructions: tuple[StageInstruction, ...]

    @property
    def name(self) -> str:
        """Return the name other instructions know it by; empty if it has none."""
        return self.base.name.lower()

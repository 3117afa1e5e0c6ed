"""Logical lines to instructions to stages: Docker's grammar and Docker's sentences for mistakes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from moorage.build.frontends.dockerfile import devices, lexer, mounts, words
from moorage.build.frontends.dockerfile.flags import Flags
from moorage.build.frontends.dockerfile.instructions import (
    Arg,
    Command,
    Copy,
    Entry,
    From,
    Healthcheck,
    Onbuild,
    Pairs,
    Run,
    Stage,
    StageInstruction,
    Value,
    Values,
)
from moorage.build.frontends.dockerfile.lexer import Heredoc, Lexed, LogicalLine
from moorage.build.frontends.dockerfile.source import (
    DockerfileError,
    Source,
    Span,
    SyntaxFault,
    did_you_mean,
)
from moorage.lib import units

_STAGE_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]*\Z")
_NETWORKS: Final = ("default", "none", "host")
_SECURITY: Final = ("sandbox", "insecure")


class Dockerfile(Struct, frozen=True):
    """A whole file, understood."""

    lexed: Lexed
    global_args: tuple[Arg, ...]  # before the first FROM
    stages: tuple[Stage, ...]

    @property
    def source(self) -> Source:
        """Return the text."""
        return self.lexed.source

    @property
    def escape(self) -> str:
        """Return the escape character."""
        return self.lexed.escape


def parse(data: bytes, name: str = "Dockerfile") -> Dockerfile:
    """Parse a Dockerfile.

    Raises: DockerfileError.
    """
    lexed = lexer.lex(data, name)
    source = lexed.source
    if not lexed.lines:
        raise DockerfileError(
            "file with no instructions",
            source if source.lines else Source(name, ("",)),
            Span(1, 1),
            hint="expected FROM",
        )
    global_args: list[Arg] = []
    stages: list[Stage] = []
    body: list[StageInstruction] = []
    base: From | None = None

    def close() -> None:
        if base is not None:
            stages.append(Stage(index=len(stages), base=base, instructions=tuple(body)))
        body.clear()

    for line in lexed.lines:
        parsed = parse_line(line, source, lexed.escape)
        if isinstance(parsed, From):
            close()
            base = parsed
        elif base is not None:
            body.append(parsed)
        elif isinstance(parsed, Arg):
            global_args.append(parsed)
        else:
            raise DockerfileError(
                "no build stage in current context",
                source,
                line.span,
                hint="expected FROM, only ARG may stand before it",
            )
    close()
    if not stages:
        last = lexed.lines[-1].span
        raise DockerfileError("no build stage in current context", source, last, hint="no FROM")
    return Dockerfile(lexed, tuple(global_args), tuple(stages))


def parse_line(line: LogicalLine, source: Source, escape: str) -> From | StageInstruction:
    """Understand one instruction.

    Raises: DockerfileError.
    """
    keyword = line.keyword.upper()
    rule = _RULES.get(keyword)
    if rule is None:
        hint = did_you_mean(keyword, _RULES)
        raise DockerfileError(
            f"unknown instruction: {line.keyword}",
            source,
            line.span,
            hint=hint or f"expected one of {', '.join(sorted(_RULES))}",
        )
    try:
        return rule(_Reader(keyword, line, source, escape))
    except SyntaxFault as fault:
        raise DockerfileError(fault.reason, source, line.span, hint=fault.hint) from fault


def parse_trigger(text: str, source: Source, span: Span, escape: str) -> StageInstruction:
    """Understand an ONBUILD trigger kept in an image.

    Raises: DockerfileError.
    """
    inner = lexer.lex(text.encode("utf-8", "surrogateescape"), source.name)
    if len(inner.lines) != 1:
        raise DockerfileError(f"invalid ONBUILD trigger: {text}", source, span)
    found = inner.lines[0]
    line = LogicalLine(found.keyword, found.flags, found.text, found.heredocs, span)
    parsed = parse_line(line, source, escape)
    if isinstance(parsed, From | Onbuild):
        raise DockerfileError(f"{found.keyword} isn't allowed as an ONBUILD trigger", source, span)
    return parsed


class _Reader:
    """One instruction being read."""

    def __init__(self, keyword: str, line: LogicalLine, source: Source, escape: str) -> None:
        self.keyword = keyword
        self.line = line
        self.source = source
        self.escape = escape
        self.flags = Flags(keyword, line.flags)

    def words(self) -> list[str]:
        return words.split(self.line.text, self.escape)

    def at_least_one(self) -> str:
        if not self.line.text:
            raise SyntaxFault(f"{self.keyword} requires at least one argument")
        return self.line.text

    def exactly_one(self) -> str:
        found = self.words()
        if len(found) != 1:
            raise SyntaxFault(
                f"{self.keyword} requires exactly one argument", hint=f"got {len(found)}"
            )
        return found[0]

    def json_array(self) -> tuple[str, ...] | None:
        """Return the exec form; None if the text is not a JSON array."""
        if not self.line.text.startswith("["):
            return None
        try:
            value = json.loads(self.line.text, strict=True)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, list):
            return None
        if not all(isinstance(item, str) for item in value):
            raise SyntaxFault(
                "when using JSON array syntax, arrays must be comprised of strings only"
            )
        return tuple(value)

    def list_or_json(self) -> tuple[str, ...]:
        array = self.json_array()
        return tuple(self.words()) if array is None else array

    def command(self) -> Command:
        array = self.json_array()
        if array is not None:
            return Command(array, in_shell=False, heredocs=self.line.heredocs)
        text = self.line.text
        return Command((text,) if text else (), in_shell=True, heredocs=self.line.heredocs)


def _from(reader: _Reader) -> From:
    found = reader.words()
    name = keyword = ""
    if len(found) == 3 and found[1].lower() == "as":
        keyword, name = found[1], found[2]
        if not _STAGE_NAME.match(name.lower()):
            raise SyntaxFault(
                f'invalid name for build stage: "{name}", name can\'t start with a number or '
                "contain symbols"
            )
    elif len(found) != 1:
        raise SyntaxFault(
            "FROM requires either one or three arguments",
            hint="expected FROM [--platform=PLATFORM] IMAGE [AS NAME]",
        )
    platform = reader.flags.string("platform")
    return From(line=reader.line, image=found[0], name=name, as_keyword=keyword, platform=platform)


def _run(reader: _Reader) -> Run:
    command = reader.command()
    if not command.words or not any(command.words):
        raise SyntaxFault("RUN requires at least one argument")
    flags = reader.flags
    network = _choice("network", flags.string("network") or "default", _NETWORKS)
    security = _choice("security", flags.string("security") or "sandbox", _SECURITY)
    return Run(
        line=reader.line,
        command=command,
        mounts=tuple(mounts.parse(text) for text in flags.strings("mount")),
        network=network,
        security=security,
        devices=tuple(devices.parse(text) for text in flags.strings("device")),
    )


def _choice(flag: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        hint = did_you_mean(value, allowed) or f"expected one of {', '.join(allowed)}"
        raise SyntaxFault(f'unsupported {flag} mode "{value}"', hint=hint)
    return value


def _copy(reader: _Reader) -> Copy:
    found = reader.list_or_json()
    if len(found) < 2:
        raise SyntaxFault(
            f"{reader.keyword} requires at least two arguments, but only {len(found)} was provided."
            + (" Destination could not be determined." if found else ""),
            hint=f"expected {reader.keyword} SOURCE… DESTINATION",
        )
    by_name = {heredoc.name: heredoc for heredoc in reader.line.heredocs}
    inline: list[Heredoc] = []
    sources: list[str] = []
    for word in found[:-1]:
        opening = lexer.heredoc_opening(word, reader.escape) if by_name else None
        if opening and opening[0] in by_name:
            inline.append(by_name[opening[0]])
        else:
            sources.append(word)
    if inline and lexer.heredoc_opening(found[-1], reader.escape):
        raise SyntaxFault(f"{reader.keyword} cannot accept a heredoc as a destination")
    flags = reader.flags
    return Copy(
        line=reader.line,
        sources=tuple(sources),
        destination=found[-1],
        heredocs=tuple(inline),
        from_=flags.string("from"),
        chown=flags.string("chown"),
        chmod=flags.string("chmod"),
        link=bool(flags.boolean("link")),
        parents=bool(flags.boolean("parents")),
        exclude=flags.strings("exclude"),
        add=reader.keyword == "ADD",
        keep_git_dir=flags.boolean("keep-git-dir"),
        checksum=flags.string("checksum"),
        unpack=flags.boolean("unpack"),
    )


def _pairs(reader: _Reader) -> Pairs:
    found = reader.words()
    if not found:
        raise SyntaxFault(f"{reader.keyword} requires at least one argument")
    kind = reader.keyword
    if "=" not in found[0]:
        name = found[0]
        value = reader.line.text[len(name) :].strip()
        if not value:
            raise SyntaxFault(f"{kind} must have two arguments", hint=f"expected {kind} NAME=VALUE")
        return Pairs(line=reader.line, kind=kind, pairs=((name, value),), legacy=True)
    pairs: list[tuple[str, str]] = []
    for word in found:
        name, equals, value = word.partition("=")
        if not equals:
            raise SyntaxFault(
                f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value'
            )
        if not name:
            raise SyntaxFault(f"{kind} names can not be blank")
        pairs.append((name, value))
    return Pairs(line=reader.line, kind=kind, pairs=tuple(pairs))


def _arg(reader: _Reader) -> Arg:
    pairs: list[tuple[str, str | None]] = []
    for word in reader.words():
        name, equals, value = word.partition("=")
        if not name:
            raise SyntaxFault("ARG names can not be blank")
        pairs.append((name, value if equals else None))
    if not pairs:
        raise SyntaxFault("ARG requires at least one argument")
    return Arg(line=reader.line, pairs=tuple(pairs))


def _entry(reader: _Reader) -> Entry:
    command = reader.command()
    if reader.keyword == "SHELL":
        if command.in_shell or not command.words:
            raise SyntaxFault(
                f"SHELL requires the arguments to be in JSON form: {reader.line.original}",
                hint='expected SHELL ["executable", "parameters"]',
            )
    elif command.in_shell and not command.words:
        raise SyntaxFault(f"{reader.keyword} requires at least one argument")
    return Entry(line=reader.line, kind=reader.keyword, command=command)


def _value(reader: _Reader) -> Value:
    single = {"USER", "STOPSIGNAL"}
    text = reader.exactly_one() if reader.keyword in single else reader.at_least_one()
    return Value(line=reader.line, kind=reader.keyword, value=text)


def _values(reader: _Reader) -> Values:
    found = reader.list_or_json() if reader.keyword == "VOLUME" else tuple(reader.words())
    if not found:
        raise SyntaxFault(f"{reader.keyword} requires at least one argument")
    if reader.keyword == "VOLUME" and not all(word.strip() for word in found):
        raise SyntaxFault("VOLUME specified can not be an empty string")
    return Values(line=reader.line, kind=reader.keyword, values=found)


def _healthcheck(reader: _Reader) -> Healthcheck:
    text = reader.at_least_one()
    kind, _, rest = text.partition(" ")
    kind = kind.upper()
    if kind == "NONE":
        if rest.strip():
            raise SyntaxFault("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(line=reader.line, command=None)
    if kind != "CMD":
        raise SyntaxFault(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)')
    line = reader.line
    inner = _Reader(
        "CMD", LogicalLine("CMD", (), rest.strip(), (), line.span), reader.source, reader.escape
    )
    command = inner.command()
    if not command.words:
        raise SyntaxFault("Missing command after HEALTHCHECK CMD")
    flags = reader.flags
    retries = flags.string("retries")
    if retries and not re.fullmatch(r"\d+", retries):
        raise SyntaxFault(f"--retries must be at least 0 (not {retries})")
    return Healthcheck(
        line=line,
        command=command,
        interval_ns=_duration("interval", flags.string("interval")),
        timeout_ns=_duration("timeout", flags.string("timeout")),
        start_period_ns=_duration("start-period", flags.string("start-period")),
        start_interval_ns=_duration("start-interval", flags.string("start-interval")),
        retries=int(retries or 0),
    )


def _duration(flag: str, text: str) -> int:
    if not text:
        return 0
    try:
        value = units.parse_duration(text)
    except ValueError as error:
        raise SyntaxFault(
            f'invalid duration "{text}" for --{flag}', hint="expected a number with unit, as 30s"
        ) from error
    if value and value < 1_000_000:
        raise SyntaxFault(f'Interval "{flag}" cannot be less than 1ms')
    return value


def _onbuild(reader: _Reader) -> Onbuild:
    text = " ".join([*reader.line.flags, reader.at_least_one()])
    trigger = text.split(None, 1)[0].upper()
    if trigger == "ONBUILD":
        raise SyntaxFault("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in {"FROM", "MAINTAINER"}:
        raise SyntaxFault(f"{trigger} isn't allowed as an ONBUILD trigger")
    if trigger not in _RULES:
        raise SyntaxFault(f"unknown instruction: {trigger}", hint=did_you_mean(trigger, _RULES))
    bodies = "".join(f"\n{doc.content}{doc.name}" for doc in reader.line.heredocs)
    return Onbuild(line=reader.line, trigger=text + bodies)


_RULES: Final[dict[str, Callable[[_Reader], From | StageInstruction]]] = {
    "FROM": _from,
    "RUN": _run,
    "COPY": _copy,
    "ADD": _copy,
    "ENV": _pairs,
    "LABEL": _pairs,
    "ARG": _arg,
    "CMD": _entry,
    "ENTRYPOINT": _entry,
    "SHELL": _entry,
    "WORKDIR": _value,
    "USER": _value,
    "STOPSIGNAL": _value,
    "MAINTAINER": _value,
    "EXPOSE": _values,
    "VOLUME": _values,
    "HEALTHCHECK": _healthcheck,
    "ONBUILD": _onbuild,
}

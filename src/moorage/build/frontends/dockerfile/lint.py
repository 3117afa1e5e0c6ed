"""Docker's build checks: what is legal and yet probably a mistake.

The rules about the text alone are here; those that need expanded values are reported by
``convert`` through ``Linter.report``. ``# check=skip=RULE,…;error=true`` steers them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from moorage.build.frontends.dockerfile.instructions import (
    Arg,
    Entry,
    Healthcheck,
    Pairs,
    Stage,
    Value,
    Values,
)
from moorage.build.frontends.dockerfile.parser import Dockerfile
from moorage.build.frontends.dockerfile.source import DockerfileError, Span, near_match
from moorage.lib.errors import InvalidParameter
from moorage.spec import reference
from moorage.spec.platforms import Platform

_RULES_URL: Final = "https://docs.docker.com/go/dockerfile/rule/"
RULES: Final[Mapping[str, str]] = {
    "StageNameCasing": "Stage names should be lowercase",
    "FromAsCasing": "The 'as' keyword should match the case of the 'from' keyword",
    "NoEmptyContinuation": "Empty continuation lines will become errors in a future release",
    "ConsistentInstructionCasing": "All commands within the Dockerfile should use the same casing "
    "(either upper or lower)",
    "DuplicateStageName": "Stage names should be unique",
    "ReservedStageName": "Reserved words should not be used as stage names",
    "JSONArgsRecommended": "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended "
    "behavior related to OS signals",
    "MaintainerDeprecated": "The MAINTAINER instruction is deprecated, use a label instead to "
    "define an image author",
    "UndefinedArgInFrom": "FROM command must use declared ARGs",
    "WorkdirRelativePath": "Relative workdir without an absolute workdir declared within the build "
    "can have unexpected results if the base image changes",
    "UndefinedVar": "Variables should be defined before their use",
    "MultipleInstructionsDisallowed": "Multiple instructions of the same type should not be used "
    "in the same stage",
    "LegacyKeyValueFormat": "Legacy key/value format with whitespace separator should not be used",
    "RedundantTargetPlatform": "Setting platform to predefined $TARGETPLATFORM in FROM is "
    "redundant as this is the default behavior",
    "SecretsUsedInArgOrEnv": "Sensitive data should not be used in the ARG or ENV commands",
    "InvalidDefaultArgInFrom": "Default value for global ARG results in an empty or invalid base "
    "image name",
    "InvalidBaseImagePlatform": "Base image platform does not match expected target platform",
    "FromPlatformFlagConstDisallowed": "FROM --platform flag should not use a constant value",
    "CopyIgnoredFile": "Attempting to Copy file that is excluded by .dockerignore",
    "InvalidDefinitionDescription": "Comment for build stage or argument should follow the format: "
    "`# <arg/stage name> <description>`",
    "ExposeProtoCasing": "Protocol in EXPOSE instruction should be lowercase",
    "ExposeInvalidFormat": "IP address and host-port mapping should not be used in EXPOSE "
    "instruction. This will become an error in a future release",
}
_EXPERIMENTAL: Final = frozenset({"InvalidDefinitionDescription"})
_SECRET_WORDS: Final = re.compile(
    r"(?:_|\A)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|\Z)",
    re.IGNORECASE,
)
_NOT_SECRET: Final = re.compile(r"(?:_|\A)public(?:_|\Z)", re.IGNORECASE)


class Warning_(Struct, frozen=True, kw_only=True):  # noqa: N801 - the builtin has the plain name
    """One finding."""

    rule: str
    description: str
    detail: str
    url: str
    span: Span


class Settings(Struct, frozen=True):
    """The ``check`` directive."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    error: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False


class Linter:
    """Collects findings for one Dockerfile."""

    def __init__(self, dockerfile: Dockerfile, override: str | None = None) -> None:
        """*override*: the value of the BUILDKIT_DOCKERFILE_CHECK argument."""
        self._dockerfile = dockerfile
        directive = dockerfile.lexed.directives.get("check")
        text = override if override is not None else (directive.value if directive else "")
        line = directive.line if directive else 1
        try:
            self.settings = parse_settings(text)
        except ValueError as error:
            raise DockerfileError(str(error), dockerfile.source, Span(line, line)) from error
        self._found: dict[tuple[str, str, int], Warning_] = {}

    @property
    def warnings(self) -> list[Warning_]:
        """Return the findings in the order of lines."""
        return sorted(self._found.values(), key=lambda w: (w.span.start, w.rule))

    def report(self, rule: str, detail: str, span: Span) -> None:
        """Note a finding, unless the rule is switched off."""
        settings = self.settings
        if settings.skip_all or rule.lower() in settings.skip:
            return
        on = settings.experimental_all or rule.lower() in settings.experimental
        if rule in _EXPERIMENTAL and not on:
            return
        slug = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", rule).lower()
        self._found[rule, detail, span.start] = Warning_(
            rule=rule,
            description=RULES[rule],
            detail=detail,
            url=f"{_RULES_URL}{slug}/",
            span=span,
        )

    def fail_on_warnings(self) -> None:
        """Raise DockerfileError if ``error=true`` and something was found."""
        if self.settings.error and (found := self.warnings):
            first = found[0]
            raise DockerfileError(
                f"lint violation found for rules: {', '.join(sorted({w.rule for w in found}))}",
                self._dockerfile.source,
                first.span,
                hint=first.detail,
            )

    def check_text(self) -> None:
        """Apply the rules that need nothing but the text."""
        for span in self._dockerfile.lexed.empty_continuations:
            self.report("NoEmptyContinuation", "Empty continuation line", span)
        self._check_casing()
        self._check_stages()
        for stage in self._dockerfile.stages:
            self._check_stage(stage)
        for argument in self._dockerfile.global_args:
            self._check_argument(argument)

    def _check_casing(self) -> None:
        keywords = [line.keyword for line in self._dockerfile.lexed.lines]
        counts = Counter(
            "upper" if word.isupper() else "lower" if word.islower() else "mixed"
            for word in keywords
        )
        majority = "lowercase" if counts["lower"] > counts["upper"] else "uppercase"
        for line in self._dockerfile.lexed.lines:
            wanted = line.keyword.lower() if majority == "lowercase" else line.keyword.upper()
            if line.keyword != wanted:
                self.report(
                    "ConsistentInstructionCasing",
                    f"Command '{line.keyword}' should match the case of the command majority "
                    f"({majority})",
                    line.span,
                )

    def _check_stages(self) -> None:
        seen: set[str] = set()
        for stage in self._dockerfile.stages:
            base = stage.base
            span = base.line.span
            if not base.name:
                continue
            if base.name != base.name.lower():
                self.report(
                    "StageNameCasing", f"Stage name '{base.name}' should be lowercase", span
                )
            if base.as_keyword.isupper() != base.line.keyword.isupper():
                self.report(
                    "FromAsCasing",
                    f"'{base.as_keyword}' and '{base.line.keyword}' keywords' casing do not match",
                    span,
                )
            if stage.name in seen:
                self.report(
                    "DuplicateStageName",
                    f'Duplicate stage name "{base.name}", stage names should be unique',
                    span,
                )
            seen.add(stage.name)
            if stage.name in {"context", "scratch"}:
                self.report(
                    "ReservedStageName",
                    f'Stage name should not use the same name as reserved stage "{base.name}"',
                    span,
                )
            self._check_comment(base.name, base.line.comment, span)

    def _check_comment(self, name: str, comment: str, span: Span) -> None:
        first = comment.splitlines()[-1] if comment else ""
        if first and first.split(" ", 1)[0] != name:
            self.report(
                "InvalidDefinitionDescription",
                f"Comment for build stage or argument should follow the format: "
                f"`# {name} <description>`",
                span,
            )

    def _check_stage(self, stage: Stage) -> None:
        last: dict[str, Span] = {}
        for instruction in stage.instructions:
            span = instruction.line.span
            if isinstance(instruction, Entry) and instruction.kind != "SHELL":
                self._check_entry(instruction, last)
            elif isinstance(instruction, Healthcheck):
                self._repeated(last, "HEALTHCHECK", span)
            elif isinstance(instruction, Pairs):
                self._check_pairs(instruction)
            elif isinstance(instruction, Arg):
                self._check_argument(instruction)
            elif isinstance(instruction, Values) and instruction.kind == "EXPOSE":
                self._check_ports(instruction.values, span)
            elif isinstance(instruction, Value) and instruction.kind == "MAINTAINER":
                self.report(
                    "MaintainerDeprecated",
                    "Maintainer instruction is deprecated in favor of using label",
                    span,
                )

    def _check_entry(self, entry: Entry, last: dict[str, Span]) -> None:
        span = entry.line.span
        self._repeated(last, entry.kind, span)
        if entry.command.in_shell:
            self.report(
                "JSONArgsRecommended",
                f"JSON arguments recommended for {entry.kind} to prevent unintended behavior "
                "related to OS signals",
                span,
            )

    def relative_workdir(self, path: str, span: Span) -> None:
        """Report a relative WORKDIR in a stage that has set no absolute one."""
        self.report(
            "WorkdirRelativePath",
            f'Relative workdir "{path}" can have unexpected results if the base image changes',
            span,
        )

    def _repeated(self, last: dict[str, Span], kind: str, span: Span) -> None:
        if kind in last:
            self.report(
                "MultipleInstructionsDisallowed",
                f"Multiple {kind} instructions should not be used in the same stage because only "
                "the last one will be used",
                last[kind],
            )
        last[kind] = span

    def _check_pairs(self, pairs: Pairs) -> None:
        if pairs.legacy:
            self.report(
                "LegacyKeyValueFormat",
                f'"{pairs.kind} key=value" should be used instead of legacy "{pairs.kind} key '
                'value" format',
                pairs.line.span,
            )
        if pairs.kind == "ENV":
            for name, _ in pairs.pairs:
                self._check_secret("ENV", name, pairs.line.span)

    def _check_argument(self, argument: Arg) -> None:
        for name, _ in argument.pairs:
            self._check_secret("ARG", name, argument.line.span)
        if len(argument.pairs) == 1:
            self._check_comment(argument.pairs[0][0], argument.line.comment, argument.line.span)

    def _check_secret(self, kind: str, name: str, span: Span) -> None:
        if _SECRET_WORDS.search(name) and not _NOT_SECRET.search(name):
            self.report(
                "SecretsUsedInArgOrEnv",
                f'Do not use ARG or ENV instructions for sensitive data ({kind} "{name}")',
                span,
            )

    def _check_ports(self, ports: Iterable[str], span: Span) -> None:
        for port in ports:
            number, _, protocol = port.partition("/")
            if protocol != protocol.lower():
                self.report(
                    "ExposeProtoCasing",
                    f"Defined protocol '{port}' in EXPOSE instruction should be lowercase",
                    span,
                )
            if ":" in number and "$" not in number:
                self.report(
                    "ExposeInvalidFormat",
                    "EXPOSE instruction should not define an IP address or host-port mapping, "
                    f"found '{port}'",
                    span,
                )

    def undefined_variable(self, name: str, known: Mapping[str, str], span: Span) -> None:
        """Report the use of a variable that nothing defines."""
        near = near_match(name, known)
        tail = f" (did you mean ${near}?)" if near and near != name else ""
        self.report("UndefinedVar", f"Usage of undefined variable '${name}'{tail}", span)

    def undefined_in_from(self, name: str, known: Iterable[str], span: Span) -> None:
        """Report an argument of a FROM that is not declared before the first FROM."""
        near = near_match(name, known)
        tail = f" (did you mean {near}?)" if near and near != name else ""
        self.report("UndefinedArgInFrom", f"FROM argument '{name}' is not declared{tail}", span)

    def check_default_base(self, raw: str, expanded: str, span: Span) -> None:
        """Look at the base that a FROM names if no build arguments are given."""
        try:
            reference.parse_normalized(expanded)
        except InvalidParameter:
            self.report(
                "InvalidDefaultArgInFrom",
                f"Default value for ARG {raw} results in empty or invalid base image name",
                span,
            )

    def check_base_platform(self, name: str, found: Platform, wanted: Platform, span: Span) -> None:
        """Look at what a base image is made for; an image may not say."""
        same = (found.os, found.architecture) == (wanted.os, wanted.architecture)
        if found.architecture and not same:
            self.report(
                "InvalidBaseImagePlatform",
                f'Base image {name} was pulled with platform "{found}", expected "{wanted}" for '
                "current build",
                span,
            )

    def check_platform(self, raw: str, expanded: str, span: Span) -> None:
        """Look at the ``--platform`` of a FROM."""
        if raw in {"$TARGETPLATFORM", "${TARGETPLATFORM}"}:
            self.report(
                "RedundantTargetPlatform",
                f"Setting platform to predefined {raw} in FROM is redundant as this is the default "
                "behavior",
                span,
            )
        elif raw and "$" not in raw and expanded:
            self.report(
                "FromPlatformFlagConstDisallowed",
                f'FROM --platform flag should not use constant value "{expanded}"',
                span,
            )


def parse_settings(text: str) -> Settings:
    """Parse ``skip=A,B;error=true;experimental=all``. Raises: ValueError."""
    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error = False
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        key, equals, value = part.partition("=")
        names = frozenset(name.strip().lower() for name in value.split(","))
        match key.strip().lower():
            case "skip" if equals:
                skip = names
            case "experimental" if equals:
                experimental = names
            case "error" if value.strip().lower() in {"true", "1", "false", "0"}:
                error = value.strip().lower() in {"true", "1"}
            case _:
                raise ValueError(
                    f"invalid check option {part!r}, expected skip=, error= or experimental="
                )
    return Settings(skip, "all" in skip, error, experimental, "all" in experimental)

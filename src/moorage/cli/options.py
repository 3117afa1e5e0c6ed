"""Flags as data, and the parser for them: pflag's grammar, which docker's users know by heart.

``--name value``, ``--name=value``, ``-n value``, ``-nvalue``, ``-n=value``, ``-it``,
``--rm=false``; ``--`` ends flags. Commands that run a program stop at the first word that is no
flag.
"""

from __future__ import annotations

from moorage.cli import kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from moorage.cli.session import Session


FORMAT_HELP = "Output format: 'table', 'table TEMPLATE', 'json', or a Go template such as '{{.ID}}'"
INSPECT_FORMAT_HELP = "Output format: 'json', or a Go template such as '{{.ID}}'"


class UsageError(Exception):
    """The command line is malformed: message, usage, exit status 125."""


class WrongCount(Exception):
    """A command whose arguments decide how many there may be got another number of them."""


class Option:
    """One flag of one command."""

    __slots__ = ("check", "choices", "default", "help", "hidden", "kind", "name", "short")

    def __init__(
        self,
        name: str,
        short: str,
        kind: str,
        help: str,  # noqa: A002 - the word of the field
        default: object = None,
        *,
        check: Callable[[str], object] | None = None,
        choices: str = "",
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        self.help = help
        self.default = default
        self.check = check  # refuses or rewrites one value; raises ValueError
        self.choices = choices  # what completion offers: words, or the name of a source
        self.hidden = hidden

    @property
    def label(self) -> str:
        """The flag as error messages name it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"

    def parse(self, text: str) -> object:
        """Convert one value.

        Raises: UsageError.
        """
        try:
            if self.check is not None:
                return self.check(text)
            return kinds.convert(self.kind, text)
        except ValueError as e:
            from moorage.lib.gotext import quote

            raise UsageError(f'invalid argument {quote(text)} for "{self.label}" flag: {e}') from e


class Command:
    """What a verb module declares: its arguments and flags, and the function that does it."""

    __slots__ = (
        "arguments",
        "complete",
        "details",
        "interspersed",
        "least",
        "most",
        "options",
        "parsed",
        "run",
    )

    def __init__(
        self,
        run: Callable[[Session, Values, list[str]], int | None],
        *,
        arguments: str = "",
        least: int = 0,
        most: int | None = 0,
        options: tuple[Option, ...] = (),
        interspersed: bool = True,
        parsed: bool = True,
        complete: str = "",
        details: str = "",
    ) -> None:
        self.run = run
        self.arguments = arguments  # "CONTAINER [CONTAINER...]"
        self.least = least
        self.most = most  # None: any number
        self.options = options
        self.interspersed = interspersed
        self.parsed = parsed  # False: flags are words like all others, but for --help
        self.complete = complete  # source of words for the arguments, see completion.py
        self.details = details  # paragraphs of help after the summary

    def check_count(self, count: int) -> str:
        """Return what is wrong with the number of arguments, empty if nothing is."""
        if self.least <= count and (self.most is None or count <= self.most):
            return ""
        if self.most == 0:
            return "accepts no arguments"
        if self.least == self.most:
            return f"requires {self.least} argument{'s' * (self.least != 1)}"
        if count < self.least and self.most is None:
            return f"requires at least {self.least} argument{'s' * (self.least != 1)}"
        if self.least == 0:
            return f"requires at most {self.most} argument{'s' * (self.most != 1)}"
        return f"requires at least {self.least} and at most {self.most} arguments"


class Values:
    """The parsed flags of one invocation."""

    def __init__(self, options: tuple[Option, ...]) -> None:
        self.options = {option.name: option for option in options}
        self.given: dict[str, Any] = {}

    def changed(self, name: str) -> bool:
        """Tell whether the flag was on the command line."""
        return name in self.given

    def flag(self, name: str) -> bool:
        """Return a boolean flag."""
        return bool(self._value(name))

    def text(self, name: str) -> str:
        """Return a string flag, empty if absent."""
        value = self._value(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> int:
        """Return an integer flag, 0 if absent."""
        return int(self._value(name) or 0)

    def optional_number(self, name: str) -> int | None:
        """Return an integer flag, None if it was not given."""
        value = self.given.get(name)
        return None if value is None else int(value)

    def many(self, name: str) -> list[Any]:
        """Return a repeatable flag's values in order."""
        return list(self.given.get(name, ()))

    def pairs(self, name: str) -> dict[str, str]:
        """Return a repeatable ``key=value`` flag; the last value of a key counts."""
        return dict(self.given.get(name, ()))

    def filters(self, name: str = "filter") -> str | None:
        """Return ``--filter`` as the API's JSON, None if absent."""
        if name not in self.given:
            return None
        from moorage.client import jsonwire

        table: dict[str, dict[str, bool]] = {}
        for key, value in self.given[name]:
            table.setdefault(key, {})[value] = True
        return jsonwire.encode(table, sort_keys=True)

    def add(self, option: Option, text: str) -> None:
        """Take one occurrence of a flag."""
        value = option.parse(text)
        if option.kind not in kinds.REPEATABLE:
            self.given[option.name] = value
        elif isinstance(value, list):
            self.given.setdefault(option.name, []).extend(value)
        else:
            self.given.setdefault(option.name, []).append(value)

    def _value(self, name: str) -> Any:
        if name in self.given:
            return self.given[name]
        return self.options[name].default


def parse(
    options: tuple[Option, ...], words: list[str], *, interspersed: bool
) -> tuple[Values, list[str]]:
    """Split *words* into flags and arguments.

    Raises: UsageError, HelpWanted.
    """
    values = Values(options)
    shorts = {option.short: option for option in options if option.short}
    arguments: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            return values, arguments + words[at:]
        if not word.startswith("-") or word == "-":
            arguments.append(word)
            if not interspersed:
                return values, arguments + words[at:]
            continue
        at += _take(values, shorts, word, words[at : at + 1])
    return values, arguments


class HelpWanted(Exception):
    """``--help`` was given."""


def _take(values: Values, shorts: dict[str, Option], word: str, following: list[str]) -> int:
    """Take the flag or cluster *word*; return how many following words it used."""
    if word.startswith("--"):
        name, equals, text = word[2:].partition("=")
        option = values.options.get(name)
        if option is None:
            if name == "help":
                raise HelpWanted
            raise UsageError(f"unknown flag: --{name}")
        return _assign(values, option, text if equals else None, following, f"--{name}")
    cluster = word[1:]
    while cluster:
        option = shorts.get(cluster[0])
        if option is None:
            if cluster[0] == "h":
                raise HelpWanted
            raise UsageError(f"unknown shorthand flag: {cluster[0]!r} in -{cluster}")
        rest = cluster[1:]
        if rest.startswith("=") and len(rest) > 1:
            return _assign(values, option, rest[1:], following, "")
        if option.kind != "bool":
            named = f"{cluster[0]!r} in -{cluster}"
            return _assign(values, option, rest or None, following, named)
        values.add(option, "true")
        cluster = rest
    return 0


def _assign(
    values: Values, option: Option, text: str | None, following: list[str], named: str
) -> int:
    if text is not None:
        values.add(option, text)
        return 0
    if option.kind == "bool":
        values.add(option, "true")
        return 0
    if not following:
        raise UsageError(f"flag needs an argument: {named}")
    values.add(option, following[0])
    return 1

"""Parsing of ``moord``'s command line, with the grammar of dockerd's flags (Go's pflag)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from moorage.daemon.config import DEFAULT_CONFIG_FILE
from moorage.daemon.options import BY_FLAG, BY_SHORT, IGNORED_KEYS, OPTIONS, Option
from moorage.lib.errors import InvalidParameter

TRUE: Final = frozenset({"1", "t", "T", "true", "True", "TRUE"})
FALSE: Final = frozenset({"0", "f", "F", "false", "False", "FALSE"})
_MODES: Final = {"validate": "", "version": "v", "help": "h", "purge": "", "fsck": ""}
_MODE_HELP: Final = {
    "validate": "Check the configuration and exit",
    "version": "Show the version and exit",
    "help": "Show this text",
    "purge": "Remove all that daemons with these roots have made, and exit",
    "fsck": "Check the stored images and layers, mend what can be mended, and exit",
}

Given = str | int | bool | list[str] | dict[str, str]


@dataclass(slots=True)
class CommandLine:
    """What was given; *values* by the key of ``daemon.json``."""

    values: dict[str, Given] = field(default_factory=dict)
    config_file: Path = DEFAULT_CONFIG_FILE
    config_file_given: bool = False
    mode: str = ""  # "", "validate", "version", "help", "purge", "fsck"


def parse(arguments: list[str]) -> CommandLine:
    """Parse the arguments behind the program's name.

    Raises: InvalidParameter, naming the flag.
    """
    line = CommandLine()
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument.startswith("--") and len(argument) > 2:
            name, equals, value = argument[2:].partition("=")
            _take(line, name, value if equals else None, rest, shown=f"--{name}")
        elif argument.startswith("-") and len(argument) > 1:
            _take_short(line, argument[1:], rest)
        else:
            raise InvalidParameter(f"moord accepts no arguments: {argument!r}")
    return line


def _take_short(line: CommandLine, letters: str, rest: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        option = BY_SHORT.get(letter)
        mode = next((name for name, short in _MODES.items() if short == letter), None)
        if option is None and mode is None:
            raise InvalidParameter(f"unknown shorthand flag: '{letter}'", hint="see moord --help")
        name = option.flag_name if option is not None else mode or ""
        if mode is not None or (option is not None and option.kind == "bool"):
            _take(line, name, None, rest, shown=f"-{letter}")
            continue
        value = letters.removeprefix("=") if letters else None
        _take(line, name, value, rest, shown=f"-{letter}")
        return


def _take(line: CommandLine, name: str, value: str | None, rest: list[str], *, shown: str) -> None:
    if name in _MODES:
        if value is None or _boolean(shown, value):
            line.mode = name
        return
    option = BY_FLAG.get(name)
    if option is None and name != "config-file" and name not in IGNORED_KEYS:
        raise InvalidParameter(f"unknown flag: {shown}", hint="see moord --help")
    if value is None and (option is None or option.kind != "bool"):
        if not rest:
            raise InvalidParameter(f"flag needs an argument: {shown}")
        value = rest.pop(0)
    if name == "config-file":
        line.config_file, line.config_file_given = Path(value or ""), True
    elif option is not None:
        _store(line.values, option, value, shown)
    else:
        line.values[name] = value or ""


def _store(values: dict[str, Given], option: Option, value: str | None, shown: str) -> None:
    if option.kind == "bool":
        values[option.key] = value is None or _boolean(shown, value)
    elif option.kind == "int":
        values[option.key] = _integer(shown, value or "")
    elif option.kind == "list":
        items = values.setdefault(option.key, [])
        assert isinstance(items, list)  # noqa: S101 - a key has one kind
        items.append(value or "")
    elif option.kind == "map":
        pairs = values.setdefault(option.key, {})
        assert isinstance(pairs, dict)  # noqa: S101 - a key has one kind
        key, equals, text = (value or "").partition("=")
        if not equals:
            raise InvalidParameter(f"invalid argument {value!r} for {shown}: want key=value")
        pairs[key] = text
    else:
        values[option.key] = value or ""


def _boolean(shown: str, value: str) -> bool:
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise InvalidParameter(f"invalid argument {value!r} for {shown}: want true or false")


def _integer(shown: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise InvalidParameter(
            f"invalid argument {value!r} for {shown}: want a whole number"
        ) from error


def usage() -> str:
    """Return the text of ``--help``."""
    rows = [
        (f"{f'-{o.short}, ' if o.short else '    '}--{o.flag_name}", o.kind, o.help)
        for o in OPTIONS
        if o.flag_name
    ]
    rows.append(("    --config-file", "text", f"Configuration file ({DEFAULT_CONFIG_FILE})"))
    rows += [
        (f"{f'-{short}, ' if short else '    '}--{name}", "bool", _MODE_HELP[name])
        for name, short in _MODES.items()
    ]
    rows.sort(key=lambda row: row[0].strip("- ").split("--")[-1])
    lines = [
        f"  {flag + ('' if kind == 'bool' else ' ' + kind):34} {text}" for flag, kind, text in rows
    ]
    head = "Usage:  moord [OPTIONS]\n\nThe container engine's daemon.\n\nOptions:"
    return "\n".join([head, *lines])

"""Help pages, drawn from the command table in the docker CLI's layout."""

from __future__ import annotations

import posix

from moorage.cli import kinds, summaries, tree
from moorage.cli.tree import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Command, Option

NARROWEST = 24
SLOP = 5
NO_TERMINAL = 80


def usage_line(typed: str) -> str:
    """Return the usage of a command as typed, for error messages."""
    path = typed.removeprefix(PROGRAM).strip()
    canonical = tree.canonical_path(path)
    if tree.is_command(canonical):
        command = tree.load(canonical)
        return _usage(path, command)
    return f"{PROGRAM} {path} COMMAND" if path else f"{PROGRAM} [OPTIONS] COMMAND [ARG...]"


def command_page(typed: str, canonical: str, command: Command) -> str:
    """Return the page of one command."""
    sections = [f"Usage:  {_usage(typed, command)}", summaries.COMMANDS[canonical]]
    if command.details:
        sections.append(command.details)
    names = tree.names_of(canonical)
    if len(names) > 1:
        listed = ", ".join(f"{PROGRAM} {name}" for name in names)
        sections.append(f"Aliases:\n  {listed}")
    if flags := flag_lines(command.options):
        sections.append("Options:\n" + flags)
    return "\n\n".join(sections) + "\n"


def group_page(group: str) -> str:
    """Return the page of a group of commands."""
    prefix = group + " "
    verbs = {
        path.removeprefix(prefix): summary
        for path, summary in _visible().items()
        if path.startswith(prefix)
    }
    for alias, target in tree.aliases().items():
        if alias.startswith(prefix) and not target.startswith(prefix):
            verbs[alias.removeprefix(prefix)] = summaries.COMMANDS[target]
    return (
        f"Usage:  {PROGRAM} {group} COMMAND\n\n{summaries.GROUPS[group]}\n\nCommands:\n"
        + _listing(dict(sorted(verbs.items())))
        + f"\nRun '{PROGRAM} {group} COMMAND --help' for more information on a command.\n"
    )


def top_page(global_options: tuple[Option, ...], extensions: dict[str, str]) -> str:
    """Return the first page; *extensions* are the plugins, marked with a star."""
    names = {path: summary for path, summary in _visible().items() if " " not in path}
    names |= {
        alias: summaries.COMMANDS[target]
        for alias, target in tree.aliases().items()
        if " " not in alias
    }
    common = {name: names[name] for name in summaries.COMMON}
    others = {name: names[name] for name in sorted(names) if name not in common}
    starred = {f"{name}*": summary for name, summary in extensions.items()}
    swarm = {group: text for group, text in summaries.GROUPS.items() if group in tree.SWARM}
    groups = {group: text for group, text in summaries.GROUPS.items() if group not in swarm}
    groups = dict(sorted({**groups, **starred}.items()))
    return (
        f"Usage:  {PROGRAM} [OPTIONS] COMMAND\n\n"
        "A container engine with Docker's interface\n\n"
        f"Common Commands:\n{_listing(common)}\n"
        f"Management Commands:\n{_listing(groups)}\n"
        f"Swarm Commands:\n{_listing(swarm)}\n"
        f"Commands:\n{_listing(others)}\n"
        f"Global Options:\n{flag_lines(global_options)}\n\n"
        f"Run '{PROGRAM} COMMAND --help' for more information on a command.\n"
    )


def flag_lines(options: tuple[Option, ...]) -> str:
    """Lay out flags in two columns, wrapped as pflag wraps."""
    width = terminal_width() - 1
    heads: list[str] = []
    shown = [option for option in sorted(options, key=lambda o: o.name) if not option.hidden]
    for option in shown:
        short = f"-{option.short}, " if option.short else "    "
        kind = "" if option.kind == "bool" else " " + kinds.HELP_NAMES.get(option.kind, option.kind)
        heads.append(f"  {short}--{option.name}{kind}")
    column = max((len(head) for head in heads), default=0) + 3
    lines = [
        head.ljust(column) + _wrap(option.help + _default(option), column, width)
        for head, option in zip(heads, shown, strict=True)
    ]
    return "\n".join(lines)


def terminal_width() -> int:
    """Return the width of the terminal on standard output, 80 without one."""
    try:
        return posix.get_terminal_size(1).columns or NO_TERMINAL
    except OSError:
        return NO_TERMINAL


def _visible() -> dict[str, str]:
    return {path: text for path, text in summaries.COMMANDS.items() if path not in tree.HIDDEN}


def _usage(typed: str, command: Command) -> str:
    return " ".join(
        filter(None, (PROGRAM, typed, "[OPTIONS]" if command.options else "", command.arguments))
    )


def _listing(entries: dict[str, str]) -> str:
    width = max(11, *(len(name) for name in entries))
    return "".join(f"  {name:{width}} {text}\n" for name, text in entries.items())


def _default(option: Option) -> str:
    value = option.default
    if not value:
        return ""
    if isinstance(value, bool):
        shown = "true"
    elif isinstance(value, str):
        shown = f'"{value}"'
    else:
        shown = str(value)
    return f" (default {shown})"


def _wrap(text: str, indent: int, width: int) -> str:
    """Break *text* at spaces so that lines of *width* with *indent* hold it."""
    room = width - indent - SLOP
    if room < NARROWEST - SLOP:
        return text
    lines: list[str] = []
    while len(text) > room + SLOP:
        cut = text.rfind(" ", 0, room)
        newline = text.rfind("\n", 0, room)
        if 0 < newline < cut:
            cut = newline
        if cut <= 0:
            break
        lines.append(text[:cut])
        text = text[cut + 1 :]
    lines.append(text)
    return ("\n" + " " * indent).join("\n".join(lines).split("\n"))

"""What a shell asks when the user presses Tab: candidates from the command table and the daemon.

The scripts that ``moor completion`` prints know nothing of commands: they call ``moor __complete``
with the words typed so far, print each line's first field, and obey the last line, which says
whether file names are welcome, too.
"""

from __future__ import annotations

from moorage.cli import summaries, tree
from moorage.cli.globaloptions import GLOBAL_OPTIONS
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.session import Session

    Candidates = dict[str, str]

_NO_FILES, _ONLY_DIRECTORIES = 4, 16  # bits of cobra's directive
FILES, DIRECTORIES, NOTHING = ":files", ":directories", ":nothing"


def answer(session: Session, words: list[str]) -> int:
    """Print the candidates for the last of *words*; a ``--`` before them is dropped."""
    if words[:1] == ["--"]:
        words = words[1:]
    if len(words) > 1 and (path := _extension(session, words[0])):
        return _ask_extension(session, path, words)
    *before, current = words or [""]
    candidates, files = complete(session, before, current)
    for value in sorted(candidates):
        if value.startswith(current):
            summary = candidates[value]
            session.out.line(f"{value}\t{summary}" if summary else value)
    session.out.line(files)
    return 0


def complete(session: Session, before: list[str], current: str) -> tuple[Candidates, str]:
    """Return candidates with their descriptions, and whether files are welcome."""
    at = _skip_global_flags(session, before, GLOBAL_OPTIONS)
    if isinstance(at, Option):
        return _values(session, at, current)
    rest = before[at:]
    if not rest:
        flags = current.startswith("-")
        return (_flags(GLOBAL_OPTIONS) if flags else _first_words(session)), NOTHING
    if rest[0] in tree.GROUPS and len(rest) == 1:
        return _verbs(rest[0]), NOTHING
    try:
        _, canonical, words = tree.find(rest)
    except tree.Unknown:
        return {}, NOTHING
    if not tree.is_command(canonical):
        return {}, NOTHING
    return _arguments(session, tree.load(canonical), words, current)


def _skip_global_flags(
    session: Session, before: list[str], options: tuple[Option, ...]
) -> int | Option:
    """Apply the global flags; return where the command begins, or a flag that wants its value."""
    at = 0
    while at < len(before) and before[at].startswith("-"):
        option = _option_of(options, before[at])
        at += 1
        if option is None or option.kind == "bool" or "=" in before[at - 1]:
            continue
        if at == len(before):
            return option
        session.globals.add(option, before[at])
        at += 1
    return at


def _arguments(
    session: Session, command: Command, words: list[str], current: str
) -> tuple[Candidates, str]:
    arguments: list[str] = []
    wanting: Option | None = None
    for word in words:
        if wanting is not None:
            wanting = None
        elif word.startswith("-") and word != "-" and (command.interspersed or not arguments):
            option = _option_of(command.options, word)
            if option is not None and option.kind != "bool" and "=" not in word:
                wanting = option
        else:
            arguments.append(word)
    if wanting is not None:
        return _values(session, wanting, current)
    if current.startswith("-") and (command.interspersed or not arguments):
        return _flags(command.options), NOTHING
    if command.most is not None and len(arguments) >= command.most:
        return {}, NOTHING
    sources = command.complete.split()
    if not sources:
        return {}, NOTHING
    if sources == ["containers", "files"]:  # cp: either end may be either
        found, _ = source(session, "containers")
        return {f"{name}:": summary for name, summary in found.items()}, FILES
    return source(session, sources[min(len(arguments), len(sources) - 1)])


def _values(session: Session, option: Option, current: str) -> tuple[Candidates, str]:
    if option.choices.startswith("filters:"):
        from moorage.cli.completing import filter_values

        return filter_values(session, option.choices.removeprefix("filters:"), current), NOTHING
    if " " in option.choices:
        return dict.fromkeys(option.choices.split(), ""), NOTHING
    return source(session, option.choices)


def source(session: Session, name: str) -> tuple[Candidates, str]:
    """Return the candidates of a named source; a daemon that does not answer gives none."""
    if name in {"files", "directories"}:
        return {}, f":{name}"
    from moorage.cli import completing

    return (completing.SOURCES[name](session) if name in completing.SOURCES else {}), NOTHING


def _option_of(options: tuple[Option, ...], word: str) -> Option | None:
    name = word.partition("=")[0]
    for option in options:
        if name == f"--{option.name}":
            return option
        if not name.startswith("--") and option.short and name.endswith(option.short):
            return option
    return None


def _flags(options: tuple[Option, ...]) -> Candidates:
    found = {f"--{option.name}": option.help for option in options if not option.hidden}
    found["--help"] = "Show this command's page"
    return found


def _extension(session: Session, word: str) -> str:
    """Return the path of the plugin that *word* names, empty if it is no plugin."""
    if word in tree.GROUPS or tree.is_command(tree.canonical_path(word)):
        return ""
    from moorage.cli import extension

    return extension.find(session, word)


def _ask_extension(session: Session, path: str, words: list[str]) -> int:
    """Let a plugin complete its own words: it speaks cobra's protocol, which ends in flag bits."""
    from moorage.cli import extension

    try:
        answered = extension.ask(path, ["__complete", *words])
    except OSError:
        answered = ""
    *lines, last = answered.splitlines() or [""]
    bits = int(last.removeprefix(":")) if last.removeprefix(":").isdecimal() else _NO_FILES
    session.out.write("".join(f"{line}\n" for line in lines))
    files = DIRECTORIES if bits & _ONLY_DIRECTORIES else NOTHING if bits & _NO_FILES else FILES
    session.out.line(files)
    return 0


def _first_words(session: Session) -> Candidates:
    from moorage.cli import extension

    found = {path: text for path, text in summaries.COMMANDS.items() if " " not in path}
    found |= summaries.GROUPS
    found |= {
        alias: summaries.COMMANDS[target]
        for alias, target in tree.aliases().items()
        if " " not in alias
    }
    found |= {plugin.name: plugin.summary for plugin in extension.installed(session)}
    return found


def _verbs(group: str) -> Candidates:
    prefix = group + " "
    found = {
        path.removeprefix(prefix): text
        for path, text in summaries.COMMANDS.items()
        if path.startswith(prefix) and path not in tree.HIDDEN
    }
    for alias, target in tree.aliases().items():
        if alias.startswith(prefix):
            found.setdefault(alias.removeprefix(prefix), summaries.COMMANDS[target])
    return found

"""``moor``: find the command, load its module alone, run it, turn every failure into words.

The way from here to ``ps``, ``run``, ``exec`` and ``logs`` imports neither ``typing`` nor ``re``,
``json``, ``socket`` or anything that does: each of them costs as much as the whole command.
"""

from __future__ import annotations

import posix
import sys

from moorage.cli import tree
from moorage.cli.failure import CommandError
from moorage.cli.globaloptions import GLOBAL_OPTIONS
from moorage.cli.options import HelpWanted, UsageError, Values, WrongCount, parse
from moorage.cli.session import Session
from moorage.cli.tree import PROGRAM, VERSION

USAGE_STATUS = 125
SIGPIPE_STATUS = 141
SIGINT_STATUS = 130
LAST_STANDARD_STREAM = 2

_LOG_LEVELS = frozenset({"trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"})


def main() -> int:
    """Run the command line of this process."""
    _open_standard_streams()
    status = run(sys.argv[1:])
    # nothing is left to tear down: the interpreter's own end would cost milliseconds
    posix._exit(status)  # noqa: SLF001 - its public name


def _open_standard_streams() -> None:
    """Have descriptors 0 to 2 lead somewhere: else a socket to the daemon would be one of them."""
    while (descriptor := posix.open("/dev/null", posix.O_RDWR)) <= LAST_STANDARD_STREAM:
        posix.set_inheritable(descriptor, True)  # noqa: FBT003
    posix.close(descriptor)


def run(words: list[str]) -> int:
    """Run one command line and return its exit status."""
    session = Session(Values(GLOBAL_OPTIONS), environment())
    try:
        status = _guarded(session, words)
        session.out.flush()
        session.err.flush()
    except BrokenPipeError:
        return SIGPIPE_STATUS
    except KeyboardInterrupt:
        return SIGINT_STATUS
    except OSError as e:  # a full disk behind our standard output
        session.err.line(f"write /dev/stdout: {(e.strerror or str(e)).lower()}")
        session.err.flush()
        return 1
    return status


def environment() -> dict[str, str]:
    """Return the environment (``os`` would decode it for us, at a tenth of our running time)."""
    return {
        name.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
        for name, value in posix.environ.items()
    }


def _guarded(session: Session, words: list[str]) -> int:
    """Run, and print what went wrong."""
    from moorage.lib.errors import MoorageError

    try:
        return dispatch(session, words)
    except UsageError as e:
        return _usage_failure(session, str(e))
    except CommandError as e:
        message, status = e.message, e.status
    except MoorageError as e:
        message, status = str(e), 1
    except BrokenPipeError:
        raise
    except OSError as e:
        if session.globals.flag("debug"):
            raise
        named = f"{e.filename}: " if e.filename else ""
        message, status = f"{named}{e.strerror or e}", 1
    except Exception as e:
        if session.globals.flag("debug"):
            raise
        message = f"{PROGRAM}: the client failed: {type(e).__name__}: {e} (-D shows where)"
        status = USAGE_STATUS
    session.out.flush()
    if message:
        session.err.line(message)
    return status


def dispatch(session: Session, words: list[str]) -> int:
    """Parse global flags, find the command, parse its flags and run it."""
    whole = words
    if words and words[0].startswith("-"):
        words = _take_globals(session, words)
        if session.globals.flag("version"):
            session.out.line(f"Moorage version {VERSION}")
            return 0
    if words[:1] == ["help"] or words[:1] == ["__complete"]:
        return _about_commands(session, words)
    try:
        typed, canonical, rest = tree.find(words)
    except tree.Unknown as e:
        from moorage.cli import extension

        if not e.parent and (path := extension.find(session, e.typed)):
            return extension.run(session, path, whole)
        return _unknown(session, e)
    session.typed = f"{PROGRAM} {typed}".rstrip()
    if not tree.is_command(canonical):
        return _group(session, canonical, rest)
    return _run_command(session, typed, canonical, rest)


def _take_globals(session: Session, words: list[str]) -> list[str]:
    """Parse the flags before the command; return the words from the command on."""
    try:
        session.globals, words = parse(GLOBAL_OPTIONS, words, interspersed=False)
    except HelpWanted:
        return ["help"]
    level = session.globals.text("log-level")
    if level not in _LOG_LEVELS:
        raise CommandError(f"Unable to parse logging level: {level}")
    return words


def _run_command(session: Session, typed: str, canonical: str, rest: list[str]) -> int:
    """Parse a command's own flags and run it."""
    command = tree.load(canonical)
    if not command.parsed and "--help" not in rest:
        return command.run(session, Values(()), rest) or 0
    try:
        values, arguments = parse(command.options, rest, interspersed=command.interspersed)
    except HelpWanted:
        from moorage.cli import help as help_pages

        session.out.write(help_pages.command_page(typed, canonical, command))
        return 0
    wrong = command.check_count(len(arguments))
    if not wrong:
        try:
            return command.run(session, values, arguments) or 0
        except WrongCount as e:
            wrong = str(e)
    return _count_failure(session, wrong, command.arguments, bool(command.options))


def _about_commands(session: Session, words: list[str]) -> int:
    """Serve ``help [COMMAND]`` and the completion scripts' ``__complete``."""
    if words[0] == "__complete":
        from moorage.cli import completion

        return completion.answer(session, words[1:])
    return dispatch(session, [*words[1:], "--help"]) if words[1:] else _group(session, "", [])


def _group(session: Session, group: str, rest: list[str]) -> int:
    """Show a group's page; any flag but --help is refused."""
    asked_for = not group
    try:
        parse((), rest, interspersed=False)
    except HelpWanted:
        asked_for = True
    from moorage.cli import help as help_pages

    page = (
        help_pages.group_page(group)
        if group
        else help_pages.top_page(GLOBAL_OPTIONS, _extensions(session))
    )
    (session.out if asked_for else session.err).write(page)
    return 0


def _extensions(session: Session) -> dict[str, str]:
    """Return the installed plugins with their summaries."""
    from moorage.cli import extension

    return {found.name: found.summary for found in extension.installed(session)}


def _usage_failure(session: Session, message: str) -> int:
    """Report a malformed command line with the command's usage."""
    from moorage.cli import help as help_pages

    usage = help_pages.usage_line(session.typed)
    session.err.line(
        f"{message}\n\nUsage:  {usage}\n\nRun '{session.typed} --help' for more information"
    )
    return USAGE_STATUS


def _count_failure(session: Session, wrong: str, arguments: str, has_options: bool) -> int:  # noqa: FBT001
    usage = " ".join(filter(None, (session.typed, "[OPTIONS]" if has_options else "", arguments)))
    session.err.line(
        f"{PROGRAM}: '{session.typed}' {wrong}\n\nUsage:  {usage}\n\n"
        f"Run '{session.typed} --help' for more information"
    )
    return 1


def _unknown(session: Session, unknown: tree.Unknown) -> int:
    """Report an unknown command with what it may have meant."""
    from moorage.cli import summaries

    parent = f"{PROGRAM} {unknown.parent}".rstrip()
    lines = [f"{PROGRAM}: unknown command: {PROGRAM} {unknown.typed}", ""]
    if why := summaries.ELSEWHERE.get(unknown.typed.partition(" ")[0]):
        lines += [why, ""]
    elif close := summaries.nearest(unknown.typed, unknown.parent):
        lines += ["Did you mean?", *(f"  {PROGRAM} {path}" for path in close), ""]
    if unknown.parent:
        lines += [f"Usage:  {parent} COMMAND", ""]
    lines.append(f"Run '{parent} --help' for more information")
    session.err.line("\n".join(lines))
    return 1

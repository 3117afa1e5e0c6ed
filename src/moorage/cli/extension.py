"""CLI plugins of Docker's kind: programs called ``docker-NAME`` that serve ``moor NAME``.

They are looked for where the docker CLI looks: in ``cliPluginsExtraDirs`` of config.json, in
``cli-plugins`` beside it, and in four directories of the system. A plugin describes itself when it
is run with ``docker-cli-plugin-metadata``; it is given the whole command line, and takes the place
of this process, so that terminal and signals are its own.

Whoever can write a plugin, or a directory on the way to it, runs programs as the user: one that
others than root and the user can change is refused.
"""

from __future__ import annotations

import posix

from moorage.cli.failure import CommandError
from moorage.client import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json

PREFIX = "docker-"
METADATA = "docker-cli-plugin-metadata"
SCHEMA = "0."  # Docker's is 0.1.0
SYSTEM_DIRECTORIES = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
ORIGINAL_COMMAND = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_OTHERS_WRITE = 0o022


class Extension:
    """One plugin: its name, its file, and what it says about itself."""

    def __init__(self, name: str, path: str, metadata: Json) -> None:
        self.name = name
        self.path = path
        self.metadata = metadata

    @property
    def summary(self) -> str:
        """What it is for, in its own words."""
        return str(self.metadata.get("ShortDescription") or "")


def find(session: Session, name: str) -> str:
    """Return the path of the plugin *name*, empty if there is none.

    Raises: CommandError (others could change it).
    """
    if not name or not all(char in _NAME for char in name):
        return ""
    for directory in _directories(session):
        path = f"{directory}/{PREFIX}{name}"
        if files.is_file(path) and posix.access(path, posix.X_OK):
            _require_private(path)
            return path
    return ""


def run(session: Session, path: str, words: list[str]) -> int:
    """Become the plugin; *words* is the whole command line after the program's name."""
    from moorage.cli import resolve

    environment = dict(session.environ)
    environment[ORIGINAL_COMMAND] = _own_path()
    named = bool(session.globals.many("host"))
    if not named and resolve.context_name(session) == resolve.DEFAULT_CONTEXT:
        environment["DOCKER_HOST"] = resolve.default_context_host(session)
    session.out.flush()
    session.err.flush()
    try:
        posix.execve(path, [path, *words], environment)
    except OSError as e:
        raise CommandError(f"{path}: {(e.strerror or str(e)).lower()}") from e


def installed(session: Session) -> list[Extension]:
    """Return the plugins that can be run and describe themselves, by name."""
    found: dict[str, Extension] = {}
    for directory in _directories(session):
        try:
            names = sorted(posix.listdir(directory))
        except OSError:
            continue
        for file in names:
            name = file.removeprefix(PREFIX)
            if file == name or name in found:
                continue
            try:
                path = find(session, name)
            except CommandError:
                continue
            if path and (metadata := _describe(path)) is not None:
                found[name] = Extension(name, path, metadata)
    return [found[name] for name in sorted(found)]


def ask(path: str, words: list[str]) -> str:
    """Run a plugin to its end; return what it wrote, empty if it failed.

    Raises: OSError.
    """
    import os

    reader, writer = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writer, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    with open(reader, "rb") as output:
        try:
            pid = os.posix_spawn(path, [path, *words], os.environ, file_actions=actions)
        finally:
            os.close(writer)
        text = output.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return text.decode("utf-8", "replace") if status == 0 else ""


def _describe(path: str) -> Json | None:
    from moorage.client import jsonwire

    try:
        metadata = jsonwire.decode(ask(path, [METADATA]))
    except (OSError, ValueError):
        return None
    if not isinstance(metadata, dict) or not metadata.get("Vendor"):
        return None
    return metadata if str(metadata.get("SchemaVersion", "")).startswith(SCHEMA) else None


def _directories(session: Session) -> list[str]:
    extra = session.config.values.get("cliPluginsExtraDirs")
    given = [str(entry) for entry in extra] if isinstance(extra, list) else []
    return [*given, f"{session.config_directory}/cli-plugins", *SYSTEM_DIRECTORIES]


def _require_private(path: str) -> None:
    """Refuse a plugin that others can change: the file, its directory, or the way to it."""
    import os

    real = os.path.realpath(path)
    places = {real, os.path.dirname(real), os.path.realpath(os.path.dirname(path))}
    trusted = {0, os.geteuid()}
    for place in sorted(places):
        found = os.stat(place)
        if found.st_uid not in trusted:
            raise CommandError(
                f"plugin {path} is not run: {place} belongs to user {found.st_uid}, who is neither "
                "root nor you"
            )
        if found.st_mode & _OTHERS_WRITE:
            raise CommandError(
                f"plugin {path} is not run: others can write {place} (chmod go-w {place})"
            )


def _own_path() -> str:
    import os
    import sys

    return os.path.abspath(sys.argv[0])

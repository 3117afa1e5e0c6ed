"""The environment of a process: defaults first, then what links give, then the user's (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build(
    own: Iterable[str], *, hostname: str, tty: bool, links: Iterable[str] = (), home: str = ""
) -> list[str]:
    """Return the environment of a container's process."""
    base = [PATH, *([f"HOSTNAME={hostname}"] if hostname else [])]
    if tty:
        base.append("TERM=xterm")
    return with_home(override(base, [*links, *own]), home)


def override(base: Iterable[str], more: Iterable[str]) -> list[str]:
    """Replace or append; an entry of *more* without ``=`` removes the variable."""
    result = {entry.partition("=")[0]: entry for entry in base}
    for entry in more:
        key, equals, _ = entry.partition("=")
        if equals:
            result[key] = entry
        else:
            result.pop(key, None)
    return list(result.values())


def with_home(env: list[str], home: str) -> list[str]:
    """Add ``HOME`` where nobody set it."""
    if not home or any(entry.startswith("HOME=") for entry in env):
        return env
    return [*env, f"HOME={home}"]

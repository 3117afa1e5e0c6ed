"""The values that pass between the runtime and those who use it (containers, build)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from moorage.lib.errors import InvalidParameter

UNKNOWN_CODE: Final = 255  # shown when nobody could learn the true exit code


class RuntimeConfig(Struct, frozen=True, kw_only=True):
    """One entry of ``runtimes`` in the daemon's configuration."""

    path: str
    args: tuple[str, ...] = ()


class ProcessIO(Struct, frozen=True, kw_only=True):
    """Where the standard streams of a process go."""

    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False  # the first client that has sent all closes the process's stdin
    log_driver: str = "none"
    log_options: Mapping[str, str] = field(default_factory=dict)
    log_path: Path | None = None  # file drivers: written by the monitor itself
    log_attributes: Mapping[str, str] = field(default_factory=dict)  # shown by `logs --details`
    log_tags: Mapping[str, str] = field(default_factory=dict)
    """What remote drivers send of the container: id, name, image_id, image_name, command,
    created, tag (already expanded), hostname."""
    console_size: tuple[int, int] | None = None  # height, width


class ExitStatus(Struct, frozen=True, kw_only=True):
    """How a process ended."""

    code: int  # 128 + signal for a process that a signal ended
    oom_killed: bool = False
    finished_ns: int
    known: bool = True  # False: its monitor was lost and the kernel could not say; code is 255


class StartFailed(InvalidParameter):
    """The program could not be executed: *exit_code* is Docker's 126 or 127.

    Whatever else fails at a start is System; Docker records 128 for it.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code

"""The program ``moord``: command line and configuration, then one of its modes."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from moorage.daemon import commandline, fsck, loading, logsetup, ownership, purge, serving
from moorage.daemon.commandline import CommandLine
from moorage.daemon.config import Config
from moorage.lib.errors import InvalidParameter, MoorageError
from moorage.lib.version import VERSION


def main() -> NoReturn:
    """Run ``moord``; errors of the user are one line and exit code 1."""
    try:
        sys.exit(_run(sys.argv[1:]))
    except MoorageError as error:
        print(f"moord: {error}", file=sys.stderr)  # noqa: T201 - the log may not be set up yet
        sys.exit(1)


def _run(arguments: list[str]) -> int:
    line = commandline.parse(arguments)
    if line.mode == "help":
        print(commandline.usage())  # noqa: T201
        return 0
    if line.mode == "version":
        print(f"Moorage version {VERSION}")  # noqa: T201
        return 0
    config = loading.load(line)
    if line.mode == "validate":
        print("configuration OK")  # noqa: T201
        return 0
    if os.geteuid() != 0:
        raise InvalidParameter("moord needs root", hint="start it with sudo, or by systemd")
    logsetup.set_up(level=config.log_level, debug=config.debug, log_format=config.log_format)
    if line.mode == "purge":
        purge.purge(config)
        return 0
    if line.mode == "fsck":
        return fsck.fsck(config)
    _own_and_serve(config, line)
    return 0


def _own_and_serve(config: Config, line: CommandLine) -> None:
    """Serve as the only daemon of these roots."""
    exec_root = Path(config.exec_root)
    pidfile = Path(config.pidfile) if config.pidfile else exec_root / "moord.pid"
    with ExitStack() as owned:
        owned.enter_context(ownership.locked(Path(config.data_root), "data-root", private=True))
        owned.enter_context(ownership.locked(exec_root, "exec-root"))
        owned.enter_context(ownership.pid_file(pidfile))
        ownership.prepare_process(config.oom_score_adjust)
        asyncio.run(serving.serve(config, line))


if __name__ == "__main__":
    main()

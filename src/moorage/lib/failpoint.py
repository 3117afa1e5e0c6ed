"""Named places where a fault can be injected from outside, to prove that nothing is left half-made.

``MOORAGE_FAILPOINTS="containers.start.after_network=error;images.load.after_layer=kill"``
Actions: ``error`` raises System, ``enospc`` raises OSError(ENOSPC), ``kill`` ends the process as
kill -9 would, ``sleep:SECONDS`` delays. ``MOORAGE_FAILPOINTS=@FILE`` reads the faults from a file
each time, so that a test can change them under a running daemon. Without the variable a failpoint
costs one look at two empty values.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path

from moorage.lib.errors import System


def _parse(text: str) -> dict[str, str]:
    pairs = (item.split("=", 1) for item in text.split(";") if "=" in item)
    return {name.strip(): action.strip() for name, action in pairs}


_given: str = os.environ.get("MOORAGE_FAILPOINTS", "")
_file: str = _given[1:] if _given.startswith("@") else ""
_armed: dict[str, str] = {} if _file else _parse(_given)


def failpoint(name: str) -> None:
    """Pass, unless a fault is armed under *name*."""
    if not _armed and not _file:
        return
    armed = _parse(Path(_file).read_text()) if _file else _armed
    if (action := armed.get(name)) is not None:
        _act(name, action)


def _act(name: str, action: str) -> None:
    if action == "error":
        raise System(f"failpoint {name}")
    if action == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action.startswith("sleep:"):
        time.sleep(float(action.removeprefix("sleep:")))

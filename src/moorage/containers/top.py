"""``top``: the container's processes, looked at from the host.

Nothing of the container is run (CVE-2022-1227): the default columns are read from /proc by the
daemon itself, others come from the host's own ``ps``.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from moorage.containers.pause import require_not_restarting
from moorage.kernel import spawn
from moorage.lib import clock, offload
from moorage.lib.errors import InvalidParameter, System
from moorage.spec.engine.container import ContainerTopResponse

if TYPE_CHECKING:
    from moorage.containers.container import Container
    from moorage.containers.parts import Parts

_DEFAULT: Final = "-ef"
_TITLES: Final = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PS_TIMEOUT_S: Final = 10.0
_DAY_S: Final = 86_400
_RENAMES_PID: Final = re.compile(r"\s+[^\s]*=\s*(PID[^\s]*)")
_PSEUDO_TERMINALS: Final = range(136, 144)  # major numbers


async def top(parts: Parts, container: Container, ps_args: str) -> ContainerTopResponse:
    """Return the table that ``ps`` with *ps_args* would print, of the container's processes only.

    Events: ``top``.
    Raises: Conflict (not running, restarting), InvalidParameter, System (``ps`` failed).
    """
    require_not_restarting(container)
    pids = container.running_task().pids()
    if ps_args in {"", _DEFAULT}:
        rows = await offload.run("fs", _rows, pids)
        table = ContainerTopResponse(titles=list(_TITLES), processes=rows)
    else:
        table = await _by_ps(pids, ps_args)
    parts.announce(container, "top")
    return table


def _rows(pids: list[int]) -> list[list[str]]:
    now_s = clock.now_ns() / 1e9
    up_s = float(Path("/proc/uptime").read_text().split()[0])
    rows = (_row(pid, now_s, up_s) for pid in sorted(pids))
    return [row for row in rows if row is not None]


def _row(pid: int, now_s: float, up_s: float) -> list[str] | None:
    """Return one line of ``ps -ef``, None for a process that has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        uid = os.stat(f"/proc/{pid}").st_uid
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 2 :].split()
    parent, terminal = fields[1], int(fields[4])
    used_s = (int(fields[11]) + int(fields[12])) / _TICKS
    age_s = max(0.0, up_s - int(fields[19]) / _TICKS)
    line = command.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    return [
        _user(uid),
        str(pid),
        parent,
        str(int(100 * used_s / age_s) if age_s >= 1 else 0),
        _start_time(now_s - age_s, now_s),
        _terminal(terminal),
        _elapsed(int(used_s)),
        line or f"[{name}]",
    ]


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _start_time(started_s: float, now_s: float) -> str:
    return time.strftime(
        "%H:%M" if now_s - started_s < _DAY_S else "%b%d", time.localtime(started_s)
    )


def _terminal(number: int) -> str:
    if not number:
        return "?"
    major, minor = os.major(number), os.minor(number)
    if major in _PSEUDO_TERMINALS:
        return f"pts/{minor + 256 * (major - _PSEUDO_TERMINALS.start)}"
    return f"tty{minor}" if major == 4 else "?"


def _elapsed(seconds: int) -> str:
    days, rest = divmod(seconds, _DAY_S)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


async def _by_ps(pids: list[int], ps_args: str) -> ContainerTopResponse:
    _check(ps_args)
    try:
        words = shlex.split(ps_args)
    except ValueError as error:
        raise InvalidParameter(f"invalid ps arguments: {error}") from error
    try:
        # -q keeps the table small, but few option styles mix with it: fall back to all processes
        listed = ",".join(map(str, pids))
        result = await spawn.run(["ps", *words, "-q", listed], timeout_s=_PS_TIMEOUT_S)
        if result.code:
            result = await spawn.run(["ps", *words], timeout_s=_PS_TIMEOUT_S)
    except FileNotFoundError as error:
        raise System(
            "error running ps: the host has no ps", hint="install procps, or leave the options out"
        ) from error
    if result.code:
        message = result.stderr.decode(errors="replace").strip().splitlines()
        raise System(f"error running ps: {message[0] if message else result.code}")
    return parse(result.stdout.decode("utf-8", "replace"), pids)


def _check(ps_args: str) -> None:
    """The column with the pid must keep its name, or foreign processes could be shown."""
    for found in _RENAMES_PID.finditer(f" {ps_args}"):
        if found[1].upper() != "PID":
            raise InvalidParameter(
                f'specifying "{found[0].strip()}" is not allowed', hint="PID is how we know ours"
            )


def parse(output: str, pids: list[int]) -> ContainerTopResponse:
    """Keep the lines of *pids* (pure).

    Raises: InvalidParameter: no PID column.
    """
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise InvalidParameter("couldn't find PID field in ps output")
    column, ours = titles.index("PID"), set(map(str, pids))
    rows: list[list[str]] = []
    for line in lines[1:]:
        fields = line.split(None, len(titles) - 1)
        if len(fields) > column and fields[column] in ours:
            rows.append(fields)
    return ContainerTopResponse(titles=titles, processes=rows)

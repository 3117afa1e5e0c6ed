"""What crun says in a container's name when the kernel will not run its program, in runc's words.

crun has found the program at ``create``; that it is of another machine, or that its interpreter is
missing, shows at ``start``, when all that crun has left is the standard error of the container. It
writes a line of its log there, in the log's format, and for an exec names no program.
"""

from __future__ import annotations

from moor_shim.bare import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_RED: Final = b"\x1b[1;31m"
_PLAIN: Final = b"\x1b[0m"
_LOGGED: Final = b'{"msg":"exec container process '
_LOGGED_END: Final = b'","level":"error","time":"'
_EXEC: Final = b"exec: "
_REASONS: Final = (b"Exec format error", b"No such file or directory", b"Permission denied")


def translate(first: bytes, program: str) -> bytes:
    """Return the *first* output of a process as runc would have it; others' is left alone.

    *program* is what an exec was to run, "" for a container's first process.
    """
    text = first.rstrip(b"\r\n")
    end = first[len(text) :]
    if text.startswith(_RED):  # on a terminal
        text = text.removeprefix(_RED).removesuffix(_PLAIN)
    if program:
        reason = text.removeprefix(_EXEC)
        if len(reason) == len(text) or reason not in _REASONS:
            return first
        name = program.encode()
    else:
        said, mark, _ = text.partition(_LOGGED_END)
        if not said.startswith(_LOGGED) or not mark:
            return first
        name, _, reason = said.partition(b"`")[2].partition(b"`: ")
        if reason not in _REASONS:
            return first
    return b"exec " + name + b": " + reason.lower() + end

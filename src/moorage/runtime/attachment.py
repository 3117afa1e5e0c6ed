"""A client's connection to the standard streams of a process."""

from __future__ import annotations

from moorage.lib.errors import NotImplemented_


class Attachment:
    """Output arrives from the moment of attaching on; what came before is in the log."""

    async def read(self) -> tuple[int, bytes] | None:
        """Return (1 stdout or 2 stderr, bytes); a terminal has only 1; None at the end."""
        raise NotImplemented_("runtime")

    async def write(self, chunk: bytes) -> None:
        """Send to the process's stdin, waiting while it does not read."""
        raise NotImplemented_("runtime")

    async def close_stdin(self) -> None:
        """Say that this client sends no more.

        The process's stdin closes if it was made with *stdin_once* and is no terminal.
        """
        raise NotImplemented_("runtime")

    async def close(self) -> None:
        """Detach; the process goes on."""
        raise NotImplemented_("runtime")

"""Signals as bytes on a pipe, so that the loop over a container's streams can wait for them too."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # signal itself loads enum
import posix

NAMES = {
    _signal.SIGHUP: "HUP",
    _signal.SIGINT: "INT",
    _signal.SIGQUIT: "QUIT",
    _signal.SIGUSR1: "USR1",
    _signal.SIGUSR2: "USR2",
    _signal.SIGALRM: "ALRM",
    _signal.SIGTERM: "TERM",
    _signal.SIGCONT: "CONT",
}
WINDOW_CHANGED = _signal.SIGWINCH


class Watch:
    """Catch signals from now on; ``descriptor`` becomes readable when one has come."""

    def __init__(self, *, proxy: bool) -> None:
        self.descriptor, writer = posix.pipe()
        posix.set_blocking(writer, False)
        _signal.set_wakeup_fd(writer)
        _signal.signal(WINDOW_CHANGED, _ignore)
        for number in NAMES if proxy else ():
            _signal.signal(number, _ignore)

    def take(self) -> list[int]:
        """Return the numbers of the signals that came."""
        return list(posix.read(self.descriptor, 64))


def _ignore(_: int, __: object) -> None:
    """Do nothing: the byte on the pipe is what counts."""

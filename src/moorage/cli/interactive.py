"""What ``run``, ``start -a``, ``attach`` and ``exec`` share around their streams."""

from __future__ import annotations

from moorage.cli import detachkeys
from moorage.cli.failure import CommandError, ForcedEnd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.http import Wire

PATIENCE = 3  # signals that ask for an end, after which the client goes whatever the container does
DETACH_KEYS_HELP = "Keys that leave the container running (default ctrl-p,ctrl-q)"


def check_terminal(session: Session, *, stdin: bool, tty: bool) -> None:
    """Refuse a terminal for the container when the user has none to give.

    Raises: CommandError.
    """
    if stdin and tty and not session.stdin_is_terminal:
        raise CommandError("the input device is not a TTY")


def detach_keys_text(session: Session, values: Values) -> str:
    """Return the detach keys of flag or configuration, empty for the default."""
    return values.text("detach-keys") or session.config.text("detachKeys")


class Terminal:
    """Streams of a container; the terminal is raw meanwhile if both sides have one."""

    def __init__(
        self,
        session: Session,
        *,
        tty: bool,
        stdin: bool,
        resize_path: str,
        kill_path: str = "",
        detach_keys: str = "",
    ) -> None:
        self.session = session
        self.tty = tty
        self.stdin = stdin
        self.resize_path = resize_path
        self.kill_path = kill_path  # empty: signals are not passed on
        self.keys = detachkeys.parse(detach_keys) if tty and stdin else b""
        self.asked_to_end = 0
        self.watch = None
        if kill_path or tty:
            from moorage.cli.signals import Watch

            self.watch = Watch(proxy=bool(kill_path))

    def redraw(self) -> None:
        """Have the program draw its screen anew: a size is only noticed when it changes."""
        self.resize(extra=1)
        self.resize()

    def resize(self, *, extra: int = 0) -> None:
        """Tell the daemon the terminal's size; a container that has ended does not care."""
        if not self.tty:
            return
        from moorage.cli import terminal
        from moorage.lib.errors import MoorageError

        if (size := terminal.size(1)) is None:
            return
        try:
            self.session.api.post(self.resize_path, h=size[0] + extra, w=size[1] + extra)
        except MoorageError:
            return

    def carry(self, wire: Wire) -> bool:
        """Carry bytes until the end; return whether the user detached."""
        from moorage.cli.duplex import Duplex, FrameError

        restore = None
        if self.tty and self.stdin and self.session.stdin_is_terminal:
            from moorage.cli import terminal

            restore = terminal.make_raw(0)
        duplex = Duplex(
            self.session,
            wire,
            raw=self.tty,
            stdin=self.stdin,
            detach_keys=self.keys,
            watch=self.watch,
            on_signal=self._on_signal,
        )
        try:
            duplex.run()
        except FrameError as e:
            raise CommandError(str(e)) from e
        finally:
            if restore is not None:
                restore()
        return duplex.detached

    def _on_signal(self, number: int) -> None:
        from moorage.cli import signals
        from moorage.lib.errors import MoorageError

        if number == signals.WINDOW_CHANGED:
            self.resize()
            return
        if signals.NAMES.get(number) in {"INT", "TERM"}:
            self.asked_to_end += 1
            if self.asked_to_end == PATIENCE:
                raise ForcedEnd(f"\ngot {PATIENCE} SIGTERM/SIGINTs, forcefully exiting")
        if self.kill_path and number in signals.NAMES:
            try:
                self.session.api.post(self.kill_path, signal=signals.NAMES[number])
            except MoorageError:
                return  # it has ended: its streams will say so

"""``moor login``."""

from __future__ import annotations

import posix

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.lib.errors import MoorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.credentials import Credentials
    from moorage.client.jsonwire import Json


def run(session: Session, values: Values, arguments: list[str]) -> None:
    """Check credentials with the registry and keep them."""
    from moorage.client.credentials import DOCKER_HUB, Credentials, hostname_of

    server = hostname_of(arguments[0]) if arguments else DOCKER_HUB
    if server in {"docker.io", "index.docker.io"}:
        server = DOCKER_HUB
    store = Credentials(session.config)
    user, password = values.text("username"), _password(session, values)
    if not user and not password and (known := _known(session, store, server)):
        _succeed(session, known)
        return
    user, password = _ask(session, user, password)
    auth: Json = {"username": user, "password": password, "serveraddress": server}
    answer = session.api.post("/auth", auth)
    if token := answer.get("IdentityToken"):
        auth = {"username": user, "identitytoken": token, "serveraddress": server}
    if path := store.store(server, auth):
        session.err.line(
            f"\nWARNING! Your credentials are stored unencrypted in '{path}'.\n"
            "Configure a credential helper to remove this warning.\n"
        )
    _succeed(session, answer.get("Status"))


def _succeed(session: Session, status: str | None) -> None:
    session.out.line(status or "Login Succeeded")


def _password(session: Session, values: Values) -> str:
    if values.changed("password"):
        if values.flag("password-stdin"):
            raise CommandError("--password and --password-stdin are mutually exclusive")
        session.err.line("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        return values.text("password")
    if not values.flag("password-stdin"):
        return ""
    if not values.text("username"):
        raise CommandError("Must provide --username with --password-stdin")
    content = b""
    while chunk := posix.read(0, 65536):
        content += chunk
    return content.decode().rstrip("\r\n")


def _known(session: Session, store: Credentials, server: str) -> str | None:
    """Try what is stored already; None if there is nothing or it no longer works."""
    auth = store.find(server)
    if not auth:
        return None
    shown = f" [Username: {auth['username']}]" if auth.get("username") else ""
    session.out.line(f"Authenticating with existing credentials...{shown}")
    try:
        return str(session.api.post("/auth", auth).get("Status") or "")
    except MoorageError as e:
        session.err.line(f"Login did not succeed, error: {e}")
        return None


def _ask(session: Session, user: str, password: str) -> tuple[str, str]:
    if user and password:
        return user, password
    if not session.stdin_is_terminal:
        raise CommandError("Error: Cannot perform an interactive login from a non TTY device")
    if not user:
        session.out.write("Username: ")
        user = _read_line(session, echo=True)
        if not user:
            raise CommandError("Error: Non-null Username Required")
    if not password:
        session.out.write("Password: ")
        password = _read_line(session, echo=False)
        session.out.line()
        if not password:
            raise CommandError("Error: Password Required")
    return user, password


def _read_line(session: Session, *, echo: bool) -> str:
    import termios

    session.out.flush()
    saved = termios.tcgetattr(0)
    if not echo:
        silent = termios.tcgetattr(0)
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(0, termios.TCSAFLUSH, silent)
    try:
        typed = b""
        while not typed.endswith(b"\n") and (char := posix.read(0, 1)):
            typed += char
    finally:
        termios.tcsetattr(0, termios.TCSAFLUSH, saved)
    return typed.decode().strip()


COMMAND = Command(
    run,
    arguments="[SERVER]",
    most=1,
    details="Without a server it is Docker Hub.",
    options=(
        Option("password", "p", "string", "Password or access token"),
        Option("password-stdin", "", "bool", "Read the password from standard input"),
        Option("username", "u", "string", "User name"),
    ),
)

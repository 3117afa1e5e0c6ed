"""Flags of the docker CLI that are refused by name, because ignoring them would be a lie.

Those of Windows have no meaning to a daemon on Linux; and who asks for signed images must not be
given unsigned ones.
"""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

_FALSE = frozenset({"", "0", "f", "F", "false", "FALSE", "False"})
WINDOWS = (
    Option("cpu-count", "", "int", "Number of CPUs (Windows only)", hidden=True),
    Option("cpu-percent", "", "int", "Share of CPU (Windows only)", hidden=True),
    Option("io-maxbandwidth", "", "bytes", "Limit of I/O (Windows only)", hidden=True),
    Option("io-maxiops", "", "int", "Limit of I/O operations (Windows only)", hidden=True),
)
NO_TRUST = Option(
    "disable-content-trust", "", "bool", "Skip image verification", default=True, hidden=True
)


def refuse_windows(values: Values) -> None:
    """Refuse what only a daemon on Windows can follow.

    Raises: CommandError.
    """
    for option in WINDOWS:
        if values.changed(option.name):
            raise CommandError(
                f'"--{option.name}" is only supported on a Docker daemon running on windows, but '
                "the Docker daemon is running on linux"
            )


def refuse_trust(session: Session, values: Values) -> None:
    """Refuse a demand for content trust, by flag or by ``DOCKER_CONTENT_TRUST``.

    Raises: CommandError.
    """
    if values.changed(NO_TRUST.name):
        demanded = not values.flag(NO_TRUST.name)
    else:
        demanded = session.environ.get("DOCKER_CONTENT_TRUST", "") not in _FALSE
    if demanded:
        raise CommandError(
            "content trust is not built: name the image by its digest (image@sha256:…), or give "
            "--disable-content-trust"
        )

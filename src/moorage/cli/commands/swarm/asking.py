"""Every command about a swarm but ``init``, ``join`` and ``leave``: the daemon is asked.

``moord`` is in no swarm and says so, in dockerd's words, whatever is wanted of it. A dockerd that
manages one would do more than this client can ask for: it is only looked at.
"""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

_LOOKED_AT = {
    "config": "/configs",
    "node": "/nodes",
    "secret": "/secrets",
    "service": "/services",
    "stack": "/services",
    "swarm": "/swarm",
}


def run(session: Session, _values: Values, _words: list[str]) -> None:
    """Show what the daemon says to a question about its swarm.

    Raises: CommandError, MoorageError.
    """
    group = session.typed.split()[1]
    session.api.get(_LOOKED_AT[group])
    raise CommandError(
        "the daemon manages a swarm, and moor does not look after swarms: "
        f"use 'docker {group}' for this daemon"
    )


COMMAND = Command(
    run,
    arguments="[ARG...]",
    most=None,
    parsed=False,
    details="The daemon answers: moord is in no swarm, and one that manages a swarm is left alone.",
)

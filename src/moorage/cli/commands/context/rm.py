"""``moor context rm``."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> None:
    """Remove contexts; the current one only with --force."""
    from moorage.client.contexts import DEFAULT, ContextStore

    store = ContextStore(session.config_directory)
    force = values.flag("force")
    failures: list[str] = []
    for name in names:
        if name == DEFAULT:
            failures.append('context "default" cannot be removed')
            continue
        if name == session.config.text("currentContext"):
            if not force:
                failures.append(f'context "{name}" is in use, set -f flag to force remove')
                continue
            session.config.values.pop("currentContext", None)
            session.config.save()
        if not store.exists(name):
            if not force:
                failures.append(f'context "{name}" does not exist')
                continue
        else:
            store.remove(name)
        session.out.line(name)
    if failures:
        raise CommandError("\n".join(failures))


COMMAND = Command(
    run,
    arguments="CONTEXT [CONTEXT...]",
    least=1,
    most=None,
    complete="contexts",
    options=(Option("force", "f", "bool", "Remove the current context, too"),),
)

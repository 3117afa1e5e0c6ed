"""``moor context use``."""

from __future__ import annotations

from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Make a context the current one."""
    from moorage.client.contexts import DEFAULT, ContextStore, check_name
    from moorage.client.endpoint import host_from_environment

    name = arguments[0]
    if name == DEFAULT:
        session.config.values.pop("currentContext", None)
    else:
        check_name(name)
        ContextStore(session.config_directory).get(name)
        session.config.values["currentContext"] = name
    session.config.save()
    session.out.line(name)
    session.err.line(f'Current context is now "{name}"')
    if name != DEFAULT and host_from_environment(session.environ):
        session.err.line(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use "
            f'"{name}", either set the global --context flag, or unset DOCKER_HOST environment '
            "variable."
        )


COMMAND = Command(run, arguments="CONTEXT", least=1, most=1, complete="contexts")

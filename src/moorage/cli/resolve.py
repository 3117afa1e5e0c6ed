"""Which daemon: the docker CLI's order of flags, environment, contexts and default."""

from __future__ import annotations

from moorage.cli.session import CommandError
from moorage.client.endpoint import Endpoint, Tls, default_host, host_from_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.session import Session

DEFAULT_CONTEXT = "default"


def context_name(session: Session) -> str:
    """Return the context in force; "default" is the one made of flags and environment."""
    chosen = session.globals.text("context")
    hosts = session.globals.many("host")
    if chosen and hosts:
        raise CommandError("conflicting options: cannot specify both --host and --context")
    if chosen:
        return chosen
    if hosts or host_from_environment(session.environ):
        return DEFAULT_CONTEXT
    return (
        session.environ.get("DOCKER_CONTEXT")
        or session.config.text("currentContext")
        or DEFAULT_CONTEXT
    )


def default_context_host(session: Session) -> str:
    """Return the host of the default context."""
    hosts = session.globals.many("host")
    if len(hosts) > 1:
        raise CommandError("Specify only one -H")
    return hosts[0] if hosts else host_from_environment(session.environ) or default_host()


def endpoint(session: Session) -> Endpoint:
    """Return where the daemon is.

    Raises: CommandError, NotFound (context), InvalidParameter (address).
    """
    name = context_name(session)
    if name == DEFAULT_CONTEXT:
        return Endpoint(default_context_host(session), _tls(session))
    from moorage.client.contexts import ContextStore
    from moorage.lib.errors import NotFound

    try:
        return ContextStore(session.config_directory).get(name).endpoint()
    except NotFound as e:
        raise CommandError(f"Failed to initialize: unable to resolve docker endpoint: {e}") from e


def _tls(session: Session) -> Tls | None:
    """Return certificates as the global flags and DOCKER_TLS* say; None without TLS."""
    flags, environ = session.globals, session.environ
    verify = flags.flag("tlsverify") or (
        not flags.changed("tlsverify") and bool(environ.get("DOCKER_TLS_VERIFY"))
    )
    if not verify and not flags.flag("tls") and not environ.get("DOCKER_TLS"):
        return None
    folder = environ.get("DOCKER_CERT_PATH") or session.config_directory
    paths: dict[str, str | None] = {}
    for name, flag in (("ca", "tlscacert"), ("cert", "tlscert"), ("key", "tlskey")):
        path = flags.text(flag) or f"{folder}/{name}.pem"
        paths[name] = path if flags.changed(flag) or _exists(path) else None
    return Tls(ca=paths["ca"], cert=paths["cert"], key=paths["key"], verify=verify)


def _exists(path: str) -> bool:
    import os

    return os.path.exists(path)

"""Which daemon: the docker CLI's order of flags, environment, contexts and default."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.client import files
from moorage.client.endpoint import Endpoint, Tls, default_host, host_from_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from moorage.cli.options import Values
    from moorage.client.configfile import ConfigFile

    class Sources(Protocol):
        """What the choice depends on; a session has it."""

        globals: Values
        environ: Mapping[str, str]

        @property
        def config(self) -> ConfigFile:
            """The client's configuration file."""

        @property
        def config_directory(self) -> str:
            """Where it lies."""


DEFAULT_CONTEXT = "default"


def context_name(sources: Sources) -> str:
    """Return the context in force; "default" is the one made of flags and environment."""
    chosen = sources.globals.text("context")
    hosts = sources.globals.many("host")
    if chosen and hosts:
        raise CommandError("conflicting options: cannot specify both --host and --context")
    if chosen:
        return chosen
    if hosts or host_from_environment(sources.environ):
        return DEFAULT_CONTEXT
    return (
        sources.environ.get("DOCKER_CONTEXT")
        or sources.config.text("currentContext")
        or DEFAULT_CONTEXT
    )


def default_context_host(sources: Sources) -> str:
    """Return the host of the default context."""
    hosts = sources.globals.many("host")
    if len(hosts) > 1:
        raise CommandError("Specify only one -H")
    return hosts[0] if hosts else host_from_environment(sources.environ) or default_host()


def endpoint(sources: Sources) -> Endpoint:
    """Return where the daemon is.

    Raises: CommandError, NotFound (context), InvalidParameter (address).
    """
    name = context_name(sources)
    if name == DEFAULT_CONTEXT:
        return Endpoint(default_context_host(sources), tls(sources))
    from moorage.client.contexts import ContextStore
    from moorage.lib.errors import NotFound

    try:
        return ContextStore(sources.config_directory).get(name).endpoint()
    except NotFound as e:
        raise CommandError(f"Failed to initialize: unable to resolve docker endpoint: {e}") from e


def tls(sources: Sources) -> Tls | None:
    """Return certificates as the global flags and DOCKER_TLS* say; None without TLS."""
    flags, environ = sources.globals, sources.environ
    verify = flags.flag("tlsverify") or (
        not flags.changed("tlsverify") and bool(environ.get("DOCKER_TLS_VERIFY"))
    )
    if not verify and not flags.flag("tls") and not environ.get("DOCKER_TLS"):
        return None
    folder = environ.get("DOCKER_CERT_PATH") or sources.config_directory
    paths: dict[str, str | None] = {}
    for name, flag in (("ca", "tlscacert"), ("cert", "tlscert"), ("key", "tlskey")):
        path = flags.text(flag) or f"{folder}/{name}.pem"
        paths[name] = path if flags.changed(flag) or files.exists(path) else None
    return Tls(ca=paths["ca"], cert=paths["cert"], key=paths["key"], verify=verify)

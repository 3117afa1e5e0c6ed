"""``moor context inspect``."""

from __future__ import annotations

from moorage.cli.inspecting import FORMAT_OPTION, inspect
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.contexts import ContextStore
    from moorage.client.jsonwire import Json


def run(session: Session, values: Values, names: list[str]) -> int:
    """Show contexts; without a name the current one."""
    from moorage.cli.resolve import context_name
    from moorage.client import jsonwire
    from moorage.client.contexts import ContextStore

    store = ContextStore(session.config_directory)

    def fetch(name: str) -> str:
        text = jsonwire.encode(_describe(session, store, name))
        return text.replace("<", "\\u003c").replace(">", "\\u003e")

    return inspect(session, names or [context_name(session)], values.text("format"), fetch)


def _describe(session: Session, store: ContextStore, name: str) -> Json:
    from moorage.client.contexts import DEFAULT

    if name == DEFAULT:
        from moorage.cli.resolve import default_context_host

        host = default_context_host(session)
        return {
            "Name": DEFAULT,
            "Metadata": {},
            "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}},
            "TLSMaterial": {},
            "Storage": {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"},
        }
    context = store.get(name)
    files = sorted(context.tls_files())
    return {
        "Name": name,
        "Metadata": context.meta.get("Metadata") or {},
        "Endpoints": context.meta.get("Endpoints") or {},
        "TLSMaterial": {"docker": files} if files else {},
        "Storage": {
            "MetadataPath": context.tls_directory.replace("/tls/", "/meta/"),
            "TLSPath": context.tls_directory,
        },
    }


COMMAND = Command(
    run,
    arguments="[CONTEXT] [CONTEXT...]",
    most=None,
    complete="contexts",
    options=(FORMAT_OPTION,),
)

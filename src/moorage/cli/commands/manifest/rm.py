"""``moor manifest rm``."""

from __future__ import annotations

from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, _values: Values, arguments: list[str]) -> int:
    """Remove lists from this machine; registries keep what they have."""
    from moorage.cli import manifestlist
    from moorage.client.manifestlists import ManifestLists

    lists = ManifestLists(session.config_directory)
    targets = [manifestlist.named(text, " for manifest list") for text in arguments]
    missing = [target for target in targets if not lists.forget(target)]
    for target in missing:
        session.err.line(f"No such manifest: {target}")
    return 1 if missing else 0


COMMAND = Command(run, arguments="MANIFEST_LIST [MANIFEST_LIST...]", least=1, most=None)

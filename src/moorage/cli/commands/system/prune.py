"""``moor system prune``."""

from __future__ import annotations

from moorage.cli import pruning
from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json


def run(session: Session, values: Values, _: list[str]) -> None:
    """Remove what nothing uses; volumes only if asked."""
    volumes = values.flag("volumes")
    given = values.many("filter")
    if volumes and any(key == "until" for key, _ in given):
        raise CommandError('ERROR: The "until" filter is not supported with "--volumes"')
    if not values.flag("force") and not session.confirm(_warning(values)):
        return
    filters = pruning.filters(session, values)
    post = session.api.post
    size = 0
    answer = post("/containers/prune", filters=filters)
    pruning.deleted(session, "Deleted Containers", answer.get("ContainersDeleted") or [])
    size += answer.get("SpaceReclaimed") or 0
    if volumes:
        answer = post("/volumes/prune", filters=filters)
        pruning.deleted(session, "Deleted Volumes", answer.get("VolumesDeleted") or [])
        size += answer.get("SpaceReclaimed") or 0
    answer = post("/networks/prune", filters=filters)
    pruning.deleted(session, "Deleted Networks", answer.get("NetworksDeleted") or [])
    size += _images(session, values)
    answer = post("/build/prune", filters=filters, all=values.flag("all") or None)
    pruning.deleted(session, "Deleted build cache objects", answer.get("CachesDeleted") or [])
    size += answer.get("SpaceReclaimed") or 0
    pruning.reclaimed(session, size)


def _images(session: Session, values: Values) -> int:
    values.given.setdefault("filter", []).append(
        ("dangling", "false" if values.flag("all") else "true")
    )
    answer: Json = session.api.post("/images/prune", filters=pruning.filters(session, values))
    values.given["filter"].pop()
    lines = [
        f"untagged: {change['Untagged']}"
        if change.get("Untagged")
        else f"deleted: {change['Deleted']}"
        for change in answer.get("ImagesDeleted") or ()
    ]
    pruning.deleted(session, "Deleted Images", lines)
    return int(answer.get("SpaceReclaimed") or 0)


def _warning(values: Values) -> str:
    lines = ["WARNING! This will remove:", "  - all stopped containers"]
    lines.append("  - all networks not used by at least one container")
    if values.flag("volumes"):
        lines.append("  - all anonymous volumes not used by at least one container")
    if values.flag("all"):
        lines.append("  - all images without at least one container associated to them")
        lines.append("  - all build cache")
    else:
        lines.append("  - all dangling images")
        lines.append("  - unused build cache")
    if given := values.many("filter"):
        lines += ["", "  Items to be pruned will be filtered with:"]
        lines += [f"  - {key}={value}" for key, value in given]
    return "\n".join([*lines, "", "Are you sure you want to continue?"])


COMMAND = Command(
    run,
    options=(
        Option("all", "a", "bool", "Remove all unused images, not only dangling ones"),
        pruning.filter_option("label=<key>=<value>"),
        pruning.FORCE_OPTION,
        Option("volumes", "", "bool", "Remove anonymous volumes, too"),
    ),
)

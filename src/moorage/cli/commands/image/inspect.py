"""``moor image inspect``."""

from __future__ import annotations

from moorage.cli.inspecting import FORMAT_OPTION, inspect
from moorage.cli.options import Command, Option
from moorage.cli.references import platform_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> int:
    """Show images as the daemon describes them."""
    from moorage.client.api import WITH_OLD_FIELDS

    platform = platform_json(values.text("platform"))

    def fetch(name: str) -> str:
        path = f"/images/{name}/json"
        return session.api.get_raw(path, WITH_OLD_FIELDS, platform=platform).decode()

    return inspect(session, names, values.text("format"), fetch)


COMMAND = Command(
    run,
    arguments="IMAGE [IMAGE...]",
    least=1,
    most=None,
    complete="images",
    options=(
        FORMAT_OPTION,
        Option("platform", "", "string", "Platform of the image, such as linux/arm64"),
    ),
)

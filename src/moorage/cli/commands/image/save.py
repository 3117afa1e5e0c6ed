"""``moor save``."""

from __future__ import annotations

from moorage.cli.options import Command, Option
from moorage.cli.references import platform_json
from moorage.cli.saving import save_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, names: list[str]) -> None:
    """Write images to one archive."""
    query: dict[str, object] = {"names": names, "platform": platform_json(values.text("platform"))}
    save_body(session, "/images/get", query, values.text("output"), "failed to save image")


COMMAND = Command(
    run,
    arguments="IMAGE [IMAGE...]",
    least=1,
    most=None,
    complete="images",
    options=(
        Option("output", "o", "string", "Write to a file", choices="files"),
        Option("platform", "", "string", "Save only this platform, such as linux/arm64"),
    ),
)

"""What all ``inspect`` commands share: fetch, then indent as it came, or run a template over it."""

from __future__ import annotations

from moorage.cli.options import INSPECT_FORMAT_HELP, Option
from moorage.lib.errors import MoorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.cli.session import Session

FORMAT_OPTION = Option("format", "f", "string", INSPECT_FORMAT_HELP)


def inspect(
    session: Session,
    references: list[str],
    format_: str,
    fetch: Callable[[str], str],
    times: frozenset[str] | None = None,
) -> int:
    """Show the objects that *fetch* returns as JSON text; failures come after what was found."""
    from moorage.client import jsonwire

    found: list[str] = []
    failures: list[str] = []
    for reference in references:
        try:
            found.append(fetch(reference).strip())
        except MoorageError as e:
            failures.append(str(e))
    if format_ == "":
        body = ",".join(found)
        session.out.line(jsonwire.indent(f"[{body}]"))
    elif format_ == "json":
        session.out.line(f"[{','.join(found)}]")
    else:
        _through_template(session, found, format_, failures, times)
    session.out.flush()
    for failure in failures:
        session.err.line(failure)
    return 1 if failures else 0


def _through_template(
    session: Session,
    found: list[str],
    format_: str,
    failures: list[str],
    times: frozenset[str] | None,
) -> None:
    from moorage.cli.failure import CommandError, TemplateError
    from moorage.cli.format.templated import compile_template
    from moorage.cli.template.errors import ExecuteError
    from moorage.cli.template.values import TIMES, dress
    from moorage.client import jsonwire

    try:
        template = compile_template(format_)
    except TemplateError as e:
        raise CommandError(e.message, 64) from e
    for text in found:
        try:
            session.out.line(template.render(dress(jsonwire.decode(text), "", times or TIMES)))
        except ExecuteError as e:
            failures.append(f"template parsing error: {e}")
    if not found or failures:
        session.out.line()

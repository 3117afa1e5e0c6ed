"""``moor system check``: find damage in the daemon's store, and mend it."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option
from moorage.lib.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session


def run(session: Session, values: Values, _: list[str]) -> int:
    """Print every problem, and leave with 1 if one remains."""
    try:
        answer = session.api.post("/system/check", repair=values.flag("repair") or None)
    except NotFound as e:
        raise CommandError(
            "this daemon does not check its store while it runs: stop it and run 'moord --fsck'"
        ) from e
    problems = answer.get("Problems") or []
    for problem in problems:
        mended = " (mended)" if problem.get("Repaired") else ""
        session.out.line(f"{problem['Kind']}: {problem['Object']}: {problem['Message']}{mended}")
    left = [problem for problem in problems if not problem.get("Repaired")]
    checked = answer.get("Checked") or 0
    session.out.line(f"{checked} objects checked, {len(problems)} problems, {len(left)} left")
    return 1 if left else 0


COMMAND = Command(run, options=(Option("repair", "", "bool", "Mend what can be mended"),))

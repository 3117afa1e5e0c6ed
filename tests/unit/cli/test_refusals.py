"""What is refused by name because ignoring it would be a lie."""

from __future__ import annotations

import pytest

from moorage.cli.failure import CommandError
from moorage.cli.globaloptions import GLOBAL_OPTIONS
from moorage.cli.options import Values, parse
from moorage.cli.refusals import NO_TRUST, WINDOWS, refuse_trust, refuse_windows
from moorage.cli.session import Session


def demand(words: list[str], environ: dict[str, str]) -> None:
    values, _ = parse((NO_TRUST,), words, interspersed=True)
    refuse_trust(Session(Values(GLOBAL_OPTIONS), environ), values)


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        ([], {}),
        ([], {"DOCKER_CONTENT_TRUST": "0"}),
        (["--disable-content-trust"], {"DOCKER_CONTENT_TRUST": "1"}),
    ],
)
def test_who_demands_no_trust_is_served(words: list[str], environ: dict[str, str]) -> None:
    demand(words, environ)


@pytest.mark.parametrize(
    ("words", "environ"),
    [([], {"DOCKER_CONTENT_TRUST": "1"}), (["--disable-content-trust=false"], {})],
)
def test_who_demands_trust_gets_nothing_unsigned(words: list[str], environ: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="content trust is not built"):
        demand(words, environ)


@pytest.mark.parametrize("name", [option.name for option in WINDOWS])
def test_what_windows_knows_is_refused(name: str) -> None:
    values, _ = parse(WINDOWS, [f"--{name}", "1"], interspersed=True)
    with pytest.raises(CommandError, match=f'"--{name}" is only supported'):
        refuse_windows(values)

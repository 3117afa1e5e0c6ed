from __future__ import annotations

import pytest

from moorage.build.frontends.dockerfile import parser
from moorage.build.frontends.dockerfile.lint import RULES, Linter, parse_settings
from moorage.build.frontends.dockerfile.source import DockerfileError


def found(text: str) -> list[tuple[str, int]]:
    linter = Linter(parser.parse(text.encode()))
    linter.check_text()
    return [(warning.rule, warning.span.start) for warning in linter.warnings]


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("FROM a AS Foo", "StageNameCasing", 1),
        ("FROM a as foo", "FromAsCasing", 1),
        ("FROM a\nRUN b \\\n\n c", "NoEmptyContinuation", 3),
        ("FROM a\nrun b\nRUN c", "ConsistentInstructionCasing", 2),
        ("FROM a AS x\nFROM b AS x", "DuplicateStageName", 2),
        ("FROM a AS scratch", "ReservedStageName", 1),
        ("FROM a\nCMD b", "JSONArgsRecommended", 2),
        ("FROM a\nMAINTAINER b", "MaintainerDeprecated", 2),
        ('FROM a\nCMD ["b"]\nCMD ["c"]', "MultipleInstructionsDisallowed", 2),
        ("FROM a\nENV b c", "LegacyKeyValueFormat", 2),
        ("FROM a\nARG AWS_SECRET_ACCESS_KEY", "SecretsUsedInArgOrEnv", 2),
        ("FROM a\nENV API_TOKEN=x", "SecretsUsedInArgOrEnv", 2),
        ("FROM a\nEXPOSE 80/TCP", "ExposeProtoCasing", 2),
        ("FROM a\nEXPOSE 127.0.0.1:80:80", "ExposeInvalidFormat", 2),
    ],
)
def test_each_rule_finds_its_line(text: str, rule: str, line: int) -> None:
    assert found(text) == [(rule, line)]
    assert rule in RULES


def test_a_clean_file_has_no_findings() -> None:
    text = 'FROM a AS b\nENV A=1 PUBLIC_KEY=x\nRUN c\nCMD ["d"]\nEXPOSE 80/udp\n'
    assert found(text) == []


def test_rules_can_be_skipped_and_made_errors() -> None:
    assert found("# check=skip=StageNameCasing\nFROM a AS B\nMAINTAINER x") == [
        ("MaintainerDeprecated", 3)
    ]
    assert found("# check=skip=all\nFROM a AS B\nMAINTAINER x") == []
    linter = Linter(parser.parse(b"# check=error=true\nFROM a AS B\n"))
    linter.check_text()
    with pytest.raises(DockerfileError, match="lint violation found for rules: StageNameCasing"):
        linter.fail_on_warnings()


def test_experimental_rules_are_off_unless_asked_for() -> None:
    text = "# describes it\nFROM a AS b\n"
    assert found(text) == []
    asked = found(f"# check=experimental=all\n{text}")
    assert asked == [("InvalidDefinitionDescription", 3)]


@pytest.mark.parametrize("text", ["skpi=a", "error=maybe"])
def test_a_wrong_setting_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid check option"):
        parse_settings(text)

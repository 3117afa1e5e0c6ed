from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.build.frontends.dockerfile import parser
from moorage.build.frontends.dockerfile.instructions import (
    Arg,
    Copy,
    Entry,
    Healthcheck,
    Onbuild,
    Pairs,
    Run,
    Values,
)
from moorage.build.frontends.dockerfile.source import DockerfileError

KEYWORDS = st.sampled_from(
    "FROM RUN COPY ADD ENV ARG LABEL CMD ENTRYPOINT USER WORKDIR EXPOSE VOLUME SHELL HEALTHCHECK "
    "ONBUILD STOPSIGNAL MAINTAINER run Bogus".split()
)
ARGUMENTS = st.text(st.sampled_from("ab =$\"'[]{},/-<E\\:0\n"), max_size=20)


def body(text: str) -> tuple[object, ...]:
    return parser.parse(f"FROM a\n{text}\n".encode()).stages[0].instructions


@given(st.lists(st.tuples(KEYWORDS, ARGUMENTS), max_size=6))
def test_any_file_parses_or_says_where_it_is_wrong(lines: list[tuple[str, str]]) -> None:
    text = "".join(f"{keyword} {arguments}\n" for keyword, arguments in lines)
    try:
        found = parser.parse(text.encode())
    except DockerfileError as caught:
        error = caught
    else:
        assert [stage.index for stage in found.stages] == list(range(len(found.stages)))
        return
    assert f"on line {error.span.start}: " in str(error)
    assert ">>>" in str(error)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "file with no instructions"),
        ("RUN a", 1, "no build stage in current context"),
        ("FORM a", 1, "unknown instruction: FORM .did you mean FROM"),
        ("FROM a b", 1, "FROM requires either one or three arguments"),
        ("FROM a AS 1x", 1, "invalid name for build stage"),
        ("FROM a\nCOPY x", 2, "COPY requires at least two arguments"),
        ("FROM a\nCOPY --frm=x a b", 2, "unknown flag: --frm .did you mean --from"),
        ("FROM a\nCOPY --from=x --from=y a b", 2, "duplicate flag specified: from"),
        ("FROM a\nCOPY --link=maybe a b", 2, "expecting boolean value for flag link"),
        ("FROM a\nCOPY --from a b", 2, "missing a value on flag: from"),
        ("FROM a\nENV x", 2, "ENV must have two arguments"),
        ("FROM a\nENV x=1 y", 2, "can't find = in .y."),
        ("FROM a\nENV =1", 2, "names can not be blank"),
        ("FROM a\nLABEL a=b =c", 2, "names can not be blank"),
        ("FROM a\nARG", 2, "ARG requires at least one argument"),
        ("FROM a\nRUN", 2, "RUN requires at least one argument"),
        ("FROM a\nCMD --x", 2, "unknown flag: --x"),
        ('FROM a\nCMD ["a", 1]', 2, "arrays must be comprised of strings only"),
        ("FROM a\nSHELL sh", 2, "SHELL requires the arguments to be in JSON form"),
        ("FROM a\nUSER a b", 2, "USER requires exactly one argument"),
        ("FROM a\nHEALTHCHECK X", 2, "Unknown type .X. in HEALTHCHECK"),
        ("FROM a\nHEALTHCHECK --interval=x CMD a", 2, "invalid duration"),
        ("FROM a\nHEALTHCHECK NONE a", 2, "takes no arguments"),
        ("FROM a\nONBUILD ONBUILD RUN a", 2, "Chaining ONBUILD"),
        ("FROM a\nONBUILD FROM a", 2, "FROM isn't allowed as an ONBUILD trigger"),
        ("FROM a\nRUN --mount=type=bnd,target=/a b", 2, "unsupported mount type"),
        ("FROM a\nRUN --mount=type=cache b", 2, "target is required"),
        ("FROM a\nRUN --mount=type=cache,target=/a,sharing=x b", 2, "unsupported sharing"),
        ("FROM a\nRUN --mount=type=tmpfs,target=/a,uid=1 b", 2, "unexpected key 'uid'"),
        ("FROM a\nRUN --network=hots b", 2, "unsupported network mode .hots. .did you mean host"),
        ("FROM a\nVOLUME", 2, "VOLUME requires at least one argument"),
    ],
)
def test_mistakes_name_the_line_and_what_was_expected(text: str, line: int, message: str) -> None:
    with pytest.raises(DockerfileError, match=message) as caught:
        parser.parse(text.encode())
    assert caught.value.span.start == line
    if text:
        assert f"{line:4d} | >>> {text.splitlines()[line - 1]}" in str(caught.value)


def test_shell_and_exec_forms() -> None:
    run, cmd, odd = body('RUN a  b\nCMD ["a", "b c"]\nENTRYPOINT ["a", ]')
    assert isinstance(run, Run)
    assert (run.command.in_shell, run.command.words) == (True, ("a  b",))
    assert isinstance(cmd, Entry)
    assert (cmd.command.in_shell, cmd.command.words) == (False, ("a", "b c"))
    assert isinstance(odd, Entry)
    assert odd.command.in_shell  # no JSON: Docker hands it to the shell


def test_env_in_both_forms() -> None:
    pairs, legacy = body('ENV a=1 b="x y" c=x\\ y\nENV d  e f ')
    assert isinstance(pairs, Pairs)
    assert pairs.pairs == (("a", "1"), ("b", '"x y"'), ("c", "x\\ y"))
    assert isinstance(legacy, Pairs)
    assert legacy.pairs == (("d", "e f"),)
    assert legacy.legacy


def test_arg_with_and_without_default() -> None:
    (arg,) = body("ARG a b=1 c=")
    assert isinstance(arg, Arg)
    assert arg.pairs == (("a", None), ("b", "1"), ("c", ""))


def test_copy_keeps_inline_files_apart() -> None:
    (copy,) = body("COPY --chmod=644 a <<E b /d/\nx\nE")
    assert isinstance(copy, Copy)
    assert copy.sources == ("a", "b")
    assert [doc.content for doc in copy.heredocs] == ["x\n"]


def test_run_takes_all_its_flags() -> None:
    (run,) = body(
        "RUN --mount=type=secret,id=a,env=B --mount=type=ssh,required "
        "--mount=target=/x,from=y,rw --network=none --security=insecure c"
    )
    assert isinstance(run, Run)
    assert [mount.type for mount in run.mounts] == ["secret", "ssh", "bind"]
    assert run.mounts[0].env == "B"
    assert run.mounts[1].required
    assert not run.mounts[2].readonly
    assert (run.network, run.security) == ("none", "insecure")


def test_healthcheck_and_onbuild_and_volume() -> None:
    check, none, onbuild, volume = body(
        "HEALTHCHECK --interval=1m30s --retries=3 CMD curl x\nHEALTHCHECK NONE\n"
        'ONBUILD COPY --chown=1 a b\nVOLUME ["/a", "/b c"]'
    )
    assert isinstance(check, Healthcheck)
    assert (check.interval_ns, check.retries) == (90_000_000_000, 3)
    assert isinstance(none, Healthcheck)
    assert none.command is None
    assert isinstance(onbuild, Onbuild)
    assert onbuild.trigger == "COPY --chown=1 a b"
    assert isinstance(volume, Values)
    assert volume.values == ("/a", "/b c")

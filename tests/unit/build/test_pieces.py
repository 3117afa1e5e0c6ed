"""Small pure parts of the builder."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.build import prune, remotes
from moorage.build.cache import Record
from moorage.build.files import mode
from moorage.build.operations.redact import MASK, Redactor
from moorage.lib.errors import InvalidParameter


@given(
    st.integers(0, 0o7777),
    st.lists(
        st.from_regex(r"[ugoa]{0,3}[-+=](?:[rwxXst]{0,4}|[ugo])", fullmatch=True),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
def test_symbolic_modes_stay_modes(
    before: int,
    clauses: list[str],
    directory: bool,  # noqa: FBT001
) -> None:
    text = ",".join(clauses)
    kind = stat.S_IFDIR if directory else stat.S_IFREG
    try:
        after = mode.change(before, text, is_directory=directory)
    except InvalidParameter:
        return
    assert after == after & 0o7777
    assert mode.change(after, "u+r,u-r", is_directory=directory) == after & ~0o400
    assert stat.S_IMODE(kind | after) == after


@pytest.mark.parametrize(
    "text", ["u+x", "go=", "a=rX", "u=rwx,g=u,o-w", "+x", "g+s", "u+s,o+t", "ug=rw,o=r", "a-x+X"]
)
@pytest.mark.parametrize("before", [0o644, 0o755, 0o4711, 0o600])
def test_symbolic_modes_beside_the_real_chmod(tmp_path: Path, text: str, before: int) -> None:
    for name, make in (("f", Path.touch), ("d", Path.mkdir)):
        path = tmp_path / name
        make(path)
        path.chmod(before)
        subprocess.run(["chmod", text, path], check=True, umask=0)
        wanted = stat.S_IMODE(path.stat().st_mode)
        assert mode.change(before, text, is_directory=name == "d") == wanted


@pytest.mark.parametrize("text", ["", "z+x", "u", "u+z", "9", "77777", "u+x,"])
def test_what_is_no_mode_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        mode.change(0o644, text, is_directory=False)


@given(st.lists(st.sampled_from([b"s3cr3t", b"s3", b"cr3t", b"x", b"s", b"\n"]), max_size=20))
def test_a_secret_never_leaves_whole_however_it_is_cut(pieces: list[bytes]) -> None:
    redactor = Redactor([b"s3cr3t"])
    out = b"".join([redactor.feed(piece) for piece in pieces] + [redactor.finish()])
    assert b"s3cr3t" not in out
    assert out == b"".join(pieces).replace(b"s3cr3t", MASK)


def test_short_secrets_mask_nothing() -> None:
    assert Redactor([b"a", b"12\n"]).feed(b"a 12 a") == b"a 12 a"


def record(identity: str, size: int, used: int, **more: object) -> Record:
    return Record(id=identity, size=size, created_ns=used, last_used_ns=used, **more)  # type: ignore[arg-type]


RECORDS = [record("a", 10, 1), record("b", 20, 2), record("c", 30, 3), record("d", 40, 4)]


def chosen(everything: bool = False, shared: str = "", used: str = "", **limits: int) -> str:  # noqa: FBT001, FBT002
    facts = prune.Facts(in_use=lambda i: i in used, shared=lambda r: r.id in shared)
    return "".join(
        r.id
        for r in prune.choose(
            RECORDS,
            wanted=lambda _: True,
            facts=facts,
            limits=prune.Limits(**limits),
            everything=everything,
        )
    )


def test_the_least_recently_used_go_until_the_limit_holds() -> None:
    assert chosen() == "abcd"
    assert chosen(max_bytes=70) == "ab"
    assert chosen(reserved_bytes=70) == "ab"
    assert chosen(to_free_bytes=1) == "a"
    assert chosen(to_free_bytes=100, reserved_bytes=45) == "abc"
    assert chosen(max_bytes=1000) == ""


def test_what_is_used_or_shared_stays() -> None:
    assert chosen(used="ac") == "bd"
    assert chosen(shared="b") == "acd"
    assert chosen(shared="b", everything=True) == "abcd"
    assert chosen(shared="d", max_bytes=50) == "a"  # what images share does not count


def test_filters() -> None:
    facts = prune.Facts(in_use=lambda i: i == "a", shared=lambda _: False)
    now = 10_000_000_000

    def matching(**filters: str) -> str:
        accepts = prune.matcher({k: [v] for k, v in filters.items()}, facts, now)
        return "".join(r.id for r in RECORDS if accepts(r))

    assert matching(until="9999999997ns") == "ab"
    assert matching(id="c") == "c"
    assert matching(type="regular") == "abcd"
    assert matching(type="exec.cachemount") == ""
    assert matching(inuse="true") == "a"
    assert matching(private="true") == "abcd"
    assert matching(label="x") == ""  # records have no labels
    assert matching(**{"label!": "x"}) == "abcd"
    with pytest.raises(InvalidParameter, match="invalid filter 'bad'"):
        matching(bad="x")
    with pytest.raises(InvalidParameter, match="failed to parse value as time or duration"):
        matching(until="soon")


@pytest.mark.parametrize(
    ("text", "url", "ref", "directory"),
    [
        ("https://h/r.git", "https://h/r.git", "", ""),
        ("https://h/r.git#v1:a/b", "https://h/r.git", "v1", "a/b"),
        ("git@h:o/r.git#x", "git@h:o/r.git", "x", ""),
        ("git://h/r", "git://h/r", "", ""),
        ("ssh://git@h/r#:d", "ssh://git@h/r", "", "d"),
        ("github.com/o/r", "https://github.com/o/r", "", ""),
        ("https://github.com/o/r", "https://github.com/o/r", "", ""),
        ("https://h/r.git?ref=v2&subdir=x", "https://h/r.git", "v2", "x"),
    ],
)
def test_addresses_of_repositories(text: str, url: str, ref: str, directory: str) -> None:
    found = remotes.parse_git(text)
    assert found is not None
    assert (found.url, found.ref, found.subdirectory) == (url, ref, directory)


@pytest.mark.parametrize("text", ["https://h/f.tar.gz", "file", "./r.git", "http://github.com/a"])
def test_other_addresses_are_no_repositories(text: str) -> None:
    assert remotes.parse_git(text) is None


@pytest.mark.parametrize("fragment", ["-x", "a..b", "a b", "a^b", "m:../x", "m:a/../../b"])
def test_b5_tricks_in_refs_and_directories_are_refused(fragment: str) -> None:
    with pytest.raises(InvalidParameter):
        remotes.parse_git(f"https://h/r.git#{fragment}")


def test_passwords_in_addresses_are_hidden() -> None:
    assert remotes.redact("https://u:pw@h/x") == "https://u:xxxxx@h/x"

"""Headers of tar: what we write, everybody reads, and the other way round."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moorage.lib.errors import InvalidParameter
from moorage.storage.archive import header
from moorage.storage.archive.chunks import ChunkReader
from moorage.storage.archive.entry import Entry, clean
from moorage.storage.archive.reader import TarReader

NAMES = st.text(
    st.characters(blacklist_characters="\0/", blacklist_categories=["Cs"]), min_size=1, max_size=90
).filter(lambda name: name not in {".", ".."})
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(
    path=PATHS,
    link=PATHS,
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    mtime=st.integers(-(2**40), 2**62),
    xattr=st.binary(max_size=300),
)
@example(path="0", link="0", mode=0, uid=0, mtime=0, xattr=b" GNU.sparse.offset=")
@example(path="0", link="0", mode=0, uid=0, mtime=0, xattr=b"\n24 GNU.sparse.offset=0\n")
def test_what_is_written_is_read_again(  # noqa: PLR0917 - hypothesis gives them by name
    path: str, link: str, mode: int, uid: int, mtime: int, xattr: bytes
) -> None:
    entry = Entry(name=path, kind="2", mode=mode, uid=uid, gid=uid // 2, mtime_ns=mtime, link=link)
    entry.xattrs = {"user.note": xattr}
    data = header.format_entry(entry) + header.ZEROS * 2
    (found,) = TarReader(iter([data]))
    assert found == entry
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        (member,) = archive.getmembers()
    assert (member.name, member.linkname, member.mode, member.uid) == (path, link, mode, uid)


@given(st.dictionaries(st.text(alphabet="abc.", min_size=1), st.binary(max_size=2000)))
def test_records_are_read_again(records: dict[str, bytes]) -> None:
    assert header.parse_records(header.format_records(records)) == records


@given(st.binary(max_size=600))
def test_garbage_is_refused_or_read_but_never_crashes(data: bytes) -> None:
    try:
        for _ in TarReader(iter([data, data])):
            pass
        header.parse_records(data)
    except InvalidParameter:
        pass


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_tarfile_is_read(form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, kind in (("d", tarfile.DIRTYPE), ("d/" + "f" * 90, tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.mtime, info.uid = kind, 12345, 65000
            archive.addfile(info)
    found = [
        (e.name.rstrip("/"), e.kind, e.mtime_ns, e.uid) for e in TarReader(iter([out.getvalue()]))
    ]
    assert found == [
        ("d", "5", 12345 * 10**9, 65000),
        ("d/" + "f" * 90, "0", 12345 * 10**9, 65000),
    ]


@given(st.text(alphabet="ab/.", max_size=30))
def test_cleaned_names_stay_below_the_root(name: str) -> None:
    try:
        found = clean(name)
    except InvalidParameter:
        return
    assert not found.startswith("/")
    assert all(part not in {"", ".", ".."} for part in found.split("/")) or not found
    assert clean(found) == found


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(0, 60), max_size=20))
def test_chunks_are_taken_in_exact_amounts(chunks: list[bytes], counts: list[int]) -> None:
    reader = ChunkReader(iter(chunks))
    whole = b"".join(chunks)
    taken = b"".join(reader.take(count) for count in counts)
    assert taken == whole[: sum(counts)]
    assert b"".join(bytes(part) for part in reader.rest()) == whole[sum(counts) :]

"""``moor cp``: what a hostile container sends stays inside the target (zip-slip and its kin)."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.cli.copying import places
from moorage.cli.copying.pack import pack
from moorage.cli.copying.tarheader import END, XATTR, Member, padding
from moorage.cli.copying.tarreader import TarReader
from moorage.cli.copying.unpack import unpack
from moorage.cli.failure import CommandError

ABSOLUTE = "/tmp/moor-absolute"


def entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, 0o644 if kind != tarfile.DIRTYPE else 0o755
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> Iterator[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, content in entries:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    data = buffer.getvalue()
    return (data[at : at + 700] for at in range(0, len(data), 700))


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """A directory, and beside it a secret that must stay as it is."""
    secret = tmp_path / "secret"
    secret.write_text("untouched")
    (tmp_path / "outside").mkdir()
    inside = tmp_path / "target"
    inside.mkdir()
    yield inside
    assert secret.read_text() == "untouched"
    assert list((tmp_path / "outside").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "secret", "target"]


@pytest.mark.parametrize(
    "name", ["../secret", "x/../../secret", ABSOLUTE, "a/b/../../../outside/f", ".."]
)
def test_f7_a_name_that_leads_out_is_refused(target: Path, name: str) -> None:
    with pytest.raises(CommandError, match="refused"):
        unpack(archive((entry(name), b"evil")), str(target), None)
    assert not Path(ABSOLUTE).exists()


@pytest.mark.parametrize("link", ["../outside", "/etc", ".", ".."])
def test_f7_a_planted_link_is_not_followed(target: Path, link: str) -> None:
    with pytest.raises(CommandError, match="refused"):
        unpack(
            archive((entry("d", tarfile.SYMTYPE, linkname=link), b""), (entry("d/evil"), b"x")),
            str(target),
            None,
        )
    assert os.readlink(target / "d") == link


def test_f7_a_file_replaces_a_link_instead_of_writing_through_it(target: Path) -> None:
    unpack(
        archive((entry("f", tarfile.SYMTYPE, linkname="../secret"), b""), (entry("f"), b"mine")),
        str(target),
        None,
    )
    assert not (target / "f").is_symlink()
    assert (target / "f").read_text() == "mine"


def test_f7_a_link_that_was_there_before_is_not_followed_either(target: Path) -> None:
    (target / "d").symlink_to("../outside")
    with pytest.raises(CommandError, match="does not lead through directories alone"):
        unpack(archive((entry("d/evil"), b"x")), str(target), None)


@pytest.mark.parametrize("link", ["../secret", "/etc/passwd", "nowhere"])
def test_f7_a_hard_link_reaches_nothing_outside(target: Path, link: str) -> None:
    with pytest.raises(CommandError):
        unpack(archive((entry("h", tarfile.LNKTYPE, linkname=link), b"")), str(target), None)
    assert not (target / "h").exists()


def test_f7_a_hard_link_through_a_planted_link_is_refused(target: Path) -> None:
    with pytest.raises(CommandError, match="refused"):
        unpack(
            archive(
                (entry("d", tarfile.SYMTYPE, linkname=".."), b""),
                (entry("h", tarfile.LNKTYPE, linkname="d/secret"), b""),
            ),
            str(target),
            None,
        )


def test_f7_a_hard_link_to_a_planted_link_does_not_follow_it(target: Path) -> None:
    unpack(
        archive(
            (entry("l", tarfile.SYMTYPE, linkname="../secret"), b""),
            (entry("h", tarfile.LNKTYPE, linkname="l"), b""),
            (entry("h"), b"evil"),
        ),
        str(target),
        None,
    )
    assert (target / "h").read_text() == "evil"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_f7_device_nodes_are_refused(target: Path, kind: bytes) -> None:
    with pytest.raises(CommandError, match="is a device node"):
        unpack(archive((entry("n", kind, devmajor=1, devminor=3), b"")), str(target), None)


def test_set_user_id_bits_are_dropped_and_others_kept(target: Path) -> None:
    unpack(archive((entry("f", mode=0o6751), b"x")), str(target), None)
    assert stat.S_IMODE((target / "f").stat().st_mode) == 0o751


def test_a_directory_and_a_file_do_not_replace_each_other(target: Path) -> None:
    (target / "d").mkdir()
    (target / "f").touch()
    with pytest.raises(CommandError, match="cannot overwrite directory"):
        unpack(archive((entry("d"), b"x")), str(target), None)
    with pytest.raises(CommandError, match="cannot overwrite non-directory"):
        unpack(archive((entry("f", tarfile.DIRTYPE), b"")), str(target), None)


def test_an_entry_that_was_not_asked_for_is_refused(target: Path) -> None:
    with pytest.raises(CommandError, match="is not part of what was asked for"):
        unpack(archive((entry("other"), b"x")), str(target), ("asked", "named"))


@pytest.mark.parametrize("cut", [100, 600, 1200])
def test_an_archive_cut_short_is_an_error(target: Path, cut: int) -> None:
    data = b"".join(archive((entry("f"), b"x" * 1000)))
    with pytest.raises(CommandError):
        unpack(iter([data[:cut]]), str(target), None)


def test_a_tree_survives_the_way_out_and_in(tmp_path: Path) -> None:
    source = tmp_path / "s"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "g").write_bytes(b"2" * 70_000)
    (source / ("long" * 40)).write_text("long name")
    (source / "f").write_text("1")
    os.link(source / "f", source / "h")
    (source / "l").symlink_to("f")
    os.mkfifo(source / "p")
    os.chmod(source / "a", 0o700)
    os.utime(source / "f", (1_000_000_000, 1_000_000_000.5))
    target = tmp_path / "t"
    target.mkdir()
    size = unpack(pack(str(source), "s"), str(target), ("s", "renamed"))
    copy = target / "renamed"
    assert size == 70_000 + 9 + 1
    assert (copy / "a" / "b" / "g").read_bytes() == b"2" * 70_000
    assert (copy / ("long" * 40)).read_text() == "long name"
    assert (copy / "f").stat().st_ino == (copy / "h").stat().st_ino
    assert (copy / "f").stat().st_mtime == 1_000_000_000.5
    assert os.readlink(copy / "l") == "f"
    assert stat.S_ISFIFO((copy / "p").stat().st_mode)
    assert stat.S_IMODE((copy / "a").stat().st_mode) == 0o700
    contents = tmp_path / "c"
    contents.mkdir()
    unpack(pack(str(source), "."), str(contents), None)
    assert (contents / "a" / "b" / "g").exists()


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("c:/a", ("c", "/a")),
        ("c:a:b", ("c", "a:b")),
        ("/c:/a", ("", "/c:/a")),
        ("./c:a", ("", "./c:a")),
        ("plain", ("", "plain")),
        ("-", ("", "-")),
    ],
)
def test_splitting_an_argument(argument: str, expected: tuple[str, str]) -> None:
    assert places.split(argument) == expected


def place(path: str, kind: str) -> places.Place:
    return places.Place(path, exists=kind != "none", is_directory=kind == "dir")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (("/s", "dir"), ("/d", "dir"), ("/d", "s")),
        (("/s/.", "dir"), ("/d", "dir"), ("/d", ".")),
        (("/s", "dir"), ("/d", "none"), ("/", "d")),
        (("/s", "file"), ("/d", "dir"), ("/d", "s")),
        (("/s", "file"), ("/x/d", "file"), ("/x", "d")),
        (("/s", "file"), ("/x/d", "none"), ("/x", "d")),
        (("/s", "file"), ("d", "none"), (".", "d")),
        (("/s", "dir"), ("/d", "file"), "cannot copy directory"),
        (("/s", "file"), ("/d/", "none"), "no such directory"),
    ],
)
def test_where_a_copy_goes(
    source: tuple[str, str], target: tuple[str, str], expected: tuple[str, str] | str
) -> None:
    if isinstance(expected, str):
        with pytest.raises(CommandError, match=expected):
            places.destination(place(*source), place(*target))
    else:
        assert places.destination(place(*source), place(*target)) == expected


def test_what_tarfile_writes_and_we_read_is_the_same() -> None:
    """PAX and GNU archives, with names and numbers that no ustar field holds."""
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        buffer = io.BytesIO()
        big = 8**8
        with tarfile.open(fileobj=buffer, mode="w", format=kind) as tar:
            info = entry("d" * 90 + "/" + "é" * 90, uid=big, gid=big, mtime=1_234_567_890)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
            tar.addfile(entry("l", tarfile.SYMTYPE, linkname="t" * 150))
        reader = TarReader(iter([buffer.getvalue()]))
        found = [(m.name, m.link, m.uid, m.mtime_ns, b"".join(reader.content())) for m in reader]
        name = ("d" * 90 + "/" + "é" * 90).encode()
        assert found == [
            (name, b"", big, 1_234_567_890 * 10**9, b"abc"),
            (b"l", b"t" * 150, 0, 0, b""),
        ]


def test_what_we_write_tarfile_reads() -> None:
    member = Member("é".encode() * 80, b"0", 0o4755)
    member.uid, member.gid, member.size, member.mtime_ns = 8**9, 7, 2, 1_500_000_000_250_000_000
    member.records[XATTR + b"user.a"] = b"\0binary\xff"
    data = member.header() + b"hi" + padding(2) + END
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (info,) = tar.getmembers()
        content = tar.extractfile(info)
        assert content is not None
        assert content.read() == b"hi"
    assert (info.name, info.mode, info.uid, info.gid) == ("é" * 80, 0o4755, 8**9, 7)
    assert info.mtime == 1_500_000_000.25
    (again,) = TarReader(iter([data]))
    assert again.records[XATTR + b"user.a"] == b"\0binary\xff"


@given(at=st.integers(0, 511), byte=st.integers(0, 255), cut=st.integers(0, 2560))
def test_a_header_with_any_change_is_read_or_refused(at: int, byte: int, cut: int) -> None:
    """Its checksum is made right again, so that the fields are what is tried."""
    block = bytearray(Member(b"name", b"0", 0o644).header())
    block[at] = byte
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    reader = TarReader(iter([(bytes(block) + bytes(2048))[:cut]]))
    try:
        for _ in reader:
            b"".join(reader.content())
    except CommandError as e:
        if "the archive is damaged" not in e.message:
            raise


def test_f7_a_hard_link_to_a_planted_link_is_a_link_itself(target: Path) -> None:
    """Else the caller's own file would have another name, which the next entry writes to."""
    planted = entry("l", tarfile.SYMTYPE, linkname="../secret")
    linked = entry("h", tarfile.LNKTYPE, linkname="l")
    unpack(archive((planted, b""), (linked, b"")), str(target), None)
    assert os.readlink(target / "h") == "../secret"
    assert (target.parent / "secret").stat().st_nlink == 1

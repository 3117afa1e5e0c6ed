"""Archives that try to get out of their root, or to fill the machine: each named after its try.

The ids are those of the project's list of attacks (I1, I2, I3, I4, I10, F1, F6, F9).
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard

from moorage.lib.errors import InvalidParameter, MoorageError
from moorage.storage.archive import compression
from moorage.storage.archive.extract import extract
from moorage.storage.archive.options import ExtractOptions, Limits, Whiteouts
from moorage.storage.archive.pack import pack
from support.layers import Stores, Tar, stores

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Stores]:
    with stores(tmp_path / "store") as made:
        yield made


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory beside the root; nothing in it may change."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret").write_bytes(b"secret")
    (path / "secret").chmod(0o600)
    before = shown(path)
    yield path
    assert shown(path) == before


def shown(path: Path) -> list[tuple[str, int, int, int, bytes]]:
    return [
        (str(p), p.lstat().st_mode, p.lstat().st_uid, p.lstat().st_nlink, p.read_bytes())
        for p in sorted(path.rglob("*"))
    ]


def unpack(root: Path, tar: bytes, options: ExtractOptions | None = None, at: str = "") -> None:
    root.mkdir(exist_ok=True)
    fd = os.open(root, os.O_RDONLY)
    try:
        extract(fd, at, iter([tar]), options)
    finally:
        os.close(fd)


@pytest.mark.parametrize("name", ["../escape", "a/../../escape", "/../escape", "./../../escape"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_i1_a_name_above_the_root_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    with pytest.raises(InvalidParameter, match="outside"):
        unpack(tmp_path / "root", Tar().add(name, kind=kind).raw())
    assert os.listdir(tmp_path) == ["root"]


def test_i1_an_absolute_name_stays_inside(tmp_path: Path, outside: Path) -> None:
    unpack(tmp_path / "root", Tar().add(f"{outside}/secret", b"mine").raw())
    assert (tmp_path / "root" / str(outside)[1:] / "secret").read_bytes() == b"mine"


@pytest.mark.parametrize("upwards", [False, True])
def test_i1_a_file_through_a_symlink_stays_inside(
    tmp_path: Path, outside: Path, *, upwards: bool
) -> None:
    target = f"../../../../../..{outside}" if upwards else str(outside)
    tar = Tar().directory(str(outside)).symlink("link", target).add("link/secret", b"overwritten")
    unpack(tmp_path / "root", tar.raw())
    inside = tmp_path / "root" / str(outside)[1:] / "secret"
    assert inside.read_bytes() == b"overwritten"


def test_i1_a_file_over_a_symlink_replaces_the_link(tmp_path: Path, outside: Path) -> None:
    tar = Tar().symlink("link", str(outside / "secret")).add("link", b"x", mode=0o777).raw()
    unpack(tmp_path / "root", tar)
    assert not (tmp_path / "root/link").is_symlink()


def test_i1_a_directory_over_a_symlink_replaces_the_link(tmp_path: Path, outside: Path) -> None:
    tar = Tar().symlink("link", str(outside)).directory("link/", 0o777).add("link/new", b"x")
    unpack(tmp_path / "root", tar.raw())
    assert (tmp_path / "root/link/new").is_file()
    assert not (tmp_path / "root/link").is_symlink()


def test_i1_a_file_through_a_link_to_nowhere_is_refused(tmp_path: Path, outside: Path) -> None:
    tar = Tar().symlink("link", str(outside)).add("link/secret", b"overwritten").raw()
    with pytest.raises(InvalidParameter, match="no directory"):
        unpack(tmp_path / "root", tar)


@pytest.mark.parametrize("target", ["../outside/secret", "/../outside/secret"])
def test_i1_a_hard_link_to_a_host_file_is_refused(
    tmp_path: Path, outside: Path, target: str
) -> None:
    del outside
    with pytest.raises(InvalidParameter, match="outside"):
        unpack(tmp_path / "root", Tar().hard_link("mine", target).raw())


def test_i1_a_hard_link_through_a_symlink_finds_nothing(tmp_path: Path, outside: Path) -> None:
    tar = Tar().directory(str(outside)).symlink("out", str(outside))
    tar.hard_link("mine", "out/secret")
    with pytest.raises(InvalidParameter, match="cannot make"):
        unpack(tmp_path / "root", tar.raw())
    assert not (tmp_path / "root/mine").exists()


def test_i1_a_hard_link_to_a_symlink_gives_a_host_file_no_other_name(
    tmp_path: Path, outside: Path
) -> None:
    tar = Tar().symlink("link", str(outside / "secret")).hard_link("second", "link")
    unpack(tmp_path / "root", tar.raw())
    assert (tmp_path / "root/second").is_symlink()
    assert (outside / "secret").stat().st_nlink == 1


def test_i1_a_hard_link_to_a_symlink_links_the_link(tmp_path: Path, outside: Path) -> None:
    tar = Tar().symlink("link", str(outside / "secret")).hard_link("second", "link")
    tar.add("second", b"written", mode=0o777)
    unpack(tmp_path / "root", tar.raw())
    assert (tmp_path / "root/second").read_bytes() == b"written"


@pytest.mark.parametrize("name", [".wh...", ".wh..", "a/.wh...", ".wh."])
def test_i1_a_whiteout_of_the_parent_is_refused(store: Stores, name: str) -> None:
    with pytest.raises(InvalidParameter, match="whiteout"):
        store.layers.apply(Tar().add(name).file(), parent=None)
    assert store.driver.names() == []


def test_i1_a_whiteout_through_a_symlink_removes_nothing_outside(
    tmp_path: Path, outside: Path
) -> None:
    for mode in (Whiteouts.APPLY, Whiteouts.OVERLAY):
        for mark in ("out/.wh.secret", "out/.wh..wh..opq"):
            tar = Tar().directory(str(outside)).symlink("out", str(outside)).add(mark).raw()
            unpack(tmp_path / f"root-{mode.value}-{len(mark)}", tar, ExtractOptions(whiteouts=mode))


def test_i1_the_marks_of_aufs_make_nothing(store: Stores) -> None:
    tar = Tar().directory(".wh..wh.plnk/").add(".wh..wh.plnk/1.2", b"x").add(".wh..wh.aufs")
    layer = store.layers.apply(tar.file(), parent=None)
    assert [p for p in os.listdir(store.driver.tree(layer.name)) if p != ".wh..wh.plnk"] == []


def test_i1_attributes_that_would_steer_the_overlay_are_left_out(store: Stores) -> None:
    pax = {
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.metacopy": "",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.overlay.opaque": "y",
    }
    tar = Tar().directory("d/", pax=pax).add("f", b"1", pax=pax)
    layer = store.layers.apply(tar.file(), parent=None)
    tree = store.driver.tree(layer.name)
    assert os.listxattr(tree / "d") == os.listxattr(tree / "f") == []


def test_i1_set_id_and_capabilities_are_the_file_s_own(tmp_path: Path) -> None:
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    pax = {"SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape")}
    tar = Tar().add("f", b"1", mode=0o6755, uid=1, gid=2, pax=pax).raw()
    unpack(tmp_path / "root", tar)
    status = (tmp_path / "root/f").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o6755, 1, 2)
    assert os.getxattr(tmp_path / "root/f", "security.capability") == capability


def test_i1_a_file_twice_is_the_last_one_and_can_be_written_again(store: Stores) -> None:
    tar = Tar().add("f", b"1").add("f", b"22").directory("d/").add("d/x", b"3").add("d", b"4")
    data = tar.raw()
    layer = store.layers.apply(io.BytesIO(data), parent=None)
    tree = store.driver.tree(layer.name)
    assert (tree / "f").read_bytes() == b"22"
    assert (tree / "d").read_bytes() == b"4"
    with store.content.open(layer.diff_id) as again:
        assert again.read() == data


def test_i1_a_fifo_or_device_is_never_opened(tmp_path: Path) -> None:
    tar = Tar().add("pipe", kind=tarfile.FIFOTYPE).add("pipe", b"over")
    tar.add("zero", kind=tarfile.CHRTYPE, device=(1, 5)).hard_link("second", "zero")
    unpack(tmp_path / "root", tar.raw())
    fd = os.open(tmp_path / "root", os.O_RDONLY)
    try:
        assert len(b"".join(pack(fd))) < 20_000
    finally:
        os.close(fd)


def sparse_header(size: int, stored: int) -> bytes:
    """Return an old GNU sparse member that claims *size* bytes and stores few."""
    info = tarfile.TarInfo("bomb")
    info.size = stored
    block = bytearray(info.tobuf(format=tarfile.GNU_FORMAT))
    block[156:157] = b"S"
    block[386:398], block[398:410] = b"%011o\0" % 0, b"%011o\0" % stored
    block[483:495] = struct.pack(">I", 0x80000000) + struct.pack(">Q", size)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + b"x" * stored + bytes(-stored % 512) + bytes(1024)


def test_i4_an_xz_dictionary_beyond_reason_is_refused() -> None:
    """A gigabyte of memory, asked for by five bytes of the header."""
    packed = bytearray(lzma.compress(Tar().add("f", b"x").raw()))
    end = 12 + (packed[12] + 1) * 4  # of the first block's header, its checksum included
    assert packed[14:16] == b"\x21\x01", "the only filter is LZMA2"
    packed[16] = 36
    packed[end - 4 : end] = zlib.crc32(packed[12 : end - 4]).to_bytes(4, "little")
    _, plain = compression.decompress(iter([bytes(packed)]))
    with pytest.raises(InvalidParameter, match="invalid xz data: Memory usage limit exceeded"):
        list(plain)


def sparse_map(text: bytes, content: bytes, size: int = 5) -> bytes:
    """Return a member with the map of PAX 1.0 before its content."""
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(size)}
    return Tar().add("f", text + content, pax=pax).raw()


@pytest.mark.parametrize("text", [b"1", b"1\n" + b"0" * 40, b"200000\n" + b"0" * 40, b"1\n\n\n"])
def test_i4_a_sparse_map_without_end_is_not_taken_into_memory(tmp_path: Path, text: bytes) -> None:
    """Gigabytes of ones pack to nothing."""
    tar = sparse_map(text, b"1" * (16 << 20))
    read = 0

    def counted() -> Iterator[bytes]:
        nonlocal read
        for at in range(0, len(tar), 1 << 16):
            read += 1 << 16
            yield tar[at : at + (1 << 16)]

    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(InvalidParameter):
            extract(fd, "", counted())
    finally:
        os.close(fd)
    assert read < 10 << 20


def test_a_sparse_map_before_the_content_is_read(tmp_path: Path) -> None:
    table = b"2\n0\n3\n1000\n2\n".ljust(512, b"\0")
    unpack(tmp_path / "root", sparse_map(table, b"abcde", 1002))
    assert (tmp_path / "root/f").read_bytes() == b"abc" + bytes(997) + b"de"


def test_i1_a_sparse_bomb_takes_no_space(tmp_path: Path) -> None:
    unpack(tmp_path / "root", sparse_header(1 << 40, 10))
    status = (tmp_path / "root/bomb").stat()
    assert status.st_size == 1 << 40
    assert status.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("table", ["-1,5", "0,99999999999999999999", "5,1,0,1", "1", "x,y", "0,9"])
def test_i1_a_broken_sparse_map_is_refused(tmp_path: Path, table: str) -> None:
    pax = {"GNU.sparse.map": table, "GNU.sparse.size": "5"}
    with pytest.raises(InvalidParameter):
        unpack(tmp_path / "root", Tar().add("f", b"12345", pax=pax).raw())


@pytest.mark.parametrize("size", ["99999999999999999999", "-5", "1e9", "9223372036854775807"])
def test_i1_pax_headers_with_impossible_sizes_are_refused(tmp_path: Path, size: str) -> None:
    with pytest.raises(InvalidParameter):
        unpack(tmp_path / "root", Tar().add("f", b"12345", pax={"size": size}).raw())


def test_i1_a_huge_pax_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", 1 << 33
    with pytest.raises(InvalidParameter, match="extended header"):
        unpack(tmp_path / "root", info.tobuf(format=tarfile.GNU_FORMAT) + bytes(2048))


@pytest.mark.parametrize("name", ["n" * 300, "d/" * 3000 + "f", "zero\0byte"])
def test_i1_names_the_kernel_does_not_take_are_the_archive_s_fault(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(InvalidParameter):
        unpack(tmp_path / "root", Tar().add("f", b"", pax={"path": name}).raw())


@pytest.mark.parametrize(
    "pax",
    [
        {"uid": str(1 << 40)},
        {"gid": str(1 << 63)},
        {"SCHILY.xattr.user.a\0b": "value"},
    ],
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_i1_numbers_no_system_call_takes_are_the_archive_s_fault(
    tmp_path: Path, pax: dict[str, str], kind: bytes
) -> None:
    with pytest.raises(InvalidParameter, match=r"cannot make 'f/?'"):
        unpack(tmp_path / "root", Tar().add("f", b"", kind=kind, pax=pax).raw())


def test_i1_a_time_beyond_all_clocks_is_the_archive_s_fault(tmp_path: Path) -> None:
    info = tarfile.TarInfo("d")
    info.type, info.mtime = tarfile.DIRTYPE, 1 << 80
    with pytest.raises(InvalidParameter, match="timestamp out of range"):
        unpack(tmp_path / "root", info.tobuf(format=tarfile.GNU_FORMAT) + bytes(1024))


def test_i1_many_directories_do_not_exhaust_descriptors(tmp_path: Path) -> None:
    tar = Tar()
    for number in range(600):
        tar.directory(f"d{number}/").add(f"d{number}/f", b"")
    before = len(os.listdir("/proc/self/fd"))
    unpack(tmp_path / "root", tar.raw())
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(os.listdir(tmp_path / "root")) == 600


def test_i2_a_name_with_separators_of_mount_options_mounts_as_it_is(store: Stores) -> None:
    layer = store.layers.apply(Tar().add("a:b,c=d", b"1").file(), parent=None)
    store.layers.create_rw("f" * 64, parent=layer.chain_id)
    root = store.layers.mount_rw("f" * 64)
    assert (root / "a:b,c=d").read_bytes() == b"1"
    store.layers.remove_rw("f" * 64)


def test_i4_a_zip_bomb_is_refused_at_the_size_limit(store: Stores) -> None:
    def bomb() -> Iterator[bytes]:
        """A gzip of 10 GB of zeros in one file, made while it is read."""
        info = tarfile.TarInfo("zeros")
        info.size = 8 * (1 << 30) - 512
        yield from compression.gzip(zeros(info.tobuf()))

    def zeros(head: bytes) -> Iterator[bytes]:
        yield head
        for _ in range(10_000):
            yield bytes(1 << 20)

    from moorage.storage.archive.chunks import as_file  # noqa: PLC0415

    with pytest.raises(InvalidParameter, match="more than the 1000000 bytes"):
        store.layers.apply(as_file(bomb()), parent=None, limits=Limits(bytes_total=1_000_000))
    assert store.driver.names() == []


def test_i4_an_archive_larger_than_the_free_space_is_refused_at_its_header(store: Stores) -> None:
    info = tarfile.TarInfo("huge")
    info.size = 1 << 50
    with pytest.raises(InvalidParameter, match="bytes allowed"):
        store.layers.apply(
            io.BytesIO(info.tobuf(format=tarfile.GNU_FORMAT) + bytes(4096)), parent=None
        )
    assert store.driver.names() == []


def test_i4_a_million_entries_are_refused_at_the_limit(store: Stores) -> None:
    member = tarfile.TarInfo("f").tobuf()

    def many() -> Iterator[bytes]:
        for _ in range(1000):
            yield member * 1000

    from moorage.storage.archive.chunks import as_file  # noqa: PLC0415

    with pytest.raises(InvalidParameter, match="entries"):
        store.layers.apply(as_file(many()), parent=None, limits=Limits(entries=500))
    assert store.driver.names() == []


def test_i4_a_zstd_window_beyond_reason_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=29, compression_level=1)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = frame.compress(b"x" * 1000) + frame.flush()
    with pytest.raises(InvalidParameter, match="zstd"):
        b"".join(compression.decompress(iter([data]))[1])


def test_i4_decompression_comes_in_bounded_pieces() -> None:
    for data in (gzip.compress(bytes(64 << 20)), zstandard.compress(bytes(64 << 20))):
        pieces = compression.decompress(iter([data]))[1]
        assert max(len(piece) for piece in pieces) <= 1 << 20


@pytest.mark.parametrize("cut", [10, 100, 600, 1100])
def test_a_truncated_gzip_is_refused_and_leaves_nothing(store: Stores, cut: int) -> None:
    data = gzip.compress(Tar().add("f", os.urandom(5000)).raw())
    with pytest.raises(InvalidParameter):
        store.layers.apply(io.BytesIO(data[:cut]), parent=None)
    assert store.driver.names() == []
    assert list(store.content.files()) == []


def test_i10_an_entry_for_the_root_changes_the_root_alone(tmp_path: Path) -> None:
    before = tmp_path.stat()
    tar = Tar().directory("./", 0o700, uid=5).directory("a/../", 0o777).raw()
    unpack(tmp_path / "root", tar)
    after = tmp_path.stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)
    assert (tmp_path / "root").stat().st_uid == 0


def test_f1_decompression_starts_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2026-41567: unpigz or xz looked up where a container's files are."""
    fake = tmp_path / "bin"
    fake.mkdir()
    for name in ("gzip", "unpigz", "pigz", "xz", "unxz", "zstd", "bzip2"):
        (fake / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
        (fake / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(fake))
    monkeypatch.chdir(fake)
    import bz2  # noqa: PLC0415
    import lzma  # noqa: PLC0415

    plain = Tar().add("f", b"1").raw()
    for packed in (gzip.compress, bz2.compress, lzma.compress, zstandard.compress):
        assert b"".join(compression.decompress(iter([packed(plain)]))[1]) == plain
    assert not (tmp_path / "started").exists()


def test_f4_a_directory_swapped_for_a_link_meanwhile_leads_nowhere(
    tmp_path: Path, outside: Path
) -> None:
    """CVE-2018-15664: the container renames while cp unpacks into it."""
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "link").symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for old, new in (("a", "b"), ("link", "a"), ("a", "link"), ("b", "a")):
                with suppress(OSError):  # the unpacker made a directory there meanwhile
                    os.rename(root / old, root / new)

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        tar = Tar().add("a/secret", b"overwritten", mode=0o777, uid=9).raw()
        for _ in range(300):
            try:
                unpack(root, tar)
            except (MoorageError, OSError):
                continue
    finally:
        stop.set()
        attacker.join()


def test_f6_copying_out_of_a_hostile_tree_reads_nothing_outside(
    tmp_path: Path, outside: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside / "secret")
    (root / "dir").symlink_to(outside)
    fd = os.open(root, os.O_RDONLY)
    try:
        whole = b"".join(pack(fd))
        assert b"secret" not in whole.replace(b"/secret", b"")
        for path in ("dir/", "dir/secret", "link/"):
            with pytest.raises((MoorageError, OSError)):
                b"".join(pack(fd, path, name="x"))
    finally:
        os.close(fd)


def test_i1_random_damage_never_escapes_and_never_crashes(tmp_path: Path, outside: Path) -> None:
    """A small fuzzer: one byte of a rich archive changed at each of many places."""
    tar = (
        Tar().directory("d/").add("d/f", b"1" * 600).symlink("l", "../../outside").add("l/x", b"2")
    )
    tar.hard_link("h", "d/f").add("é" * 80, b"3", pax={"SCHILY.xattr.user.a": "b"})
    data = tar.raw()
    del outside
    for position in range(0, len(data) - 1024, 37):
        broken = bytearray(data)
        broken[position] ^= 0x55
        block = position - position % 512
        if position % 512 not in range(148, 156) and broken[block + 257 : block + 262] == b"ustar":
            broken[block + 148 : block + 156] = b" " * 8
            total = b"%06o\0 " % sum(broken[block : block + 512])
            broken[block + 148 : block + 156] = total
        root = tmp_path / "fuzz"
        try:
            unpack(root, bytes(broken))
        except MoorageError:
            pass
        finally:
            from moorage.lib.atomicfile import remove_tree  # noqa: PLC0415

            remove_tree(root)

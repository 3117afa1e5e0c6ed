"""The suite that every storage driver passes, on every file system it is meant for."""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moorage.kernel.mount import mountinfo
from moorage.lib.errors import Conflict, InvalidParameter, NotFound, System
from moorage.storage import staging
from moorage.storage.archive.chunks import as_file
from moorage.storage.archive.recipe import RecipeWriter
from moorage.storage.snapshots.contract import ChangeKind
from support import drivers
from support.layers import MTIME, Stores, Tar

CONTAINER = "c" * 64
pytestmark = pytest.mark.requires("root")


@pytest.fixture(params=drivers.PLACES)
def store(request: pytest.FixtureRequest, filesystems: drivers.FileSystems) -> Iterator[Stores]:
    driver, kind = request.param
    root = filesystems.directory(kind)
    made = Stores(root, driver)
    yield made
    made.close()
    assert made.driver.names() == []
    assert str(root) not in Path("/proc/self/mountinfo").read_text()


def base(store: Stores) -> str:
    """Apply a layer with one of everything; return its ChainID."""
    tar = (
        Tar()
        .directory("./", 0o755)
        .directory("etc/")
        .add("etc/hosts", b"one\n")
        .add("etc/passwd", b"root\n", mode=0o600, uid=7, gid=8)
        .directory("usr/", 0o2775, uid=1, gid=2)
        .directory("usr/lib/")
        .add("usr/lib/a", b"a" * 5000)
        .hard_link("usr/lib/b", "usr/lib/a")
        .symlink("lib", "usr/lib")
        .symlink("absolute", "/etc/hosts")
        .add("su", b"x", mode=0o4755)
        .add("null", kind=tarfile.CHRTYPE, device=(1, 3), mode=0o666)
        .add("pipe", kind=tarfile.FIFOTYPE, mode=0o640)
        .add("capable", b"cap", pax={"SCHILY.xattr.user.note": "kept"})
        .directory("gone/")
        .add("gone/inside", b"1")
        .directory("opaque/")
        .add("opaque/below", b"1")
    )
    return store.layers.apply(tar.file(), parent=None).chain_id


def members(tar: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {member.name: member for member in archive}


def mount(store: Stores, chain_id: str | None, name: str = CONTAINER) -> Path:
    store.layers.create_rw(name, parent=chain_id, init=False)  # type: ignore[arg-type]
    return store.layers.mount_rw(name)


def test_a_layer_keeps_everything_its_archive_says(store: Stores) -> None:
    root = store.layers.mount_view("view", base(store))  # type: ignore[arg-type]
    assert (root / "etc/hosts").read_bytes() == b"one\n"
    passwd = (root / "etc/passwd").stat()
    assert (passwd.st_mode & 0o7777, passwd.st_uid, passwd.st_gid) == (0o600, 7, 8)
    assert int(passwd.st_mtime) == MTIME
    usr = (root / "usr").stat()
    assert (usr.st_mode & 0o7777, usr.st_uid, usr.st_gid, int(usr.st_mtime)) == (
        0o2775,
        1,
        2,
        MTIME,
    )
    assert (root / "usr/lib/a").stat().st_nlink == 2
    assert os.path.samefile(root / "usr/lib/a", root / "usr/lib/b")
    assert os.readlink(root / "lib") == "usr/lib"
    assert os.readlink(root / "absolute") == "/etc/hosts"
    assert (root / "su").stat().st_mode & 0o7777 == 0o4755
    null = (root / "null").stat()
    assert stat.S_ISCHR(null.st_mode)
    assert null.st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO((root / "pipe").stat().st_mode)
    if store.driver.name != "fuse-overlayfs":  # which does not show users' attributes to root
        assert os.getxattr(root / "capable", "user.note") == b"kept"
    store.layers.unmount_view("view")


def test_a_view_cannot_be_written(store: Stores) -> None:
    root = store.layers.mount_view("view", base(store))  # type: ignore[arg-type]
    with pytest.raises(OSError, match="Read-only") as caught:
        (root / "new").write_bytes(b"")
    assert caught.value.errno == errno.EROFS
    store.layers.unmount_view("view")
    store.layers.unmount_view("view")


def test_whiteouts_hide_what_is_below_and_nothing_else(store: Stores) -> None:
    tar = (
        Tar()
        .add("etc/.wh.hosts")
        .add(".wh.gone")
        .add("opaque/.wh..wh..opq")
        .add("opaque/above", b"2")
        .add("usr/lib/.wh.a")
        .add(".wh..wh.plnk")
    )
    layer = store.layers.apply(tar.file(), parent=base(store))  # type: ignore[arg-type]
    root = store.layers.mount_view("view", layer.chain_id)
    assert os.listdir(root / "etc") == ["passwd"]
    assert not (root / "gone").exists()
    assert os.listdir(root / "opaque") == ["above"]
    assert os.listdir(root / "usr/lib") == ["b"]
    assert not list(root.rglob(".wh.*"))
    store.layers.unmount_view("view")


def test_a_directory_made_anew_over_a_whiteout_is_empty_below(store: Stores) -> None:
    tar = Tar().add(".wh.gone").directory("gone/").add("gone/fresh", b"")
    layer = store.layers.apply(tar.file(), parent=base(store))  # type: ignore[arg-type]
    root = store.layers.mount_view("view", layer.chain_id)
    assert os.listdir(root / "gone") == ["fresh"]
    store.layers.unmount_view("view")


def test_a_whiteout_after_its_own_file_hides_only_what_is_below(store: Stores) -> None:
    tar = Tar().directory("gone/").add("gone/fresh").add(".wh.gone").add("etc/hosts", b"2")
    tar.add("etc/.wh.hosts")
    layer = store.layers.apply(tar.file(), parent=base(store))  # type: ignore[arg-type]
    root = store.layers.mount_view("view", layer.chain_id)
    if store.driver.isolated:
        assert os.listdir(root / "gone") == ["fresh"]
    assert (root / "gone/fresh").exists()
    assert (root / "etc/hosts").read_bytes() == b"2"
    store.layers.unmount_view("view")


def test_implied_directories_look_like_those_below(store: Stores) -> None:
    layer = store.layers.apply(Tar().add("usr/new", b"").file(), parent=base(store))  # type: ignore[arg-type]
    root = store.layers.mount_view("view", layer.chain_id)
    usr = (root / "usr").stat()
    assert (usr.st_mode & 0o7777, usr.st_uid, usr.st_gid) == (0o2775, 1, 2)
    assert root.stat().st_mode & 0o7777 == 0o755
    store.layers.unmount_view("view")


def test_writes_copy_up_and_leave_the_layer_alone(store: Stores) -> None:
    chain_id = base(store)
    root = mount(store, chain_id)
    (root / "etc/hosts").write_bytes(b"changed")
    other = mount(store, chain_id, "d" * 64)
    assert (other / "etc/hosts").read_bytes() == b"one\n"
    store.layers.unmount_rw(CONTAINER)
    assert (store.layers.mount_rw(CONTAINER) / "etc/hosts").read_bytes() == b"changed"
    store.layers.remove_rw(CONTAINER)
    store.layers.remove_rw(CONTAINER)
    store.layers.remove_rw("d" * 64)


def change(root: Path) -> None:
    """Make one change of each kind."""
    (root / "etc/hosts").write_bytes(b"changed")
    (root / "etc/passwd").unlink()
    (root / "fresh").mkdir()
    (root / "fresh/file").write_bytes(b"12345")
    os.link(root / "fresh/file", root / "fresh/second")
    os.symlink("file", root / "fresh/link")
    os.setxattr(root / "fresh/file", "user.mark", b"1")
    (root / "gone/inside").unlink()
    (root / "gone").rmdir()
    (root / "opaque/below").unlink()
    (root / "opaque").rmdir()
    (root / "opaque").mkdir()
    (root / "opaque/above").write_bytes(b"")


def test_changes_name_what_was_added_changed_and_deleted(store: Stores) -> None:
    change(mount(store, base(store)))
    found = {change.path: change.kind for change in store.layers.changes(CONTAINER)}
    assert found == {
        "/etc": ChangeKind.MODIFIED,
        "/etc/hosts": ChangeKind.MODIFIED,
        "/etc/passwd": ChangeKind.DELETED,
        "/fresh": ChangeKind.ADDED,
        "/fresh/file": ChangeKind.ADDED,
        "/fresh/second": ChangeKind.ADDED,
        "/fresh/link": ChangeKind.ADDED,
        "/gone": ChangeKind.DELETED,
        "/opaque": ChangeKind.MODIFIED,
        "/opaque/above": ChangeKind.ADDED,
        "/opaque/below": ChangeKind.DELETED,
    }
    assert list(found) == sorted(found)
    store.layers.remove_rw(CONTAINER)


def test_no_change_is_no_change(store: Stores) -> None:
    root = mount(store, base(store))
    assert (root / "etc/hosts").read_bytes()
    assert store.layers.changes(CONTAINER) == []
    assert members(b"".join(store.layers.diff(CONTAINER))) == {}
    assert store.layers.rw_size(CONTAINER) == 0
    store.layers.remove_rw(CONTAINER)


def test_a_diff_applied_elsewhere_gives_the_same_tree(store: Stores) -> None:
    chain_id = base(store)
    root = mount(store, chain_id)
    change(root)
    before = snapshot(root)
    layer = store.layers.commit_rw(CONTAINER)
    view = store.layers.mount_view("view", layer.chain_id)
    assert snapshot(view) == before
    assert os.path.samefile(view / "fresh/file", view / "fresh/second")
    assert layer.size == 5 + len(b"changed")
    store.layers.unmount_view("view")
    store.layers.remove_rw(CONTAINER)


def snapshot(root: Path) -> dict[str, tuple[int, int, int, int, bytes]]:
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path.relative_to(root))] = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_rdev,
            data,
        )
    return found


def test_size_counts_what_the_container_wrote(store: Stores) -> None:
    root = mount(store, base(store))
    (root / "large").write_bytes(b"x" * 100_000)
    (root / "etc/hosts").write_bytes(b"y" * 1000)
    assert store.layers.rw_size(CONTAINER) == 101_000
    store.layers.remove_rw(CONTAINER)


def test_holes_stay_holes(store: Stores) -> None:
    with_hole = tarfile_with_hole()
    layer = store.layers.apply(io.BytesIO(with_hole), parent=None)
    root = store.layers.mount_view("view", layer.chain_id)
    status = (root / "sparse").stat()
    assert status.st_size == 64 << 20
    assert status.st_blocks * 512 < 4 << 20
    with (root / "sparse").open("rb") as file:
        file.seek(32 << 20)
        assert file.read(4) == b"data"
    store.layers.unmount_view("view")


def tarfile_with_hole() -> bytes:
    """Return a PAX 1.0 sparse member: 64 MiB with 4096 bytes in the middle."""
    table = f"1\n{32 << 20}\n4096\n".encode().ljust(512, b"\0")
    pax = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "sparse",
        "GNU.sparse.realsize": str(64 << 20),
    }
    return Tar().add("GNUSparseFile.0/sparse", table + b"data".ljust(4096, b"\0"), pax=pax).raw()


def test_a_stack_of_125_layers(store: Stores) -> None:
    if store.driver.name != "overlay2":
        pytest.skip("only the kernel's overlay has a limit")
    parent = None
    for number in range(125):
        tar = Tar().add(f"file{number}", b"").add("last", str(number).encode())
        parent = store.layers.apply(tar.file(), parent=parent).chain_id
    root = mount(store, parent)
    assert (root / "last").read_bytes() == b"124"
    assert len(os.listdir(root)) == 126
    (root / "file0").unlink()
    assert [c.path for c in store.layers.changes(CONTAINER)] == ["/file0"]
    store.layers.remove_rw(CONTAINER)


def test_an_empty_stack_can_be_written_and_viewed(store: Stores) -> None:
    root = mount(store, None)
    (root / "file").write_bytes(b"1")
    assert [c.path for c in store.layers.changes(CONTAINER)] == ["/file"]
    store.layers.remove_rw(CONTAINER)
    view = store.layers.mount_view("view", None)
    assert os.listdir(view) == []
    store.layers.unmount_view("view")


def test_an_archive_is_written_again_bit_by_bit(store: Stores) -> None:
    tar = Tar().directory("a/").add("a/f", b"1" * 3000).add("a/f", b"2").add("é" * 60, b"3").raw()
    layer = store.layers.apply(io.BytesIO(tar), parent=None)
    with store.content.open(layer.diff_id) as again:
        assert again.read() == tar


def test_two_callers_with_one_layer_get_one_layer(store: Stores) -> None:
    tar = Tar().add("f", b"x" * 100_000).raw()
    diff_id = store.layers.apply(io.BytesIO(tar), parent=None).diff_id
    store.layers.remove(diff_id)
    found = []

    def work() -> None:
        found.append(store.layers.apply(io.BytesIO(tar), parent=None, diff_id=diff_id))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({layer.name for layer in found}) == 1
    assert len(store.driver.names()) == 1


def test_many_containers_at_once(store: Stores) -> None:
    chain_id = base(store)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            root = mount(store, chain_id, f"{number:064x}")
            (root / "mine").write_bytes(b"%d" % number)
            assert (root / "mine").read_bytes() == b"%d" % number
            store.layers.remove_rw(f"{number:064x}")
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_what_a_killed_daemon_left_half_made_is_removed(store: Stores) -> None:
    chain_id = base(store)
    store.driver.prepare("halfmade", [])
    store.driver.create("e" * 64, store.layers.stack(chain_id), size_bytes=None)  # type: ignore[arg-type]
    root = mount(store, chain_id)
    (root / "kept").write_bytes(b"")
    store.layers.open()
    assert set(store.driver.names()) == {CONTAINER, *store.layers.stack(chain_id)}  # type: ignore[arg-type]
    assert (store.layers.mount_rw(CONTAINER) / "kept").exists()
    store.layers.remove_rw(CONTAINER)


def test_a_failed_layer_leaves_nothing(store: Stores) -> None:
    with pytest.raises(InvalidParameter):
        store.layers.apply(io.BytesIO(Tar().add("f", b"x" * 4096).raw()[:2000]), parent=None)
    assert store.driver.names() == []
    assert list(store.content.files()) == []
    with pytest.raises(NotFound):
        store.layers.apply(Tar().file(), parent="sha256:" + "0" * 64)  # type: ignore[arg-type]
    assert store.driver.names() == []


def test_a_size_limit_is_kept_or_refused(store: Stores) -> None:
    chain_id = base(store)
    try:
        store.layers.create_rw(
            CONTAINER,
            parent=chain_id,  # type: ignore[arg-type]
            storage_opt={"size": "10m"},
            init=False,
        )
    except InvalidParameter:
        assert store.driver.name != "btrfs"
        assert not store.layers.has_rw(CONTAINER)
        return
    root = store.layers.mount_rw(CONTAINER)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is checked
        write_durably(root / "large", 20 << 20)
    assert caught.value.errno in {errno.ENOSPC, errno.EDQUOT}
    store.layers.remove_rw(CONTAINER)


def write_durably(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(b"x" * size)
        file.flush()
        os.fsync(file.fileno())


def test_the_files_for_mounts_are_there_and_no_change(store: Stores) -> None:
    chain_id = base(store)
    store.layers.create_rw(CONTAINER, parent=chain_id)  # type: ignore[arg-type]
    root = store.layers.mount_rw(CONTAINER)
    for name in ("proc", "sys", "dev/pts", "dev/shm", "dev/console", "etc/resolv.conf"):
        assert (root / name).exists(), name
    assert os.readlink(root / "etc/mtab") == "/proc/mounts"
    assert (root / "etc/hosts").read_bytes() == b"one\n"
    assert store.layers.changes(CONTAINER) == []
    store.layers.create_rw("d" * 64, parent=chain_id)  # type: ignore[arg-type]
    store.layers.remove_rw("d" * 64)
    store.layers.remove_rw(CONTAINER)
    store.layers.remove(chain_id)  # type: ignore[arg-type]
    assert store.driver.names() == []


def test_an_export_is_the_whole_tree(store: Stores) -> None:
    change(mount(store, base(store)))
    names = members(b"".join(store.layers.export(CONTAINER)))
    assert {"etc/hosts", "fresh/file", "usr/lib/a", "null", "lib"} <= set(names)
    assert "etc/passwd" not in names
    assert names["usr/lib/b"].linkname == "usr/lib/a"
    store.layers.remove_rw(CONTAINER)


def test_a_layer_in_use_cannot_be_removed(store: Stores) -> None:
    chain_id = base(store)
    upper = store.layers.apply(Tar().add("x").file(), parent=chain_id)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="in use"):
        store.layers.remove(chain_id)  # type: ignore[arg-type]
    store.layers.remove(upper.chain_id)
    store.layers.remove(chain_id)  # type: ignore[arg-type]
    assert store.layers.remove(chain_id) == 0  # type: ignore[arg-type]


def test_a_compressed_archive_is_recognised(store: Stores) -> None:
    import gzip  # noqa: PLC0415

    plain = Tar().add("f", b"1").raw()
    layer = store.layers.apply(as_file(iter([gzip.compress(plain)])), parent=None)
    assert layer.tar_size == len(plain)


def test_several_reasons_at_once_mount_a_layer_once(store: Stores) -> None:
    store.layers.create_rw(CONTAINER, parent=base(store))  # type: ignore[arg-type]
    for _ in range(20):
        together = threading.Barrier(4)

        def use(number: int, together: threading.Barrier = together) -> Path:
            together.wait()
            return store.layers.mount_rw(CONTAINER, owner=f"reason-{number}")

        with ThreadPoolExecutor(4) as threads:
            (root,) = set(threads.map(use, range(4)))
        assert [info.target for info in mountinfo()].count(str(root)) <= 1
        for number in range(4):
            store.layers.unmount_rw(CONTAINER, owner=f"reason-{number}")
    store.layers.remove_rw(CONTAINER)


def test_a_writable_layer_that_cannot_be_made_leaves_nothing(store: Stores) -> None:
    store.layers.create_rw(CONTAINER, parent=None, init=False)
    before = store.driver.names()
    with pytest.raises(Conflict):
        store.layers.create_rw(CONTAINER, parent=None, stubs=lambda _target, _seen: [])
    assert store.driver.names() == before
    store.layers.remove_rw(CONTAINER)


def test_files_that_cannot_become_a_layer_leave_no_half_of_one(
    store: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path) -> RecipeWriter:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if not store.driver.isolated:
        return  # its layers are whole trees, and copied
    store.layers.create_rw(CONTAINER, parent=None, init=False)
    before = store.driver.names()
    monkeypatch.setattr(staging, "RecipeWriter", full)
    with pytest.raises(System, match="no space left"):
        store.layers.settle_rw(CONTAINER)
    assert store.driver.names() == before
    store.layers.remove_rw(CONTAINER)

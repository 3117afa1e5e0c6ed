"""Copy-up keeps what a container can see of the image's files, and follows no link."""

import os
import stat
from pathlib import Path

import pytest

from moorage.volumes import copyup

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    root = tmp_path / "rootfs"
    (root / "data" / "sub").mkdir(parents=True)
    return root


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = tmp_path / "volume"
    path.mkdir()
    return path


def test_owner_mode_times_xattrs_links_and_devices_are_kept(rootfs: Path, volume: Path) -> None:
    data = rootfs / "data"
    (data / "file").write_bytes(b"hello")
    os.chown(data / "file", 1000, 1001)
    (data / "file").chmod(0o4751)
    os.setxattr(data / "file", "user.note", b"x")
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(data / "file", "security.capability", capability)
    os.utime(data / "file", ns=(1_000_000_007, 2_000_000_009))
    os.link(data / "file", data / "sub" / "hard")
    (data / "soft").symlink_to("/etc/passwd")
    os.chown(data / "soft", 5, 6, follow_symlinks=False)
    os.mknod(data / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (data / "null").chmod(0o666)
    os.mkfifo(data / "fifo")
    with (data / "sparse").open("wb") as file:
        file.truncate(100 << 20)
        file.seek(50 << 20)
        file.write(b"middle")
    os.chown(data, 33, 34)
    data.chmod(0o2770)
    os.chown(data / "sub", 7, 8)

    assert copyup.populate(volume, rootfs, "/data")

    info = (volume / "file").lstat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (1000, 1001, 0o4751)
    assert info.st_mtime_ns == 2_000_000_009
    assert os.getxattr(volume / "file", "user.note") == b"x"
    assert os.getxattr(volume / "file", "security.capability") == capability
    assert (volume / "sub" / "hard").samefile(volume / "file")
    assert os.readlink(volume / "soft") == "/etc/passwd"
    assert (volume / "soft").lstat().st_uid == 5
    assert (volume / "null").lstat().st_rdev == os.makedev(1, 3)
    assert stat.S_IMODE((volume / "null").lstat().st_mode) == 0o666
    assert stat.S_ISFIFO((volume / "fifo").lstat().st_mode)
    sparse = (volume / "sparse").lstat()
    assert sparse.st_size == 100 << 20
    assert sparse.st_blocks * 512 < 1 << 20
    with (volume / "sparse").open("rb") as file:
        file.seek(50 << 20)
        assert file.read(6) == b"middle"
    top = volume.lstat()
    assert (top.st_uid, top.st_gid, stat.S_IMODE(top.st_mode)) == (33, 34, 0o2770)
    assert (volume / "sub").lstat().st_uid == 7


def test_an_empty_directory_gives_its_owner_and_mode(rootfs: Path, volume: Path) -> None:
    os.chown(rootfs / "data" / "sub", 70, 70)
    (rootfs / "data" / "sub").chmod(0o700)
    assert copyup.populate(volume, rootfs, "/data/sub")
    assert (volume.lstat().st_uid, stat.S_IMODE(volume.lstat().st_mode)) == (70, 0o700)


def test_a_volume_with_content_is_left_alone(rootfs: Path, volume: Path) -> None:
    (rootfs / "data" / "file").write_text("image")
    (volume / "mine").write_text("mine")
    assert not copyup.populate(volume, rootfs, "/data")
    assert os.listdir(volume) == ["mine"]


def test_a_place_the_image_has_not_is_nothing_to_copy(rootfs: Path, volume: Path) -> None:
    (rootfs / "file").write_text("x")
    for inside in ("/nothing/here", "/file", "/file/below"):
        assert not copyup.populate(volume, rootfs, inside)
    assert os.listdir(volume) == []


def test_f9_cve_2022_23648_links_and_dots_stay_inside_the_image(
    rootfs: Path, volume: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    (rootfs / "data" / "out").symlink_to(secret)
    (rootfs / "data" / "up").symlink_to("../../secret")
    for inside in ("/data/out", "/data/up", "/../secret", "../../secret"):
        assert not copyup.populate(volume, rootfs, inside)
    (rootfs / "run").mkdir()
    (rootfs / "run" / "pid").write_text("1")
    (rootfs / "var").mkdir()
    (rootfs / "var" / "run").symlink_to("/run")
    assert copyup.populate(volume, rootfs, "/var/run")
    assert os.listdir(volume) == ["pid"]


def test_f9_cve_2020_1726_a_link_in_the_image_is_copied_not_followed(
    rootfs: Path, volume: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    (rootfs / "data" / "escape").symlink_to(secret)
    assert copyup.populate(volume, rootfs, "/data")
    assert (volume / "escape").is_symlink()

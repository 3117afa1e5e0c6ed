"""Volumes backed up, restored, renamed, copied and limited in size, by ``moor`` and the API."""

import gzip
import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from support import images
from support.api import Api
from support.cli import Cli
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root")


def place(docker: Cli, name: str) -> Path:
    return Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", name))


@pytest.fixture
def source(docker: Cli) -> Path:
    """A volume with the things archives get wrong."""
    docker("volume", "create", "--label", "a=b", "source")
    path = place(docker, "source")
    (path / "sub").mkdir(mode=0o700)
    (path / "sub" / "file").write_bytes(b"content")
    os.chown(path / "sub" / "file", 1000, 1001)
    (path / "sub" / "file").chmod(0o4640)
    os.setxattr(path / "sub" / "file", "user.note", b"x")
    os.utime(path / "sub" / "file", ns=(1, 1_234_567_890_123_456_789))
    os.link(path / "sub" / "file", path / "hard")
    (path / "soft").symlink_to("/etc/shadow")
    os.mkfifo(path / "fifo")
    os.chown(path, 7, 8)
    return path


def assert_like_source(path: Path) -> None:
    info = (path / "sub" / "file").lstat()
    assert (path / "sub" / "file").read_bytes() == b"content"
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (1000, 1001, 0o4640)
    assert info.st_mtime_ns == 1_234_567_890_123_456_789
    assert os.getxattr(path / "sub" / "file", "user.note") == b"x"
    assert (path / "hard").samefile(path / "sub" / "file")
    assert os.readlink(path / "soft") == "/etc/shadow"
    assert stat.S_ISFIFO((path / "fifo").lstat().st_mode)
    assert stat.S_IMODE((path / "sub").stat().st_mode) == 0o700


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.zst"])
def test_backup_and_restore(
    moor: Cli, docker: Cli, source: Path, tmp_path: Path, suffix: str
) -> None:
    assert source.is_dir()
    archive = tmp_path / f"backup.{suffix}"
    moor("volume", "backup", "-o", archive, "source")
    moor("volume", "restore", "-i", archive, "target")
    assert_like_source(place(docker, "target"))


def test_holes_of_files_cost_nothing(moor: Cli, docker: Cli, tmp_path: Path) -> None:
    docker("volume", "create", "sparse")
    path = place(docker, "sparse")
    long = "deep/" + "d" * 90 + "/" + "n" * 90
    (path / long).parent.mkdir(parents=True)
    with (path / long).open("wb") as file:
        file.write(b"begin")
        file.seek(5 << 30)
        file.write(b"middle" * 1000)
        file.truncate(10 << 30)
    with (path / "hole").open("wb") as file:
        file.truncate(1 << 30)
    archive = tmp_path / "backup.tar"
    moor("volume", "backup", "-o", archive, "sparse")
    assert archive.stat().st_size < 1 << 20
    moor("volume", "restore", "-i", archive, "target")
    moor("volume", "cp", "sparse", "copied")
    (tmp_path / "tar").mkdir()  # and as GNU tar sees it
    subprocess.run(["tar", "xf", archive, "-C", tmp_path / "tar"], check=True, timeout=50)
    for found in (place(docker, "target"), place(docker, "copied"), tmp_path / "tar"):
        assert (found / long).stat().st_size == 10 << 30
        assert (found / long).stat().st_blocks < 1000
        assert (found / "hole").stat().st_size == 1 << 30
        with (found / long).open("rb") as file:
            assert file.read(6) == b"begin\0"
            file.seek(5 << 30)
            assert file.read(6002) == b"middle" * 1000 + b"\0\0"


def test_copy_keeps_content_and_labels(moor: Cli, docker: Cli, source: Path) -> None:
    assert moor("volume", "cp", "source", "target") == "target"
    target = place(docker, "target")
    assert_like_source(target)
    assert target.stat().st_uid == source.stat().st_uid == 7
    assert docker("volume", "inspect", "-f", "{{.Labels.a}}", "target") == "b"
    again = moor.run("volume", "cp", "source", "target")
    assert "volume 'target' exists already" in again.err


def test_rename(moor: Cli, docker: Cli, source: Path) -> None:
    moor("volume", "rename", "source", "renamed")
    assert not source.exists()
    assert_like_source(place(docker, "renamed"))
    assert docker("volume", "ls", "-q") == "renamed"
    assert "invalid characters" in moor.run("volume", "rename", "renamed", "../x").err
    assert "exists already" in moor.run("volume", "rename", "renamed", "renamed").err


def test_a_volume_in_use_is_not_renamed_nor_restored(
    moor: Cli, docker: Cli, source: Path, api: Api
) -> None:
    assert source.is_dir()
    name = docker("run", "-d", "--network=none", "-v", "source:/v", "busybox", "sleep", "100")
    assert "volume is in use" in moor.run("volume", "rename", "source", "other").err
    assert api.request("PUT", "/volumes/source/archive", b"").status == 409
    docker("rm", "-f", name)


def archive(*members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.TarFile(fileobj=out, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return out.getvalue()


def test_f8_cve_2023_0778_a_hostile_archive_does_not_leave_the_volume(
    api: Api, docker: Cli, tmp_path: Path
) -> None:
    docker("volume", "create", "target")
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, str(outside)
    through, dots = tarfile.TarInfo("link/file"), tarfile.TarInfo(f"../../../..{outside}/dots")
    through.size = dots.size = 1
    for attack in (archive(link, through), archive(dots), b"no archive at all" * 100):
        api.request("PUT", "/volumes/target/archive", attack)
        assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (b"", "the archive is empty"),
        (b"no archive at all" * 100, "invalid tar header"),
        (gzip.compress(archive(tarfile.TarInfo("a")))[:-20], "the gzip data is truncated"),
    ],
)
def test_what_is_no_archive_makes_no_volume(
    moor: Cli, docker: Cli, tmp_path: Path, wrong: bytes, sentence: str
) -> None:
    file = tmp_path / "wrong"
    file.write_bytes(wrong)
    refused = moor.run("volume", "restore", "-i", file, "new")
    assert refused.code == 1
    assert sentence in refused.err
    assert docker("volume", "ls", "-q") == ""
    docker("volume", "create", "old")
    assert moor.run("volume", "restore", "-i", file, "old").code == 1
    assert docker("volume", "rm", "old") == "old"  # there before, there afterwards, and free


def test_restore_reads_standard_input(moor: Cli, docker: Cli) -> None:
    member = tarfile.TarInfo("file")
    member.size = 1
    said = moor.run("volume", "restore", "piped", stdin=gzip.compress(archive(member)))
    assert (said.code, said.text) == (0, "piped")
    assert (place(docker, "piped") / "file").read_bytes() == b"x"


@pytest.mark.requires("mkfs.ext4")
def test_a_size_limit_holds_and_survives_a_copy(docker: Cli, moor: Cli, daemon: Daemon) -> None:
    docker("volume", "create", "-o", "size=8m", "small")
    script = "dd if=/dev/zero of=/v/a bs=1M count=4 && dd if=/dev/zero of=/v/b bs=1M count=9"
    full = docker.run(
        "run", "--rm", "--network=none", "-v", "small:/v", "busybox", "sh", "-c", script
    )
    assert full.code == 1
    assert "No space left" in full.err or "quota" in full.err.lower()
    kept = docker("run", "--rm", "--network=none", "-v", "small:/v", "busybox", "ls", "/v")
    assert kept.split() == ["a", "b"]
    moor("volume", "cp", "small", "twin")
    assert docker("volume", "inspect", "-f", "{{.Options.size}}", "twin") == "8m"
    refused = docker.run("volume", "create", "-o", "size=none", "bad")
    assert "invalid size: 'none'" in refused.err
    assert daemon.process is not None


def test_copy_up_keeps_owner_and_mode_in_a_limited_volume(docker: Cli, daemon: Daemon) -> None:
    extra = (
        images.Entry("data", kind=tarfile.DIRTYPE, mode=0o750, uid=70, gid=71),
        images.Entry("data/seed", b"seed", uid=70),
    )
    daemon.load(images.busybox("seeded:1", extra=extra))
    docker("volume", "create", "-o", "size=8m", "small")
    said = docker(
        "run", "--rm", "--network=none", "-v", "small:/data", "seeded:1",
        "sh", "-c", "stat -c '%u %g %a' /data; cat /data/seed",
    )  # fmt: skip
    assert said.split("\n") == ["70 71 750", "seed"]
    docker("rmi", "seeded:1")

"""Every step of load, import and removal cut off: by an error, a full disk, and a kill -9."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from support import images
from support.daemon import Daemon

pytestmark = [pytest.mark.requires("root", "overlayfs"), pytest.mark.timeout(120)]
MakeDaemon = Callable[..., Daemon]

LOAD = [
    "layers.after_unpack",
    "images.load.after_read",
    "layers.before_record",
    "layers.after_record",
    "images.load.after_layer",
    "images.load.before_record",
    "images.before_record",
    "images.after_record",
    "images.load.after_tag",
]
COMPRESSED = ["content.before_publish", "content.after_publish"]
IMPORT = ["layers.after_unpack", "images.import.after_layer", "images.after_record"]
REMOVE = [
    "images.after_remove",
    "layers.after_forget",
    "garbage.after_layers",
    "garbage.before_trees",
]


def two_layers(tag: str = "two:1") -> bytes:
    lower = images.layer([images.directory("d"), images.Entry("d/f", b"1" * 5000)])
    upper = images.layer([images.Entry("d/g", b"2" * 100), images.Entry("d/.wh.f")])
    return images.docker_archive([lower, upper], tags=[tag])


def compressed() -> bytes:
    lower = gzip.compress(images.layer([images.Entry("f", b"1" * 5000)]))
    plain = gzip.decompress(lower)
    archive = images.docker_archive([plain], tags=["packed:1"])
    return archive.replace(plain, lower.ljust(len(plain), b"\0"))


@pytest.fixture
def crashing(make_daemon: MakeDaemon) -> Daemon:
    """Return a daemon with one image, whose faults ``rearm`` sets."""
    daemon = make_daemon()
    (daemon.root / "faults").write_text("")
    daemon.env["MOORAGE_FAILPOINTS"] = f"@{daemon.root / 'faults'}"
    daemon.start()
    daemon.load(two_layers("kept:1"))
    return daemon


def rearm(daemon: Daemon, fault: str) -> None:
    (daemon.root / "faults").write_text(fault)


def store(daemon: Daemon) -> tuple[Any, ...]:
    """Return all that the store holds: names, images, blobs, layers, partial blobs."""
    listed = daemon.api.get("/images/json", all=True).ok().json()
    layers = daemon.data_root / "layers" / "overlay2"
    content = daemon.data_root / "content"
    return (
        sorted((image["Id"], tuple(image["RepoTags"])) for image in listed),
        sorted(path.name for path in (content / "blobs" / "sha256").iterdir()),
        sorted(path.name for path in layers.iterdir() if not path.name.startswith(".")),
        sorted(path.name for path in (content / "ingest").iterdir()),
    )


def try_to(work: Callable[[], object]) -> None:
    try:
        work()
    except (OSError, AssertionError, HTTPException):
        return


def bury(daemon: Daemon) -> None:
    assert daemon.process is not None
    daemon.process.wait(10)
    rearm(daemon, "")
    daemon.start()


def load(daemon: Daemon, archive: bytes) -> Any:
    return daemon.api.request("POST", "/images/load", archive)


def upload(daemon: Daemon) -> Any:
    tar = images.layer([images.Entry("only", b"x" * 999)])
    query = {"fromSrc": "-", "repo": "imported", "tag": "1"}
    return daemon.api.request("POST", "/images/create", tar, query=query)


@pytest.mark.parametrize("action", ["error", "enospc"])
def test_a_fault_in_a_load_or_import_leaves_the_store_as_it_was(
    crashing: Daemon, action: str
) -> None:
    before = store(crashing)
    for fault in [*LOAD, *COMPRESSED]:
        rearm(crashing, f"{fault}={action}")
        answer = load(crashing, compressed() if fault in COMPRESSED else other())
        assert answer.status == 500 or "error" in answer.ok().lines()[-1], fault
        assert store(crashing) == before, fault
    for fault in IMPORT:
        rearm(crashing, f"{fault}={action}")
        assert upload(crashing).status == 500, fault
        assert store(crashing) == before, fault
    rearm(crashing, "")
    load(crashing, other()).ok()


def other() -> bytes:
    """Return an archive whose layers are not those of the image that is there already."""
    lower = images.layer([images.Entry("other", b"o" * 3000)])
    return images.docker_archive([lower], tags=["other:1"])


def test_death_in_a_load_leaves_the_store_as_it_was(crashing: Daemon) -> None:
    before = store(crashing)
    for fault in LOAD:
        rearm(crashing, f"{fault}=kill")
        try_to(lambda: load(crashing, other()))
        bury(crashing)
        assert store(crashing) == before, fault
    load(crashing, other()).ok()


def test_death_in_a_removal_leaves_no_half_image(crashing: Daemon) -> None:
    before = store(crashing)
    for fault in REMOVE:
        load(crashing, other()).ok()
        rearm(crashing, f"{fault}=kill")
        try_to(lambda: crashing.api.delete("/images/other:1"))
        bury(crashing)
        try_to(lambda: crashing.api.delete("/images/other:1").ok(200, 404))
        assert store(crashing) == before, fault


def test_a_full_disk_in_the_middle_of_a_load_leaves_the_store_as_it_was(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon()
    daemon.data_root.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(daemon.data_root)], check=True
    )
    try:
        daemon.start()
        daemon.load(two_layers())
        before = store(daemon)
        many = [images.Entry(f"f{n}", bytes([n]) * (1 << 20)) for n in range(20)]
        layers = [images.layer(many), images.layer([images.Entry("g", b"g" * (15 << 20))])]
        answer = load(daemon, images.docker_archive(layers, tags=["large:1"]))
        said = answer.ok().lines()[-1]["error"]
        assert "space" in said or "bytes allowed" in said
        assert store(daemon) == before
        daemon.load(other())
        daemon.stop()
    finally:
        if daemon.process is not None:
            daemon.kill()
        subprocess.run(["umount", "-l", str(daemon.data_root)], check=True)


def test_fsck_finds_and_mends_what_was_damaged(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    daemon.load(two_layers())
    daemon.load(other())
    daemon.stop()
    assert fsck(daemon) == (0, "the store is clean\n")
    tree = next((daemon.data_root / "layers/overlay2").glob("*/diff/other"))
    with tree.open("r+b") as file:
        file.write(b"damaged")
    (daemon.data_root / "layers/overlay2/rubbish").mkdir()
    code, said = fsck(daemon)
    assert code == 4
    assert "is damaged" in said
    assert fsck(daemon) == (0, "the store is clean\n")
    daemon.start()
    names = [i["RepoTags"] for i in daemon.api.get("/images/json").ok().json()]
    assert names == [["two:1"]]
    daemon.load(other())


def test_fsck_unpacks_a_damaged_layer_again_from_its_blob(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    daemon.load(compressed())
    daemon.stop()
    tree = next((daemon.data_root / "layers/overlay2").glob("*/diff/f"))
    tree.write_bytes(b"damaged")
    code, said = fsck(daemon)
    assert (code, "unpacked again" in said) == (1, True)
    mended = next((daemon.data_root / "layers/overlay2").glob("*/diff/f"))
    assert mended.read_bytes() == b"1" * 5000
    assert fsck(daemon)[0] == 0


def test_fsck_finds_a_damaged_blob(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    daemon.load(two_layers())
    daemon.stop()
    blobs = daemon.data_root / "content" / "blobs" / "sha256"
    blob: Path = min(blobs.iterdir())
    blob.chmod(0o600)
    blob.write_bytes(b"{}")
    code, said = fsck(daemon)
    assert code == 4
    assert f"blob sha256:{blob.name} is damaged" in said
    assert fsck(daemon)[0] == 0


def test_a_check_of_a_working_daemon_mends_a_layer_under_a_container(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon().start()
    daemon.load(compressed())
    assert daemon.api.post("/system/check").ok().json() == {"Checked": 5, "Problems": []}
    body = {"Image": "packed:1", "Cmd": ["/f"]}
    daemon.api.post("/containers/create", body, name="standing").ok(201)
    tree = next((daemon.data_root / "layers/overlay2").glob("*/diff/f"))
    tree.write_bytes(b"damaged")
    found = check(daemon)
    assert [(p["Kind"], p["Repaired"]) for p in found] == [("layer", False), ("image", False)]
    assert "other content" in found[0]["Message"]
    found = check(daemon, repair=True)
    assert [(p["Kind"], p["Repaired"]) for p in found] == [("layer", True)]
    assert tree.exists(), "somebody may stand on it"
    assert check(daemon) == []
    archive = (
        daemon.api.request("GET", "/containers/standing/archive", query={"path": "/f"}).ok().body
    )
    assert b"1" * 5000 in archive
    daemon.stop()
    daemon.start()
    assert not tree.exists()
    assert check(daemon) == []


def test_a_check_of_a_working_daemon_forgets_what_cannot_be_mended(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon().start()
    daemon.load(two_layers())
    daemon.load(other())
    tree = next((daemon.data_root / "layers/overlay2").glob("*/diff/other"))
    tree.write_bytes(b"damaged")
    found = check(daemon, repair=True)
    assert [(p["Kind"], p["Repaired"]) for p in found] == [("layer", True), ("image", False)]
    assert check(daemon) == []
    names = [i["RepoTags"] for i in daemon.api.get("/images/json").ok().json()]
    assert names == [["two:1"]]
    daemon.load(other())
    assert check(daemon) == []


def test_a_check_of_a_working_daemon_finds_a_damaged_blob(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    daemon.load(two_layers())
    blob: Path = min((daemon.data_root / "content" / "blobs" / "sha256").iterdir())
    blob.chmod(0o600)
    blob.write_bytes(b"{}")
    found = check(daemon)
    assert [p["Kind"] for p in found] == ["blob", "image"]
    assert found[0]["Object"] == f"sha256:{blob.name}"
    assert blob.exists(), "nothing is changed unless asked for"
    assert len(check(daemon, repair=True)) == 2
    assert check(daemon) == []


def test_loads_go_on_while_the_store_is_checked(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    daemon.load(two_layers())
    with ThreadPoolExecutor(4) as pool:
        checks = [pool.submit(check, daemon, repair=True) for _ in range(2)]
        loads = [pool.submit(daemon.load, two_layers(f"more:{n}")) for n in range(8)]
        loads += [pool.submit(daemon.load, other()) for _ in range(8)]
        for task in loads:
            task.result()
        for one in checks:
            assert one.result() == []
    assert check(daemon) == []


def check(daemon: Daemon, *, repair: bool = False) -> list[dict[str, Any]]:
    """Return the problems that the daemon finds, none if it is at it already."""
    answer = daemon.api.post("/system/check", repair=repair).ok(200, 409)
    problems: list[dict[str, Any]] = answer.json().get("Problems", [])
    return problems


def fsck(daemon: Daemon) -> tuple[int, str]:
    done = subprocess.run(
        [*daemon.command, "--fsck"], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout

"""Whichever driver keeps a layer, its archive has the same bytes.

Each change is made by programs in a writable layer, its times are set back as for
SOURCE_DATE_EPOCH, and the layer is compared with what vfs makes of the same. A second change on
top tells whether the layers themselves, unpacked or taken over, are the same everywhere.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import drivers
from support.layers import MTIME, Stores, Tar, list_members

pytestmark = pytest.mark.requires("root")

EPOCH_NS = (MTIME + 1000) * 1_000_000_000
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service=ep
CHANGES = {
    "file removed": "rm usr/lib/single",
    "file of the root removed": "rm su",
    "directory removed": "rm -r deep",
    "directory made again": "rm -r deep && mkdir -p deep/below && echo 1 > deep/below/new",
    "directory made again alike": "rm -r same && mkdir same && touch -d @1700000000 same",
    "directory renamed": "mv deep moved",
    "directory renamed and made again": "mv deep moved && mkdir deep && echo 2 > deep/other",
    "file by directory": "rm su && mkdir su && echo 1 > su/inside",
    "file by link": "rm su && ln -s etc/hosts su",
    "directory by file": "rm -r deep && echo 1 > deep",
    "directory by link": "rm -r deep && ln -s usr deep",
    "link by directory": "rm lib && mkdir lib && echo 1 > lib/inside",
    "second name for a lower file": "ln usr/lib/single usr/lib/double",
    "third name for a lower file": "ln usr/lib/a third",
    "one of two names removed": "rm usr/lib/b",
    "one of two names renamed": "mv usr/lib/b usr/lib/c",
    "names of a new file": "echo 1 > z && ln z a && ln z usr/z",
    "mode only": "chmod 600 etc/hosts",
    "mode of a directory": "chmod 700 etc",
    "same mode": "chmod 644 etc/hosts && chmod 2775 usr",
    "owner only": "chown 5:6 etc/hosts",
    "owner of a link": "chown -h 5:6 lib",
    "time only": "touch etc/hosts",
    "time only, set back": "touch etc/hosts && touch -d @1700000000.123456789 etc/hosts",
    "time of a directory": "touch deep",
    "opened for writing": "true >> etc/hosts",
    "content of equal size and time": "printf 'two\\n' > etc/hosts"
    " && touch -d @1700000000.123456789 etc/hosts",
    "content the same": "cat etc/hosts > t && cat t > etc/hosts && rm t"
    " && touch -d @1700000000.123456789 etc/hosts",
    "sparse file": "truncate -s 5M holes && printf x | dd of=holes bs=1 seek=3M conv=notrunc 2>&1",
    "fifo": "mkfifo -m 640 queue && rm pipe && mkfifo pipe",
    "device": "mknod disk b 7 1 && mknod zero c 1 5 && rm null && mknod null c 1 7",
    "set-id": "cp etc/hosts s && chmod 6755 s && chmod 0755 su && chown 3 su",
    "long names": "mkdir $(printf %0200d 1) && echo 1 > $(printf %0200d 1)/$(printf %0250d 2)",
    "names of no text": "touch $(printf '\\377\\376') && mkdir $(printf 'd\\200')"
    " && echo 1 > $(printf 'd\\200/\\351')",
    "odd names": "touch 'a b' '-c' 'd\\e' 'f,g:h' 'etc-x' 'etc.y' && mkdir etc- && echo > etc-/1",
    "written and deleted": "echo 1 > etc/new && rm etc/new",
    "written and deleted, time set back": "echo 1 > new && rm new && mkdir deep/d"
    " && rmdir deep/d && touch -d @1700000000 deep",
    "empty directory": "mkdir empty",
    "nothing": "true",
    "removed in a removed one": "rm -r deep/below && rm -r deep && mkdir deep && mkdir deep/below",
    "emptied": "rm -r deep/below/* opaque/below gone/inside",
    "renamed over": "echo 3 > n && mv n etc/hosts",
    "exchanged": "mv etc/hosts t && mv etc/passwd etc/hosts && mv t etc/passwd",
    "for mounts": "chmod 711 etc && echo 1 > dev/made && rm .dockerenv",
}
LOST_BY_FUSE = {
    "attributes of users": "does not show users' attributes to root",
    "directory by link": "does not hand the set-group-id bit of a directory on to new ones",
    "owner of a link": "copies links up without their times",
}
SECOND = """
chmod 0750 usr; rm -f usr/lib/b; mkdir -p gone; echo 9 > gone/late; rm -rf opaque; mkdir opaque
[ ! -d deep ] || { mkdir -p deep/below; echo 9 > deep/below/zz; rm -f deep/below/one; }
[ -L lib ] || rm -rf lib; chmod 755 etc; echo 8 > etc/late; rm -rf same
mkdir -p moved; rmdir moved || :
"""


def set_attributes(root: Path) -> None:
    os.setxattr(root / "usr/lib/single", "security.capability", CAPABILITY)
    os.setxattr(root / "capable", "security.capability", CAPABILITY)
    (root / "bound").write_bytes(b"1")
    os.setxattr(root / "bound", "security.capability", CAPABILITY)


def take_attributes(root: Path) -> None:
    os.removexattr(root / "capped", "security.capability")
    os.chown(root / "capped2", 4, 4)  # the kernel takes them then


def users_attributes(root: Path) -> None:
    os.setxattr(root / "etc/hosts", "user.note", b"1")
    os.setxattr(root / "deep", "user.note", b"2")
    os.removexattr(root / "noted", "user.note")
    os.removexattr(root / "capable", "user.note")


CALLS: dict[str, Callable[[Path], None]] = {
    "attributes only": set_attributes,
    "attributes removed": take_attributes,
    "attributes of users": users_attributes,
}


def base(store: Stores) -> str:
    """Apply two layers with one of everything, not all of whose directories are listed."""
    capable = {"SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1")}
    lower = (
        Tar()
        .directory("./", 0o755)
        .directory("etc/")
        .add("etc/hosts", b"one\n", pax={"mtime": "1700000000.123456789"})
        .add("etc/passwd", b"root\n", mode=0o600, uid=7, gid=8)
        .directory("usr/", 0o2775, uid=1, gid=2)
        .directory("usr/lib/")
        .add("usr/lib/a", b"a" * 5000)
        .hard_link("usr/lib/b", "usr/lib/a")
        .add("usr/lib/single", b"s" * 3000)
        .symlink("lib", "usr/lib")
        .add("su", b"x", mode=0o4755)
        .add("null", kind=tarfile.CHRTYPE, device=(1, 3), mode=0o666)
        .add("pipe", kind=tarfile.FIFOTYPE, mode=0o640)
        .add("capable", b"cap", pax={"SCHILY.xattr.user.note": "kept"})
        .add("capped", b"cap", pax=capable)
        .add("capped2", b"cap", pax=capable)
        .directory("noted/", pax={"SCHILY.xattr.user.note": "kept"})
        .directory("gone/")
        .add("gone/inside", b"1")
        .directory("opaque/")
        .add("opaque/below", b"1")
        .directory("same/")
        .directory("deep/")
        .directory("deep/below/", mtime=MTIME - 5)
        .add("deep/below/one", b"1")
        .add("deep/below/two", b"22")
    )
    upper = Tar().add("deep/below/three", b"3").add("usr/.wh.nothing").add("same/.wh.nothing")
    first = store.layers.apply(lower.file(), parent=None).chain_id
    return store.layers.apply(upper.file(), parent=first).chain_id


def step(store: Stores, parent: str, change: str | Callable[[Path], None]) -> tuple[bytes, str]:
    """Make a layer as a step of a build does; return its archive and ChainID."""
    name = secrets.token_hex(32)
    store.layers.create_rw(name, parent=parent)  # type: ignore[arg-type]
    root = store.layers.mount_rw(name)
    if isinstance(change, str):
        subprocess.run(["bash", "-ec", change], cwd=root, check=True)
    else:
        change(root)
    store.layers.unmount_rw(name)
    store.layers.clamp_times(name, EPOCH_NS)
    archive = b"".join(store.layers.diff(name))
    layer = store.layers.settle_rw(name)
    store.layers.remove_rw(name)
    return archive, layer.chain_id


class Lab:
    """Stores of each driver with the base in them, and what they make of each change."""

    def __init__(self, filesystems: drivers.FileSystems) -> None:
        self._filesystems = filesystems
        self._stores: dict[tuple[str, str], tuple[Stores, str]] = {}
        self._made: dict[tuple[str, str, str], tuple[bytes, bytes]] = {}

    def layers(self, driver: str, kind: str, case: str) -> tuple[bytes, bytes]:
        """Return the archives of a change and of a second one on top of it."""
        key = (driver, kind, case)
        if key not in self._made:
            store, parent = self._store(driver, kind)
            change = CHANGES.get(case) or CALLS[case]
            first, chain_id = step(store, parent, change)
            second, _ = step(store, chain_id, SECOND)
            self._made[key] = (first, second)
        return self._made[key]

    def _store(self, driver: str, kind: str) -> tuple[Stores, str]:
        if (driver, kind) not in self._stores:
            store = Stores(self._filesystems.directory(kind), driver)
            self._stores[driver, kind] = (store, base(store))
        return self._stores[driver, kind]

    def close(self) -> None:
        """Unmount and remove everything."""
        for store, _ in self._stores.values():
            store.close()


@pytest.fixture(scope="module")
def lab(filesystems: drivers.FileSystems) -> Iterator[Lab]:
    made = Lab(filesystems)
    yield made
    made.close()


@pytest.mark.parametrize("place", drivers.PLACES)
@pytest.mark.parametrize("case", [*CHANGES, *CALLS])
def test_a_layer_is_the_same_from_every_driver(lab: Lab, place: tuple[str, str], case: str) -> None:
    driver, kind = place
    if driver == "fuse-overlayfs" and case in LOST_BY_FUSE:
        pytest.skip(f"fuse-overlayfs {LOST_BY_FUSE[case]}")
    for ours, reference in zip(
        lab.layers(driver, kind, case), lab.layers("vfs", "", case), strict=True
    ):
        assert list_members(ours) == list_members(reference)
        assert ours == reference

"""Images made on the spot, in the format of ``docker save``."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
_APPLETS = """
[ ash awk base64 cat chmod chown chgrp cp cut date dd df dirname du echo env expr false find
free grep gunzip gzip head hostname httpd id ifconfig ip kill killall less ln ls md5sum mkdir
mkfifo mknod more mount mv nc nslookup od ping ping6 printenv printf ps pwd readlink realpath
reset rm rmdir route sed seq sh sha256sum sleep sort stat stty su sync tail tar tee telnet test
time timeout top touch tr traceroute true tty udhcpc umount uname uniq unzip uptime vi wc wget
which whoami xargs yes
""".split()
_FILES = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    b"tester:x:1000:1000:tester:/home/tester:/bin/sh\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\ntester:x:1000:\nextra:x:2000:tester\n",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer."""

    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


def directory(name: str, mode: int = 0o755) -> Entry:
    """Return a directory's entry."""
    return Entry(name, kind=tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> Entry:
    """Return a symlink's entry."""
    return Entry(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def layer(entries: Sequence[Entry]) -> bytes:
    """Return an uncompressed layer."""
    out = io.BytesIO()
    with tarfile.TarFile(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.linkname, info.mode = entry.kind, entry.link, entry.mode
            info.uid, info.gid, info.size = entry.uid, entry.gid, len(entry.data)
            info.mtime = 1_700_000_000
            archive.addfile(info, io.BytesIO(entry.data))
    return out.getvalue()


def docker_archive(
    layers: Sequence[bytes],
    *,
    tags: Sequence[str],
    config: Mapping[str, object] | None = None,
    created: str = "2024-01-02T03:04:05Z",
) -> bytes:
    """Return what ``docker load`` reads: one image of these uncompressed layers."""
    digests = [hashlib.sha256(data).hexdigest() for data in layers]
    image = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": dict(config or {}),
        "history": [{"created": created, "created_by": f"layer {n}"} for n in range(len(layers))],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }
    text = json.dumps(image).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [
        {"Config": name, "RepoTags": list(tags), "Layers": [f"{d}/layer.tar" for d in digests]}
    ]
    out = io.BytesIO()
    with tarfile.TarFile(fileobj=out, mode="w") as archive:
        members = {name: text, "manifest.json": json.dumps(manifest).encode()}
        members |= {
            f"{digest}/layer.tar": data for digest, data in zip(digests, layers, strict=True)
        }
        for path, data in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@functools.cache
def busybox_layer() -> bytes:
    """Return a root of the machine's static busybox with its usual applets."""
    entries = [directory(d) for d in ("bin", "etc", "home", "home/tester", "proc", "root", "sys")]
    entries += [directory("dev"), directory("var"), directory("tmp", 0o1777)]
    entries.append(Entry("bin/busybox", BUSYBOX.read_bytes(), mode=0o755))
    entries += [symlink(f"bin/{applet}", "busybox") for applet in _APPLETS]
    entries += [Entry(name, data) for name, data in _FILES.items()]
    return layer(entries)


def busybox(
    tag: str = "busybox:latest", *, extra: tuple[Entry, ...] = (), **config: object
) -> bytes:
    """Return an archive of a small image to run things in; *extra* goes in a second layer."""
    settings = {"Env": ["PATH=/bin:/usr/bin"], "Cmd": ["sh"], **config}
    layers = [busybox_layer(), *([layer(extra)] if extra else [])]
    return docker_archive(layers, tags=[tag], config=settings)

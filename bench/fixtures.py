"""What the engines are fed: archives made on this machine, the same bytes for each."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import tarfile
from pathlib import Path


def _layer_tar(files: dict[str, bytes | str], *, links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            body = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(body), 0o755
            tar.addfile(member, io.BytesIO(body))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return buffer.getvalue()


def docker_archive(path: Path, tag: str, layers: list[bytes], *, compress: bool = False) -> None:
    """Write a docker-archive of *layers* (plain tars) named *tag*."""
    diff_ids = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["sh"], "Env": ["PATH=/bin:/usr/bin:/sbin"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "bench"} for _ in layers],
            "created": "2024-01-01T00:00:00Z",
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    names = [f"{digest.removeprefix('sha256:')}/layer.tar" for digest in diff_ids]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": names}]).encode()
    with tarfile.open(path, "w") as tar:
        bodies = [gzip.compress(layer, 6, mtime=0) if compress else layer for layer in layers]
        for name, body in [
            (config_name, config),
            *zip(names, bodies, strict=True),
            ("manifest.json", manifest),
        ]:
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))


def busybox(path: Path) -> None:
    """Write the image ``busybox:bench`` from the machine's own static busybox."""
    binary = Path(shutil.which("busybox") or "/bin/busybox").read_bytes()
    applets = [
        "sh",
        "true",
        "echo",
        "sleep",
        "cat",
        "ls",
        "httpd",
        "wget",
        "nc",
        "seq",
        "dd",
        "ip",
        "ping",
        "nslookup",
        "head",
        "id",
        "mkdir",
        "cp",
        "rm",
    ]
    layer = _layer_tar(
        {
            "bin/busybox": binary,
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
            "etc/group": "root:x:0:\n",
        },
        links={f"bin/{applet}": "busybox" for applet in applets},
    )
    docker_archive(path, "busybox:bench", [layer])


def iperf3(path: Path) -> None:
    """Write the image ``iperf3:bench`` from the machine's own program and its libraries."""
    program = shutil.which("iperf3") or "/usr/bin/iperf3"
    linked = subprocess.run(["ldd", program], capture_output=True, check=True, text=True).stdout
    files = [program, *re.findall(r"(/\S+) \(0x", linked)]
    content: dict[str, bytes | str] = {
        file.lstrip("/"): Path(file).resolve().read_bytes() for file in files
    }
    content["tmp/keep"] = ""  # the program makes its buffers below /tmp
    docker_archive(path, "iperf3:bench", [_layer_tar(content)])


def large(path: Path, *, megabytes: int = 250, layers: int = 8, tag: str = "large:bench") -> None:
    """Write an image of about *megabytes* in *layers*: programs, text and what does not compress.

    Half of each layer is random (as compiled or compressed files are), half repeats; files of many
    sizes, as in a distribution.
    """
    chance = random.Random(7)
    made = []
    for number in range(layers):
        files: dict[str, bytes | str] = {}
        left = megabytes * 1_000_000 // layers
        while left > 0:
            size = min(left, chance.choice([2_000, 8_000, 30_000, 120_000, 1_000_000]))
            noise = chance.randbytes(size // 2)
            files[f"opt/layer{number}/d{len(files) % 50}/f{len(files)}"] = noise + b"moorage " * (
                size // 16
            )
            left -= size
        made.append(_layer_tar(files))
    docker_archive(path, tag, made, compress=True)


def one_layer_layout(path: Path, *, megabytes: int) -> None:
    """Write an OCI layout of an image with one layer of so many bytes that do not compress."""
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    size = megabytes * 1_000_000
    diff = hashlib.sha256()
    temporary = path / "layer"
    with temporary.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", compresslevel=0) as z:

        def write(data: bytes) -> None:
            diff.update(data)
            z.write(data)

        member = tarfile.TarInfo("large")
        member.size = size
        write(member.tobuf())
        chunk = random.Random(7).randbytes(1_000_000)
        for number in range(megabytes):
            write(number.to_bytes(8, "big") + chunk[8:])
        write(b"\0" * (-size % 512 + 1024))
    with temporary.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    length = temporary.stat().st_size
    temporary.rename(blobs / digest)

    def blob(document: dict[str, object]) -> dict[str, object]:
        data = json.dumps(document).encode()
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"digest": f"sha256:{name}", "size": len(data)}

    oci = "application/vnd.oci.image"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff.hexdigest()}"]},
    }
    layer = {"mediaType": f"{oci}.layer.v1.tar+gzip", "digest": f"sha256:{digest}", "size": length}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{oci}.manifest.v1+json",
        "config": {"mediaType": f"{oci}.config.v1+json", **blob(config)},
        "layers": [layer],
    }
    entry = {"mediaType": manifest["mediaType"], **blob(manifest)}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (path / "index.json").write_text(json.dumps(index))
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def context(path: Path, *, files: int, megabytes: int) -> None:
    """Fill the directory *path* with a build context."""
    each = os.urandom(megabytes * 1_000_000 // files)
    for number in range(files):
        target = path / f"d{number % 100}" / f"f{number}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(number.to_bytes(8, "big") + each[8:])

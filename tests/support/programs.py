"""Images of real programs, made of packages: bases made once, contexts, and what they hold."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any, Final

from support import debian
from support.cli import Cli
from support.daemon import BIN, Daemon

CONTEXTS: Final = Path(__file__).parent.parent / "compat" / "programs"
PACKAGES: Final = (
    *("nginx-light", "libcap2-bin", "redis-server"),
    *("python3", "python3-pip", "python3-setuptools", "python3-wheel"),
)
BASE: Final = "debian-programs:1"
TOOLS: Final = "debian-tools:1"
TOOLS_DOCKERFILE: Final = f"""\
FROM {BASE}
RUN apt-get update -qq \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y gcc libc6-dev nodejs >/dev/null \\
    && apt-get clean && rm -rf /var/lib/apt/lists/*
"""
TIMEOUT_S: Final = 300
_TIME_S: Final = 1_650_000_000


class Programs:
    """Our daemon, with a base image of real packages in it; other images are made as needed."""

    def __init__(self, daemon: Daemon, home: Path, base: Path) -> None:
        self.daemon = daemon
        self.docker = Cli("docker", daemon.socket, home)
        self.moor = Cli(str(BIN / "moor"), daemon.socket, home)
        self._home = home
        self.moor("import", "-c", "CMD bash", base, BASE, timeout=TIMEOUT_S)
        self._built: set[str] = set()

    def tools(self) -> str:
        """Return the image with a compiler and Node, installed by apt in a build of ours."""
        if TOOLS not in self._built:
            arguments = ["-t", TOOLS, *debian.proxy_arguments(), "-"]
            self.moor("build", *arguments, stdin=TOOLS_DOCKERFILE, timeout=TIMEOUT_S)
            self._built.add(TOOLS)
        return TOOLS

    def context(self, program: str) -> Path:
        """Return a build context, the same whatever the umask of the checkout was."""
        place = self._home / "contexts" / program
        if not place.exists():
            shutil.copytree(CONTEXTS / program, place)
            if program == "nginx":
                (place / "pages.tar.gz").write_bytes(_pages())
            for path in [place, *place.rglob("*")]:
                path.chmod(0o755 if path.is_dir() else 0o644)
                os.utime(path, (_TIME_S, _TIME_S))
        return place

    def arguments(self, program: str) -> list[str]:
        """Return what builds *program*, but for its context, with any client."""
        base = f"TOOLS={self.tools()}" if program in {"c", "node"} else f"BASE={BASE}"
        return ["--build-arg", base, "--network", "none", "-t", image_of(program)]

    def image(self, program: str) -> str:
        """Return the image of *program*, built by ``moor build``."""
        name = image_of(program)
        if name not in self._built:
            arguments = self.arguments(program)
            self.moor("build", *arguments, self.context(program), timeout=TIMEOUT_S)
            self._built.add(name)
        return name

    def config(self, image: str) -> dict[str, Any]:
        """Return the configuration of an image as it is stored."""
        hexadecimal = image_id(self.docker, image).removeprefix("sha256:")
        blob = self.daemon.data_root / "content/blobs/sha256" / hexadecimal
        found: dict[str, Any] = json.loads(blob.read_bytes())
        return found


def image_of(program: str) -> str:
    """Return the name of a program's image."""
    return f"real-{program}:1"


def image_id(client: Cli, image: str) -> str:
    """Return the id of an image."""
    return client("image", "inspect", "-f", "{{.Id}}", image)


def _pages() -> bytes:
    """Return an archive for ADD, with owners and times of its own."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.TarFile(fileobj=packed, mode="w") as tar,
    ):
        for number, name in enumerate(("one.html", "two.html")):
            info = tarfile.TarInfo(f"more/{name}")
            info.size, info.mode, info.uid, info.gid = len(name), 0o640, 33, 33 + number
            info.mtime = _TIME_S + number
            tar.addfile(info, io.BytesIO(name.encode()))
    return out.getvalue()

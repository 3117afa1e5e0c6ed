"""A build context on disk, and builds of it through ``moor``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.cli import Cli, Result


class Project:
    """A directory with a Dockerfile and files."""

    def __init__(self, moor: Cli, root: Path) -> None:
        self.moor = moor
        self.root = root / "project"
        self.out = root / "out"
        self.root.mkdir()

    def write(self, **files: str) -> None:
        """Write files; ``__`` in a name is a slash, ``_d_`` a dot."""
        for name, content in files.items():
            path = self.root / name.replace("__", "/").replace("_d_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def run(self, dockerfile: str, *arguments: str, network: str = "none") -> Result:
        """Build, whatever comes of it."""
        (self.root / "Dockerfile").write_text(dockerfile)
        flags = ["--network", network, "--progress", "plain", *arguments]
        return self.moor.run("build", *flags, self.root)

    def image(self, dockerfile: str, *arguments: str) -> str:
        """Build an image; return its id."""
        iidfile = self.root.parent / "iid"
        self.run(dockerfile, "--iidfile", str(iidfile), *arguments).ok()
        return iidfile.read_text()

    def tree(self, dockerfile: str, *arguments: str) -> Path:
        """Build, and return a directory with the files of the result."""
        self.run(dockerfile, "--output", str(self.out), *arguments).ok()
        return self.out

    def fails(self, dockerfile: str, *arguments: str, network: str = "none") -> str:
        """Build, demand that it fails, return what was said."""
        result = self.run(dockerfile, *arguments, network=network)
        assert result.code != 0, result.err
        return result.out + result.err

    def config(self, image: str) -> Any:
        """Return what ``inspect`` says of an image."""
        return json.loads(self.moor("image", "inspect", image))[0]

    def remove(self, *images: str) -> None:
        """Remove images."""
        self.moor("rmi", "-f", *images)

"""Command-line clients against one daemon: the official ``docker`` and our ``moor``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 50.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a program said and how it ended."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    def ok(self) -> Result:
        """Demand that it ended well."""
        assert self.code == 0, f"{' '.join(self.arguments)}: exit {self.code}\n{self.out}{self.err}"
        return self

    @property
    def text(self) -> str:
        """Standard output without the white space around it."""
        return self.out.strip()


class Cli:
    """Runs one client; ``docker("ps", "-q")`` demands success, ``docker.run`` does not."""

    def __init__(self, program: str, socket: Path, config: Path) -> None:
        self.program = program
        self.socket, self.home = socket, config
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(config),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "DOCKER_HOST": f"unix://{socket}",
            "DOCKER_CONFIG": str(config / ".docker"),
            "DOCKER_BUILDKIT": "0",
        }

    def __call__(
        self, *arguments: str | Path, stdin: str | bytes | None = None, timeout: float = TIMEOUT_S
    ) -> str:
        """Run, demand success, return standard output without the white space around it."""
        return self.run(*arguments, stdin=stdin, timeout=timeout).ok().text

    def run(
        self,
        *arguments: str | Path,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_S,
    ) -> Result:
        """Run to the end."""
        command = [self.program, *map(str, arguments)]
        done = subprocess.run(
            command,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            env={**self.environment, **(env or {})},
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return Result(
            tuple(command),
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    def start(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start with pipes on all three streams; the caller ends it (use ``with``)."""
        return subprocess.Popen(
            [self.program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **(env or {})},
        )

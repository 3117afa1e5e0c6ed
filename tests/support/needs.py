"""What a test needs of its machine: ``@pytest.mark.requires("root", "overlayfs")``.

A test whose needs are not met is skipped, and under ``CI=true`` fails unless the need is on the
list that the machine may lack: a green run of skipped tests would prove nothing.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

MAY_BE_MISSING = frozenset(
    {
        "xfs",
        "btrfs",
        "fuse",
        "ipv6",
        "cgroup2",
        "systemd",
        "selinux",
        "apparmor",
        "apparmor_parser",
        "network",
        "buildkit",
        "buildx",
        "compose-plugin",
    }
)


@functools.cache
def is_met(need: str) -> bool:
    """Whether the machine offers *need*: a known word, or a program of that name."""
    known: dict[str, Callable[[], bool]] = {
        "root": lambda: os.geteuid() == 0,
        "overlayfs": lambda: _has_filesystem("overlay"),
        "xfs": lambda: _has_filesystem("xfs") and shutil.which("mkfs.xfs") is not None,
        "btrfs": lambda: _has_filesystem("btrfs") and shutil.which("mkfs.btrfs") is not None,
        "fuse": Path("/dev/fuse").exists,
        "ipv6": Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").exists,
        "cgroup2": Path("/sys/fs/cgroup/cgroup.controllers").exists,
        "systemd": Path("/run/systemd/system").is_dir,
        "selinux": Path("/sys/fs/selinux/enforce").exists,
        "apparmor": Path("/sys/kernel/security/apparmor/profiles").exists,
        "buildkit": lambda: buildkit_client() is not None,
        "buildx": lambda: cli_plugin("docker-buildx") is not None,
        "compose-plugin": lambda: cli_plugin("docker-compose") is not None,
    }
    return known[need]() if need in known else shutil.which(need) is not None


def _has_filesystem(name: str) -> bool:
    if any(line.split()[-1] == name for line in Path("/proc/filesystems").read_text().splitlines()):
        return True
    modules = Path("/lib/modules") / os.uname().release
    return any(modules.glob(f"kernel/fs/{name}*/*.ko*"))


def cli_plugin(name: str) -> Path | None:
    """Return a plugin of the official client; ``MOOR_TEST_PLUGINS`` names a further directory."""
    places = [
        os.environ.get("MOOR_TEST_PLUGINS", ""),
        *(f"{base}/docker/cli-plugins" for base in ("/usr/libexec", "/usr/lib", "/usr/local/lib")),
        "/usr/local/libexec/docker/cli-plugins",
    ]
    found = (Path(place) / name for place in places if place)
    return next((path for path in found if os.access(path, os.X_OK)), None)


def buildkit_client() -> str | None:
    """Return a docker client that can ask a daemon for BuildKit: an old one, or with buildx."""
    for program in filter(None, (shutil.which("docker"), "/usr/bin/docker")):
        if not Path(program).exists():
            continue
        version = _said(program, "--version").removeprefix("Docker version ")
        if version.partition(".")[0] in {"19", "20"} or _said(program, "buildx", "version"):
            return program
    return None


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def unless_installed(module: str, *patterns: str) -> list[str]:
    """Return the tests to leave out where an environment is older than the lock; none in CI."""
    installed = importlib.util.find_spec(module) is not None
    return [] if installed or os.environ.get("CI") else list(patterns)

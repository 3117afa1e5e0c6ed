"""A Debian (or Ubuntu) root file system with programs, made of the packages this machine's apt has.

Sources, keys, certificates and proxies are the host's: nothing here says where packages come from.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

APT: Final = Path("/etc/apt")
# Left out when a package is unpacked: neither program nor test reads it.
UNWANTED: Final = (
    *("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/nodejs/@types/*"),
    *("/usr/bin/*-lto-dump*", "/usr/lib/gcc/*/*/lto1"),
)
_ACQUIRE: Final = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")
TIMEOUT_S: Final = 600
PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class NoPackages(Exception):
    """No source of packages can be reached."""


def bootstrap(archive: Path, packages: Sequence[str]) -> None:
    """Write a tar of a root file system with apt and *packages*. Raises: NoPackages."""
    command = ["mmdebstrap", "--mode=root", "--variant=apt", f"--include={','.join(packages)}"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED]
    command += ["--dpkgopt=force-unsafe-io", '--aptopt=APT::Install-Recommends "false"']
    command += [f"--aptopt={option}" for option in _acquire_options()]
    command += [f"--customize-hook={hook}" for hook in _trust()]
    done = subprocess.run(
        [*command, _release(), archive, *_sources()],
        capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    if "E: apt-get update" in done.stderr:
        raise NoPackages(done.stderr[-600:])
    assert done.returncode == 0, done.stderr[-3000:]


def proxy_arguments() -> list[str]:
    """Return the proxies of this process as arguments of a build."""
    return [word for name in PROXIES if os.environ.get(name) for word in ("--build-arg", name)]


def _release() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    return next(line for line in lines if line.startswith("VERSION_CODENAME=")).partition("=")[2]


def _sources() -> Iterator[Path]:
    for path in [APT / "sources.list", *sorted((APT / "sources.list.d").iterdir())]:
        if path.suffix in {".list", ".sources"} and path.is_file() and path.stat().st_size:
            yield path


def _acquire_options() -> list[str]:
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True)
    lines = (line.rstrip(";") for line in dump.stdout.splitlines())
    return [line for line in lines if line.startswith(_ACQUIRE) and not line.endswith(' ""')]


def _trust() -> Iterator[str]:
    """Yield what makes the new system trust what this one trusts."""
    for directory in ("/usr/share/keyrings", "/etc/apt/keyrings", "/etc/ssl/certs"):
        found = "ca-certificates.crt" if directory == "/etc/ssl/certs" else "*"
        if any(Path(directory).glob(found)):
            yield f'mkdir -p "$1{directory}" && cp -nL {directory}/{found} "$1{directory}/"'

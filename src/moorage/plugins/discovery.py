"""Where plugins are: sockets and specification files, as Docker looks for them.

::

    /run/docker/plugins/NAME.sock            a socket
    /run/docker/plugins/NAME/NAME.sock
    /etc/docker/plugins/NAME.spec            one line: unix:///path or tcp://host:port
    /etc/docker/plugins/NAME.json            {"Name": …, "Addr": …, "TLSConfig": {…}}
    /usr/lib/docker/plugins/…                the same two
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from moorage.lib.errors import InvalidParameter, NotFound
from moorage.lib.httpclient import TLS
from moorage.spec import gojson

SOCKET_DIRECTORIES: Final = (Path("/run/docker/plugins"), Path("/run/moorage/plugins"))
SPEC_DIRECTORIES: Final = (
    Path("/etc/docker/plugins"),
    Path("/usr/lib/docker/plugins"),
    Path("/etc/moorage/plugins"),
)
_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*\Z")
_SPEC_LIMIT: Final = 64 << 10


class PluginAddress(Struct, frozen=True, kw_only=True):
    """A plugin and where it listens."""

    name: str
    url: str  # what a method's path is appended to
    tls: TLS = TLS()


class _TLSConfig(Struct, frozen=True, rename="pascal"):
    insecure_skip_verify: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class _Spec(Struct, frozen=True, rename="pascal"):
    name: str = ""
    addr: str = ""
    tls_config: _TLSConfig | None = None


class Discovery:
    """Looks anew each time: plugins come and go while the daemon runs."""

    def __init__(
        self,
        sockets: Iterable[Path] = SOCKET_DIRECTORIES,
        specs: Iterable[Path] = SPEC_DIRECTORIES,
    ) -> None:
        self._sockets = tuple(sockets)
        self._specs = tuple(specs)

    def names(self) -> list[str]:
        """Return the names of all plugins there are files of."""
        found: set[str] = set()
        for directory in self._sockets:
            for entry in _entries(directory):
                if entry.suffix == ".sock" or _is_socket(entry / f"{entry.name}.sock"):
                    found.add(entry.stem if entry.suffix == ".sock" else entry.name)
        for directory in self._specs:
            found.update(e.stem for e in _entries(directory) if e.suffix in {".spec", ".json"})
        return sorted(name for name in found if _NAME.match(name))

    def find(self, name: str) -> PluginAddress:
        """Return where the plugin *name* listens.

        Raises: NotFound, with Docker's sentence; InvalidParameter (its file is of no use).
        """
        if not _NAME.match(name):
            raise NotFound(f'plugin "{name}" not found')
        for directory in self._sockets:
            for path in (directory / f"{name}.sock", directory / name / f"{name}.sock"):
                if _is_socket(path):
                    return PluginAddress(name=name, url=f"unix://{path}//")
        for directory in self._specs:
            for path in (directory / f"{name}.spec", directory / f"{name}.json"):
                if path.is_file():
                    return _read(name, path)
        raise NotFound(f'plugin "{name}" not found')


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _read(name: str, path: Path) -> PluginAddress:
    with path.open("rb") as file:
        content = file.read(_SPEC_LIMIT)
    if path.suffix == ".spec":
        return PluginAddress(name=name, url=_url(content.decode(errors="replace").strip(), path))
    spec = gojson.decode(content, _Spec)
    tls = TLS()
    if spec.tls_config is not None:
        config = spec.tls_config
        tls = TLS(
            verify=not config.insecure_skip_verify,
            authorities=(Path(config.ca_file),) if config.ca_file else (),
            clients=((Path(config.cert_file), Path(config.key_file)),) if config.cert_file else (),
        )
    return PluginAddress(name=name, url=_url(spec.addr, path), tls=tls)


def _url(address: str, path: Path) -> str:
    scheme, separator, rest = address.partition("://")
    if separator and rest and scheme == "unix":
        return f"unix://{rest}//"
    if separator and rest and scheme in {"tcp", "http", "https"}:
        return f"{'http' if scheme == 'tcp' else scheme}://{rest}".rstrip("/")
    raise InvalidParameter(f"{path}: {address!r} is no address of a plugin")

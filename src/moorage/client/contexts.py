"""Contexts: named endpoints in ``~/.docker/contexts``, byte-compatible with Docker's store.

::

    contexts/meta/<sha256 of the name>/meta.json     name, description, endpoints
    contexts/tls/<sha256 of the name>/docker/{ca,cert,key}.pem
"""

from __future__ import annotations

import posix

from moorage.client import files
from moorage.client.endpoint import Endpoint, Tls
from moorage.lib.errors import Conflict, InvalidParameter, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.jsonwire import Json

DEFAULT = "default"
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")
_NAME_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_NAME_REST = _NAME_START | frozenset("_.+-")


class Context:
    """One stored context."""

    def __init__(self, name: str, meta: Json, tls_directory: str) -> None:
        self.name = name
        self.meta = meta
        self.tls_directory = tls_directory

    @property
    def description(self) -> str:
        """The human's words for it."""
        return str((self.meta.get("Metadata") or {}).get("Description") or "")

    @property
    def docker(self) -> Json:
        """The docker endpoint's record."""
        found = (self.meta.get("Endpoints") or {}).get("docker")
        return found if isinstance(found, dict) else {}

    @property
    def host(self) -> str:
        """The docker endpoint's address."""
        return str(self.docker.get("Host") or "")

    def tls_files(self) -> dict[str, str]:
        """Return the stored certificate files by name."""
        folder = f"{self.tls_directory}/docker"
        paths = {name: f"{folder}/{name}" for name in TLS_FILES}
        return {name: path for name, path in paths.items() if files.exists(path)}

    def endpoint(self) -> Endpoint:
        """Return where this context leads."""
        files = self.tls_files()
        skip = bool(self.docker.get("SkipTLSVerify"))
        tls = None
        if files or skip:
            tls = Tls(
                ca=files.get("ca.pem"),
                cert=files.get("cert.pem"),
                key=files.get("key.pem"),
                verify=not skip,
            )
        return Endpoint(self.host, tls)


class ContextStore:
    """The contexts under one configuration directory."""

    def __init__(self, config_directory: str) -> None:
        self.root = f"{config_directory}/contexts"

    def get(self, name: str) -> Context:
        """Return the context *name*.

        Raises: NotFound, InvalidParameter.
        """
        from moorage.client import jsonwire

        path = f"{self._meta(name)}/meta.json"
        try:
            with open(path, "rb") as file:
                meta = jsonwire.decode(file.read())
        except FileNotFoundError as e:
            raise NotFound(
                f'context "{name}": context not found: open {path}: no such file or directory'
            ) from e
        except (OSError, ValueError) as e:
            raise InvalidParameter(f'context "{name}": {path} cannot be read: {e}') from e
        return Context(name, meta, self._tls(name))

    def list(self) -> list[Context]:
        """Return all contexts by name."""
        try:
            folders = posix.listdir(f"{self.root}/meta")
        except FileNotFoundError:
            return []
        from moorage.client import jsonwire

        found: list[Context] = []
        for folder in folders:
            try:
                with open(f"{self.root}/meta/{folder}/meta.json", "rb") as file:
                    meta = jsonwire.decode(file.read())
            except FileNotFoundError:
                continue
            found.append(Context(str(meta["Name"]), meta, f"{self.root}/tls/{folder}"))
        return sorted(found, key=lambda context: context.name)

    def exists(self, name: str) -> bool:
        """Tell whether *name* is stored."""
        return files.exists(f"{self._meta(name)}/meta.json")

    def put(self, meta: Json, tls: dict[str, bytes] | None) -> None:
        """Create or replace a context; *tls* None leaves its certificates as they are."""
        from moorage.client import jsonwire

        name = str(meta["Name"])
        _write(self._meta(name), "meta.json", jsonwire.encode(meta).encode(), 0o644)
        if tls is None:
            return
        folder = f"{self._tls(name)}/docker"
        for file in TLS_FILES:
            if file in tls:
                _write(folder, file, tls[file], 0o600, folder_mode=0o700)
            elif files.exists(f"{folder}/{file}"):
                posix.unlink(f"{folder}/{file}")

    def create(self, meta: Json, tls: dict[str, bytes]) -> None:
        """Store a new context.

        Raises: Conflict, InvalidParameter (name).
        """
        name = str(meta["Name"])
        check_name(name)
        if self.exists(name):
            raise Conflict(f'context "{name}" already exists')
        self.put(meta, tls)

    def remove(self, name: str) -> None:
        """Remove a context and its certificates.

        Raises: NotFound.
        """
        self.get(name)
        for folder, names in (
            (f"{self._tls(name)}/docker", TLS_FILES),
            (self._tls(name), ()),
            (self._meta(name), ("meta.json",)),
        ):
            for file in names:
                if files.exists(f"{folder}/{file}"):
                    posix.unlink(f"{folder}/{file}")
            if files.is_directory(folder):
                posix.rmdir(folder)

    def _meta(self, name: str) -> str:
        return f"{self.root}/meta/{_folder(name)}"

    def _tls(self, name: str) -> str:
        return f"{self.root}/tls/{_folder(name)}"


def _folder(name: str) -> str:
    from moorage.client.hashing import sha256

    return sha256(name.encode())


def check_name(name: str) -> None:
    """Refuse what Docker refuses.

    Raises: InvalidParameter.
    """
    if name == DEFAULT:
        raise InvalidParameter('"default" is a reserved context name')
    fits = len(name) > 1 and name[0] in _NAME_START and all(c in _NAME_REST for c in name)
    if not fits:
        raise InvalidParameter(
            f'context name "{name}" is invalid, names are validated against regexp '
            '"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"'
        )


def _write(folder: str, name: str, content: bytes, mode: int, *, folder_mode: int = 0o755) -> None:
    files.make_directories(folder, folder_mode)
    temporary = f"{folder}/.{name}.{posix.getpid()}"
    descriptor = posix.open(temporary, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
    posix.rename(temporary, f"{folder}/{name}")

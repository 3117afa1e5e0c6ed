"""``config.json``: formats, detach keys, credentials, proxies, the current context.

The file is Docker's and shared with it: unknown keys survive a save, and a save replaces the file
in one rename, following a symbolic link to it.
"""

from __future__ import annotations

import posix

from moorage.client import files
from moorage.lib.errors import InvalidParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.jsonwire import Json

PRIVATE = 0o600


class ConfigFile:
    """The client's configuration; an absent file is an empty one."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.path = f"{directory}/config.json"
        self.broken = ""  # why the file cannot be read; it is taken as empty then
        self.values: Json = self._load()

    def text(self, key: str) -> str:
        """Return a string setting, empty if it is not set."""
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def table(self, key: str) -> Json:
        """Return an object setting, empty if it is not set."""
        value = self.values.get(key)
        return value if isinstance(value, dict) else {}

    def save(self) -> None:
        """Write the file as Docker does: indented with tabs, mode 0600.

        Raises: InvalidParameter (what is there could not be read, and would be lost), OSError.
        """
        if self.broken:
            raise InvalidParameter(f"{self.path} is not overwritten: {self.broken}")
        import os

        from moorage.client import jsonwire

        files.make_directories(self.directory, 0o700)
        target = os.path.realpath(self.path)
        temporary = f"{target}.{os.getpid()}.tmp"
        text = jsonwire.indent(jsonwire.encode(self.values), "\t")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            os.rename(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise

    def _load(self) -> Json:
        try:
            descriptor = posix.open(self.path, posix.O_RDONLY | posix.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                text = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as e:
            self.broken = (e.strerror or str(e)).lower()
            return {}
        from moorage.client import jsonwire

        try:
            values = jsonwire.decode(text) if text.strip() else {}
        except ValueError as e:
            self.broken = str(e)
            return {}
        if not isinstance(values, dict):
            self.broken = "not a JSON object"
            return {}
        return values

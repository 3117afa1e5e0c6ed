"""The directories of CDI files: read at each use, parsed again only where a file has changed."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from moorage.cdi import catalogue, guarded, reading
from moorage.lib.errors import Forbidden, InvalidParameter

if TYPE_CHECKING:
    from moorage.cdi.catalogue import Catalogue, Found
    from moorage.spec.cdi import Specification

DEFAULT: Final = ("/etc/cdi", "/var/run/cdi")  # the specification's; later ones count more
_MAX_BYTES: Final = 8 << 20

_Stamp = tuple[int, ...]


class Directories:
    """Where vendors put their files. None at all: CDI is switched off.

    ``<directory>/<any name>.json`` or ``.yaml``; directories in them are not looked into.
    *lock* guards what is remembered of files: requests and builds ask from several threads.
    """

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self.paths = tuple(paths)
        self._lock = threading.Lock()
        self._parsed: dict[str, tuple[_Stamp, Specification]] = {}

    def read(self) -> Catalogue:
        """Return the devices there are now. Blocks in the files of the host.

        What is wrong with a file leaves the others usable; the catalogue says it.
        """
        if not self.paths:
            return catalogue.Catalogue()
        found: list[Found] = []
        errors: dict[str, list[str]] = {}
        with self._lock:
            before, self._parsed = self._parsed, {}
            for priority, directory in enumerate(self.paths):
                try:
                    listed = list(_files(directory))
                except FileNotFoundError:
                    continue
                except (OSError, Forbidden) as error:
                    errors[directory] = [_said(error)]
                    continue
                for path in listed:
                    try:
                        found.append(catalogue.Found(path, priority, self._document(path, before)))
                    except FileNotFoundError:
                        continue  # has gone since it was listed
                    except (OSError, Forbidden, InvalidParameter) as error:
                        errors[path] = [_said(error)]
        return catalogue.build(found, errors)

    def _document(
        self, path: str, before: dict[str, tuple[_Stamp, Specification]]
    ) -> Specification:
        fd = guarded.open_guarded(path, os.O_RDONLY)
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise InvalidParameter("not a regular file")
            stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns,
                     status.st_ctime_ns)  # fmt: skip
            known = before.get(path)
            if known is None or known[0] != stamp:
                text = file.read(_MAX_BYTES + 1)
                if len(text) > _MAX_BYTES:
                    raise InvalidParameter(f"larger than {_MAX_BYTES} bytes")
                known = (stamp, reading.parse(text, yaml=path.endswith(".yaml")))
            self._parsed[path] = known
        return known[1]


def _files(directory: str) -> Iterator[str]:
    fd = guarded.open_guarded(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        names = sorted(os.listdir(fd))
    finally:
        os.close(fd)
    for name in names:
        path = os.path.join(directory, name)
        if name.endswith(reading.SUFFIXES) and not os.path.isdir(path):
            yield path


def _said(error: OSError | Forbidden | InvalidParameter) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)

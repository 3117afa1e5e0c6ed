"""The two ends of a copy, and what the destination's name becomes (docker's and cp's rules)."""

from __future__ import annotations

import posix

from moorage.cli.failure import CommandError
from moorage.client import files
from moorage.lib.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.api import Api

GO_DIRECTORY = 1 << 31
GO_SYMLINK = 1 << 27
_KIND, _LINK, _DIRECTORY = 0o170000, 0o120000, 0o040000


class Place:
    """A path at one end: whether it exists, and what it is."""

    def __init__(self, path: str, *, exists: bool, is_directory: bool, link: str = "") -> None:
        self.path = path
        self.exists = exists
        self.is_directory = is_directory
        self.link = link  # where a symbolic link leads

    @property
    def wants_directory(self) -> bool:
        """Whether the path is spelt as a directory's."""
        return self.path.endswith(("/", "/."))

    @property
    def contents_only(self) -> bool:
        """Whether what lies inside the directory is meant, not the directory."""
        return self.path.endswith("/.") or self.path == "."

    @property
    def base(self) -> str:
        """The last component of the name."""
        return files.base(self.path)

    @property
    def directory(self) -> str:
        """The directory it lies in."""
        above, slash, _ = files.normal(self.path).rpartition("/")
        return above or slash or "."


def split(argument: str) -> tuple[str, str]:
    """Split ``CONTAINER:PATH``; the container is empty for a path of this machine."""
    if argument.startswith("/"):
        return "", argument
    container, colon, path = argument.partition(":")
    if not colon or container.startswith("."):
        return "", argument
    return container, path


def local(path: str, *, follow: bool) -> Place:
    """Look at a path of this machine."""
    try:
        kind = posix.lstat(path).st_mode & _KIND
        if kind == _LINK and (follow or path.endswith(("/", "/."))):
            kind = posix.stat(path).st_mode & _KIND
    except FileNotFoundError:
        return Place(path, exists=False, is_directory=False)
    return Place(path, exists=True, is_directory=kind == _DIRECTORY)


def remote(api: Api, container: str, path: str) -> Place:
    """Look at a path of a container."""
    try:
        response = api.request("HEAD", f"/containers/{container}/archive", {"path": path})
    except NotFound:
        api.get(f"/containers/{container}/json")  # no such container is worth its own message
        return Place(path, exists=False, is_directory=False)
    from binascii import a2b_base64

    from moorage.client import jsonwire

    encoded = response.headers.get("x-docker-container-path-stat", "")
    found = jsonwire.decode(a2b_base64(encoded))
    link = found["linkTarget"] if found["mode"] & GO_SYMLINK else ""
    return Place(path, exists=True, is_directory=bool(found["mode"] & GO_DIRECTORY), link=link)


def follow_remote(api: Api, container: str, place: Place) -> Place:
    """Return where a link in a container leads."""
    if not place.link:
        return place
    target = place.link
    if not target.startswith("/"):
        target = f"{place.directory}/{target}"
    return remote(api, container, target)


def destination(source: Place, target: Place) -> tuple[str, str]:
    """Return the directory to write into and the name the source gets there; "." for contents.

    Raises: CommandError.
    """
    if target.exists and target.is_directory:
        name = "." if source.contents_only and source.is_directory else source.base
        return target.path, name
    if target.exists and source.is_directory:
        raise CommandError("cannot copy directory")
    if target.wants_directory and not source.is_directory:
        kind = "not a directory" if target.exists else "no such directory"
        raise CommandError(kind)
    return target.directory, target.base

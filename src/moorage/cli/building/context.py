"""A directory of this machine as a build context: its files described, and those wanted packed.

Links are described as links and never followed, so nothing outside of the directory is read;
sockets, devices and pipes are left out. What ``.dockerignore`` excludes does not exist.
"""

from __future__ import annotations

import posix

from moorage.cli.copying import tarheader
from moorage.client.hashing import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from moorage.build.ignore import Matcher

Fact = tuple[str, int, int, int, str]  # path, mode, size, mtime in ns, link target

_CHUNK = 1 << 20
_KIND, _MODE = 0o170000, 0o7777
_KINDS = {
    0o100000: tarheader.REGULAR,
    0o040000: tarheader.DIRECTORY,
    0o120000: tarheader.SYMLINK,
}


class Tree:
    """The files of a directory."""

    def __init__(self, root: str, matcher: Matcher | None) -> None:
        self.root = root
        self.facts: list[Fact] = []
        self._walk("", matcher)

    def _walk(self, directory: str, matcher: Matcher | None) -> None:
        top = f"{self.root}/{directory}"
        with posix.scandir(top) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            path = f"{directory}/{entry.name}" if directory else entry.name
            status = entry.stat(follow_symlinks=False)
            kind = _KINDS.get(status.st_mode & _KIND)
            if kind is None:
                continue
            if matcher is None or not matcher.excludes(path):
                link = posix.readlink(entry.path) if kind == tarheader.SYMLINK else ""
                size = status.st_size if kind == tarheader.REGULAR else 0
                self.facts.append((path, status.st_mode, size, status.st_mtime_ns, link))
            if kind == tarheader.DIRECTORY and not (matcher is not None and matcher.prunes(path)):
                self._walk(path, matcher)

    def pack(self, wanted: Iterable[str]) -> Iterator[bytes]:
        """Yield the tar of the files *wanted*, each as long as it was described.

        Raises: OSError (a file vanished or is not readable).
        """
        chosen = set(wanted)
        for fact in self.facts:
            if fact[0] in chosen:
                yield from self._member(fact)
        yield tarheader.END

    def _member(self, fact: Fact) -> Iterator[bytes]:
        path, mode, size, mtime_ns, link = fact
        kind = _KINDS[mode & _KIND]
        member = tarheader.Member(_bytes(path), kind, mode & _MODE)
        member.size, member.link = size, _bytes(link)
        member.mtime_ns = mtime_ns - mtime_ns % 1_000_000_000
        yield member.header()
        if kind != tarheader.REGULAR:
            return
        left = size
        with open(f"{self.root}/{path}", "rb", buffering=0) as file:
            while left and (chunk := file.read(min(left, _CHUNK))):
                left -= len(chunk)
                yield chunk
        if left:
            yield bytes(left)  # it shrank: the next build will see the change
        yield tarheader.padding(size)


def ignore_rules(root: str, dockerfile: str) -> Matcher | None:
    """Return what ``NAME.dockerignore``, or else ``.dockerignore``, leaves out.

    Raises: InvalidParameter (a malformed pattern).
    """
    for path in (f"{dockerfile}.dockerignore", f"{root}/.dockerignore"):
        try:
            with open(path, "rb") as file:
                text = file.read()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not text.strip():
            return None
        from moorage.build.ignore import Matcher, parse

        patterns = parse(text)
        return Matcher(patterns) if patterns else None
    return None


def key_of(root: str) -> str:
    """Return what this machine's directory is known by at the daemon, from build to build."""
    try:
        with open("/etc/machine-id", "rb") as file:
            machine = file.read().strip()
    except OSError:
        machine = posix.uname().nodename.encode()
    return sha256(b"%b\0%b" % (machine, _real_path(root)))[:40]


def _real_path(directory: str) -> bytes:
    """Return the name of *directory* without links, which the kernel knows of what is open."""
    descriptor = posix.open(directory, posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
    try:
        return posix.readlink(b"/proc/self/fd/%d" % descriptor)
    finally:
        posix.close(descriptor)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")

"""A directory of this machine as a build context: its files described, and those wanted packed.

Links are described as links and never followed, so nothing outside of the directory is read;
sockets, devices and pipes are left out. What ``.dockerignore`` excludes does not exist.
"""

from __future__ import annotations

import os
import stat

from moorage.build.ignore import Matcher, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Fact = tuple[str, int, int, int, str]  # path, mode, size, mtime in ns, link target

_BLOCK = 512
_CHUNK = 1 << 20
_NAME_BYTES = 100


class Tree:
    """The files of a directory."""

    def __init__(self, root: str, matcher: Matcher | None) -> None:
        self.root = root
        self.facts: list[Fact] = []
        self._walk("", matcher)

    def _walk(self, directory: str, matcher: Matcher | None) -> None:
        top = os.path.join(self.root, directory)
        with os.scandir(top) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            path = f"{directory}/{entry.name}" if directory else entry.name
            status = entry.stat(follow_symlinks=False)
            kind = stat.S_IFMT(status.st_mode)
            if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                continue
            if matcher is None or not matcher.excludes(path):
                link = os.readlink(entry.path) if kind == stat.S_IFLNK else ""
                size = status.st_size if kind == stat.S_IFREG else 0
                self.facts.append((path, status.st_mode, size, status.st_mtime_ns, link))
            if kind == stat.S_IFDIR and not (matcher is not None and matcher.prunes(path)):
                self._walk(path, matcher)

    def pack(self, wanted: Iterable[str]) -> Iterator[bytes]:
        """Yield the tar of the files *wanted*, each as long as it was described.

        Raises: OSError (a file vanished or is not readable).
        """
        chosen = set(wanted)
        for fact in self.facts:
            if fact[0] in chosen:
                yield from self._member(fact)
        yield bytes(2 * _BLOCK)

    def _member(self, fact: Fact) -> Iterator[bytes]:
        path, mode, size, mtime_ns, link = fact
        kind = {stat.S_IFDIR: b"5", stat.S_IFLNK: b"2"}.get(stat.S_IFMT(mode), b"0")
        yield header(path, kind, stat.S_IMODE(mode), size, mtime_ns // 1_000_000_000, link)
        if kind != b"0":
            return
        left = size
        with open(os.path.join(self.root, path), "rb", buffering=0) as file:
            while left and (chunk := file.read(min(left, _CHUNK))):
                left -= len(chunk)
                yield chunk
        if left:
            yield bytes(left)  # it shrank: the next build will see the change
        yield bytes(-size % _BLOCK)


def header(  # noqa: PLR0917 - the fields of a header, in its order
    path: str, kind: bytes, mode: int, size: int, mtime: int, link: str = ""
) -> bytes:
    """Return the header of one member, with an extended one before it where that is needed."""
    name, target = os.fsencode(path), os.fsencode(link)
    records: list[bytes] = []
    if len(name) > _NAME_BYTES:
        records.append(_record(b"path", name))
    if len(target) > _NAME_BYTES:
        records.append(_record(b"linkpath", target))
    if size >= 8**11:
        records.append(_record(b"size", str(size).encode()))
    prefix = b""
    if records:
        body = b"".join(records)
        prefix = _block(b"pax", b"x", 0o644, len(body), 0, b"") + body + bytes(-len(body) % _BLOCK)
    return prefix + _block(
        name[:_NAME_BYTES], kind, mode, size if size < 8**11 else 0, mtime, target[:_NAME_BYTES]
    )


def _record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    total = length + len(str(length))
    total = length + len(str(total))
    return b"%d %s=%s\n" % (total, key, value)


def _block(  # noqa: PLR0917
    name: bytes, kind: bytes, mode: int, size: int, mtime: int, link: bytes
) -> bytes:
    block = bytearray(_BLOCK)
    block[0 : len(name)] = name
    block[100:108] = b"%07o\0" % mode
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % max(mtime, 0)
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157 : 157 + len(link)] = link
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def ignore_rules(root: str, dockerfile: str) -> Matcher | None:
    """Return what ``NAME.dockerignore``, or else ``.dockerignore``, leaves out.

    Raises: InvalidParameter (a malformed pattern).
    """
    for path in (f"{dockerfile}.dockerignore", os.path.join(root, ".dockerignore")):
        try:
            with open(path, "rb") as file:
                patterns = parse(file.read())
        except (FileNotFoundError, NotADirectoryError):
            continue
        return Matcher(patterns) if patterns else None
    return None


def key_of(root: str) -> str:
    """Return what this machine's directory is known by at the daemon, from build to build."""
    import hashlib

    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            machine = file.read().strip()
    except OSError:
        machine = os.uname().nodename
    return hashlib.sha256(f"{machine}\0{os.path.realpath(root)}".encode()).hexdigest()[:40]

"""A log file that is replaced when it is full: ``max-size``, ``max-file``, ``compress``."""

from __future__ import annotations

from moor_shim.bare import TYPE_CHECKING, exit_now, os, suppress
from moor_shim.children import Children

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_UNITS: Final = "kmgtp"
_COMPRESS_CHUNK: Final = 1 << 18


def parse_size(text: str) -> int:
    """Return the bytes of ``20m``; -1 is no limit.

    Raises: ValueError.
    """
    if text == "-1":
        return -1
    number = text.strip().lower().removesuffix("b").removesuffix("i")
    power = _UNITS.find(number[-1:]) + 1 if number[-1:] else 0
    whole, point, fraction = (number[:-1].rstrip() if power else number.rstrip()).partition(".")
    if not whole.isdecimal() or (point and not fraction.isdecimal()):
        raise ValueError(f"invalid size: '{text}'")
    return int(float(f"{whole}.{fraction or 0}") * 1024**power)


class RotatingFile:
    """``path`` and its older generations ``path.1[.gz]``, ``path.2[.gz]`` and so on.

    A write that fails (disk full) is dropped and leaves no torn record; writing goes on when
    there is room again. Compression runs in a fork, so the process is not held up by it.
    """

    def __init__(
        self, path: str, *, max_size: int, max_files: int, compress: bool, children: Children
    ) -> None:
        self._path = path
        self._max_size = max_size  # bytes; -1 = no limit
        self._max_files = max(1, max_files)
        self._compress = compress
        self._children = children
        self._compressor = 0
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o640)
        self._size = os.fstat(self._fd).st_size

    def write(self, batch: bytes, records: Callable[[], list[bytes]]) -> None:
        """Append *batch*; *records* cuts it, asked only where a rotation falls inside."""
        if self._max_size < 0 or self._size + len(batch) <= self._max_size:
            self._append(batch)
            return
        for record in records():
            if self._size and self._size + len(record) > self._max_size:
                self._rotate()
            self._append(record)

    def _append(self, record: bytes) -> None:
        with suppress(OSError):
            written = os.write(self._fd, record)
            if written == len(record):
                self._size += written
            else:  # a torn one is taken back; others may have cut the file meanwhile
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)

    def _rotate(self) -> None:
        """Move every generation one further; errors leave the current file in use."""
        if self._compressor:
            self._children.wait(self._compressor)
            self._compressor = 0
        try:
            if self._max_files == 1:
                os.ftruncate(self._fd, 0)
            else:
                self._shift()
                old = self._fd
                self._open()
                os.close(old)
        except OSError:
            return
        self._size = os.fstat(self._fd).st_size
        if self._compress and self._max_files > 1:
            self._start_compressor()

    def _shift(self) -> None:
        self._date()
        for n in range(self._max_files - 1, 1, -1):
            for suffix in ("", ".gz"):
                older, newer = f"{self._path}.{n}{suffix}", f"{self._path}.{n - 1}{suffix}"
                with suppress(FileNotFoundError):
                    os.unlink(older)
                with suppress(FileNotFoundError):
                    os.rename(newer, older)
        os.rename(self._path, f"{self._path}.1")

    def _date(self) -> None:
        """Let the file's time be after its predecessor's: readers go by it, and clocks are set."""
        with suppress(OSError):
            last = max(map(_modified_ns, (f"{self._path}.1", f"{self._path}.1.gz")))
            if os.fstat(self._fd).st_mtime_ns <= last:
                os.utime(self._fd, ns=(last, last + 1))

    def _start_compressor(self) -> None:
        try:
            pid = os.fork()
        except OSError:
            return  # the file stays as it is: readers take both
        if pid:
            self._compressor = pid
            self._children.adopt(pid)
            return
        try:
            compress_file(f"{self._path}.1")
        finally:
            exit_now(0)

    def close(self) -> None:
        """Close; a compressor still at work ends by itself."""
        os.close(self._fd)


def _modified_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return -1


def compress_file(path: str) -> None:
    """Replace *path* by ``path.gz``, which appears whole or not at all."""
    import zlib  # noqa: PLC0415 - only in the fork that needs it

    temporary = f"{path}.gz.tmp"
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)  # 31: gzip framing
    try:
        with open(path, "rb") as source, open(temporary, "wb") as target:
            os.fchmod(target.fileno(), 0o640)
            while chunk := source.read(_COMPRESS_CHUNK):
                target.write(packer.compress(chunk))
            target.write(packer.flush())
            written = os.fstat(source.fileno())
        os.utime(temporary, ns=(written.st_atime_ns, written.st_mtime_ns))  # readers go by it
        os.rename(temporary, f"{path}.gz")
        os.unlink(path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)


def from_options(
    path: str, options: dict[str, str], children: Children, *, defaults: tuple[str, str, str]
) -> RotatingFile:
    """Open the file with the user's options; *defaults* are max-size, max-file, compress.

    Raises: ValueError, OSError.
    """
    max_files = int(options.get("max-file") or defaults[1])
    return RotatingFile(
        path,
        max_size=parse_size(options.get("max-size") or defaults[0]),
        max_files=max_files,
        compress=(options.get("compress") or defaults[2])
        in {"true", "1", "t", "T", "TRUE", "True"},
        children=children,
    )

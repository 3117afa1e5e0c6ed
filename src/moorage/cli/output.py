"""Standard output and error as bytes, written in few system calls and flushed when it matters."""

from __future__ import annotations

import posix

FLUSH_AT = 64 * 1024


class Output:
    """A buffered descriptor; a terminal sees every write at once."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.is_terminal = posix.isatty(descriptor)
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, text: str) -> None:
        """Write text, names from the file system included as they are."""
        self.write_bytes(text.encode("utf-8", "surrogateescape"))

    def line(self, text: str = "") -> None:
        """Write a line."""
        self.write(text + "\n")

    def write_bytes(self, data: bytes) -> None:
        """Write bytes."""
        self._waiting.append(data)
        self._size += len(data)
        if self.is_terminal or self._size >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the kernel.

        Raises: BrokenPipeError when nobody reads any more.
        """
        data = memoryview(b"".join(self._waiting))
        self._waiting.clear()
        self._size = 0
        while data:
            try:
                data = data[posix.write(self.descriptor, data) :]
            except BlockingIOError:  # a descriptor that somebody else made non-blocking
                import select

                select.select((), (self.descriptor,), ())

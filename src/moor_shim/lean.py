"""Files, sockets and descriptors without the comfort that would cost every monitor memory.

A monitor shares the zygote's pages until it touches them, and Python touches an object by using
it. The enums of ``signal`` and ``socket``, ``open``, and ``os.environ`` lie spread over hundreds of
kilobytes; the calls below them do not.
"""

from __future__ import annotations

import _socket
import sys

from moor_shim.bare import TYPE_CHECKING, os, prctl, suppress

if TYPE_CHECKING:
    from typing import Final, TypeAlias

Socket: TypeAlias = _socket.socket

AF_UNIX: Final = _socket.AF_UNIX
SOCK_STREAM: Final = _socket.SOCK_STREAM
SOCK_SEQPACKET: Final = _socket.SOCK_SEQPACKET

_PR_SET_NAME: Final = 15  # linux/prctl.h
_READ_SIZE: Final = 65536
_INT: Final = 4  # bytes of a descriptor in a control message
MAX_FDS: Final = 16  # of one message
_ORDER: Final = sys.byteorder


def read(path: str) -> bytes:
    """Return the whole of a file.

    Raises: OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = b""
        while chunk := os.read(fd, _READ_SIZE):
            content += chunk
        return content
    finally:
        os.close(fd)


def replace(path: str, content: bytes) -> None:
    """Write a small file that appears whole, in this process's directory; failures are swallowed.

    The directory may have been removed, or the disk be full: the monitor has nobody to tell.
    """
    temporary = f".{path}"
    with suppress(OSError):
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)
        os.rename(temporary, path)


def take_name(name: bytes) -> None:
    """Be called *name*, of at most 15 bytes, in lists of processes."""
    prctl(_PR_SET_NAME, name)


def write_if_allowed(path: str, content: bytes) -> None:
    """Write to a file of the kernel; without the right to, nothing happens."""
    with suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)


def append(path: str, text: str) -> None:
    """Add *text* to a file; failures are swallowed."""
    with suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def append_traceback(path: str) -> None:
    """Add the exception being handled to a file; failures are swallowed."""
    import traceback  # noqa: PLC0415 - needed only by a monitor in trouble

    append(path, traceback.format_exc())


def listen(path: str, backlog: int) -> Socket:
    """Return a socket of the filesystem that does not block."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    listener = _socket.socket(AF_UNIX, SOCK_STREAM)
    listener.bind(path)
    listener.listen(backlog)
    listener.setblocking(False)  # noqa: FBT003 - the parameter has no name
    return listener


def accept(listener: Socket) -> Socket:
    """Accept one connection.

    Raises: OSError.
    """
    fd, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - as socket.accept
    return _socket.socket(fileno=fd)


def send(connection: Socket, content: bytes, fds: tuple[int, ...]) -> int:
    """Send *content*, with descriptors if there are any; return the bytes sent."""
    if not fds:
        return connection.send(content)
    packed = b"".join(fd.to_bytes(_INT, _ORDER) for fd in fds)
    return connection.sendmsg([content], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])


def receive(connection: Socket, size: int) -> tuple[bytes, list[int]]:
    """Receive at most *size* bytes and the descriptors that come with them."""
    content, controls, _, _ = connection.recvmsg(
        size, _socket.CMSG_LEN(MAX_FDS * _INT), _socket.MSG_CMSG_CLOEXEC
    )
    fds = [
        int.from_bytes(packed[at : at + _INT], _ORDER)
        for level, kind, packed in controls
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for at in range(0, len(packed) - len(packed) % _INT, _INT)
    ]
    return content, fds

"""A file system that hangs, as NFS does whose server is away: FUSE, spoken by hand.

Its root can be looked at, so it can be mounted; whoever asks for anything in it waits until
``give_up``, in a sleep that no signal ends.
"""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from moorage.kernel import mount as k

_HEAD = struct.Struct("=IIQQ")  # length, operation, request, node (linux/fuse.h: fuse_in_header)
_REPLY = struct.Struct("=IiQ")  # length, error, request
_GETATTR = 3
_INIT = 26
_ROOT_NODE = 1
_INIT_REPLY = struct.pack("=IIIIHHIIHHI28x", 7, 31, 0, 0, 12, 10, 1 << 16, 1, 0, 0, 0)
_ROOT_ATTRIBUTES = struct.pack(
    "=QII6Q10I", 0, 0, 0, _ROOT_NODE, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0
)


class HungFileSystem:
    """Mounted at *path* for its lifetime."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._asked = threading.Event()
        self._fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._fd},rootmode=40000,user_id=0,group_id=0,allow_other"
        k.mount("hung", path, "fuse", 0, options)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._fd, 1 << 17)
            except OSError as error:
                if error.errno in {errno.EINTR, errno.ENOENT}:  # the asker was killed meanwhile
                    continue
                return  # unmounted
            _, operation, number, node = _HEAD.unpack_from(request)
            if operation == _INIT:
                self._reply(number, _INIT_REPLY)
            elif operation == _GETATTR and node == _ROOT_NODE:
                self._reply(number, _ROOT_ATTRIBUTES)
            else:
                self._asked.set()

    def _reply(self, number: int, body: bytes) -> None:
        with suppress(OSError):
            os.write(self._fd, _REPLY.pack(_REPLY.size + len(body), 0, number) + body)

    def wait_asked(self) -> None:
        """Wait until somebody hangs."""
        assert self._asked.wait(20), "nobody has asked for anything"

    def give_up(self) -> None:
        """Fail whatever hangs, and everything later."""
        subprocess.run(["umount", "-f", "-l", self.path], capture_output=True, check=False)
        self._thread.join(10)


@contextmanager
def hung(path: Path) -> Iterator[HungFileSystem]:
    """Mount one at *path*, which is made; at the end nobody hangs any more."""
    path.mkdir()
    mounted = HungFileSystem(path)
    try:
        yield mounted
    finally:
        mounted.give_up()
        os.close(mounted._fd)  # noqa: SLF001 - its maker

"""nftables through libnftables in this process: one call, one atomic transaction.

Commands are nft's own language, not JSON: the same bytes a person would type, and quicker to parse.
Whoever builds them puts in nothing but addresses, numbers and names of its own making.
"""

from __future__ import annotations

import ctypes
import errno
import threading
from typing import Final

from moorage.kernel.closerange import CLOSE_RANGE_UNSHARE, LAST, close_range
from moorage.lib.errors import System
from moorage.lib.failpoint import failpoint
from moorage.lib.offload import Threads

_LIBRARY: Final = "libnftables.so.1"
_OUTPUT_JSON: Final = 1 << 4
_OUTPUT_NUMERIC: Final = (1 << 6) | (1 << 7) | (1 << 8)


class NftError(System):
    """libnftables refused a transaction; nothing of it was applied."""


_LOCK: Final = threading.Lock()  # the library keeps names of links and more for all contexts


class Nft:
    """A libnftables context; its netlink socket stays in the opening thread's namespace.

    One thread at a time is in the library, whichever context it uses: it is not safe otherwise.
    It waits with select(2), and glibc ends a process that does so for a descriptor above 1023, of
    which a daemon of a thousand containers or clients has nothing else to give. So the context
    lives in a thread with a table of descriptors of its own.
    *greeting* is run before anything else on every socket, so that whoever watches the kernel's
    notifications can tell the changes of this context from those of others.
    """

    def __init__(self, greeting: str = "") -> None:
        self._greeting = greeting
        self._greeted = False
        self._library = _library()
        self._closed = False
        self._thread: Threads | None = None
        self._context: int | None = None
        with _LOCK:
            self._open()

    def close(self) -> None:
        """Free the context; safe to call twice."""
        with _LOCK:
            self._closed = True
            self._free()

    def rest(self) -> None:
        """Free the context's three megabytes until the next command, in whose thread it opens."""
        with _LOCK:
            self._free()

    def run(self, commands: str, *, json: bool = False) -> str:
        """Apply *commands* all or nothing; return what they print.

        Raises: NftError with the library's own words.
        """
        with _LOCK:
            if self._closed:
                raise NftError("nftables is closed")
            thread = self._thread or self._open()
            failpoint("netlink.nft.run")
            return thread.submit(self._run, commands, json=json).result()

    def _open(self) -> Threads:
        """Make the thread, in the network namespace of this one, and in it the context."""
        thread = Threads(1, "moorage-nft", initializer=_own_descriptors)
        try:
            thread.submit(self._make_context).result()
        except BaseException:
            thread.shutdown()
            raise
        self._thread = thread
        return thread

    def _free(self) -> None:
        if self._thread is not None:
            self._thread.submit(self._free_context).result()
            self._thread.shutdown()
            self._thread = None

    # -- in the thread ---------------------------------------------------------------------------

    def _make_context(self) -> None:
        self._context = self._library.nft_ctx_new(0)
        if self._context is None:
            raise System("cannot set up libnftables")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def _free_context(self) -> None:
        self._library.nft_ctx_free(self._context)
        self._context = None
        self._greeted = False

    def _run(self, commands: str, *, json: bool) -> str:
        if self._greeting and not self._greeted:
            self._execute(self._greeting, json=False)
            self._greeted = True
        return self._execute(commands, json=json)

    def _execute(self, commands: str, *, json: bool) -> str:
        context = self._context
        flags = _OUTPUT_JSON if json else _OUTPUT_NUMERIC
        self._library.nft_ctx_output_set_flags(context, flags)
        failed = self._library.nft_run_cmd_from_buffer(context, commands.encode())
        output = self._library.nft_ctx_get_output_buffer(context)
        complaint = self._library.nft_ctx_get_error_buffer(context)
        if failed:
            text = (complaint or b"").decode(errors="replace").strip()
            raise NftError(f"nftables: {text}")
        return (output or b"").decode(errors="replace")


def _own_descriptors() -> None:
    """Give this thread a table of descriptors of its own, with the standard ones alone in it."""
    close_range(3, LAST, CLOSE_RANGE_UNSHARE)


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY, use_errno=True)
    except OSError as error:
        raise System(
            f"cannot load {_LIBRARY}: {error.strerror or error}",
            hint="apt-get install libnftables1",
        ) from error
    context = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_new.restype = context
    library.nft_ctx_free.argtypes = [context]
    library.nft_ctx_free.restype = None
    library.nft_ctx_output_set_flags.argtypes = [context, ctypes.c_uint]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [context]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [context]
        getattr(library, name).restype = ctypes.c_char_p
    return library


def is_missing(error: NftError) -> bool:
    """Whether a transaction failed because something it names does not exist."""
    return errno.errorcode[errno.ENOENT] in error.message or "No such file" in error.message

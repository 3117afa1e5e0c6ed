"""A server of the tests' own that answers from a thread for as long as its context lasts."""

from __future__ import annotations

import socketserver
import threading
from typing import Self


class Serving:
    """Serves *server*, each request in a thread that keeps nobody waiting. Use with ``with``."""

    def __init__(self, server: socketserver.BaseServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

"""An HTTP proxy that knows one place, whatever it is asked for: names need not exist."""

from __future__ import annotations

import socket
import socketserver
import threading
from urllib.parse import urlsplit

from support.serving import Serving


class Proxy(Serving):
    """Leads every request to *target* (host and port); keeps their heads. Use with ``with``."""

    def __init__(self, target: str) -> None:
        host, _, port = target.partition(":")
        self.heads: list[str] = []
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    byte = self.request.recv(1)
                    if not byte:
                        return
                    head += byte
                proxy.heads.append(head.decode())
                method, url, _ = head.decode().partition("\r\n")[0].split()
                with socket.create_connection((host, int(port))) as server:
                    if method == "CONNECT":
                        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    else:
                        parts = urlsplit(url)
                        place = parts.path + (f"?{parts.query}" if parts.query else "")
                        lines = head.decode().replace(url, place, 1).split("\r\n")
                        kept = [x for x in lines if not x.lower().startswith("proxy-")]
                        server.sendall("\r\n".join(kept).encode())
                    back = threading.Thread(target=_pump, args=(server, self.request))
                    back.start()
                    _pump(self.request, server)
                    back.join()

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        super().__init__(server)
        self._address = server.server_address

    @property
    def address(self) -> str:
        """Host and port."""
        return "{}:{}".format(*self._address)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return

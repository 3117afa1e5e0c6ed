"""TLS to a daemon over TCP, with ``DOCKER_CERT_PATH``'s three files.

Bytes go through memory BIOs, so that one descriptor can be polled, writes can be half-closed and
reads continue: what an attached container needs.
"""

from __future__ import annotations

import ssl
from contextlib import suppress

from moorage.client import tlsfailures

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from moorage.client.endpoint import Endpoint, Tls

RECORD = 64 * 1024


class TlsConnection:
    """One TLS session over a connected socket."""

    def __init__(self, sock: _socket.socket, context: ssl.SSLContext, endpoint: Endpoint) -> None:
        self.sock = sock
        self.endpoint = endpoint
        name = endpoint.address.rpartition(":")[0].strip("[]")
        self.blocking = True
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.decrypted = b""
        self.unsent = b""

    def handshake(self) -> None:
        """Agree on keys and verify the peer."""
        while True:
            try:
                self.session.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._pull()
            else:
                self._flush()
                return

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self.sock.fileno()

    def pending(self) -> bool:
        """Tell whether decrypted bytes wait here."""
        return self.session.pending() > 0 or self.incoming.pending > 0

    def setblocking(self, flag: bool, /) -> None:  # noqa: FBT001
        """Choose between blocking and BlockingIOError."""
        self.blocking = flag
        self.sock.setblocking(flag)

    def recv(self, size: int) -> bytes:
        """Return decrypted bytes; empty at the peer's close."""
        while True:
            try:
                return self.session.read(size)
            except ssl.SSLWantReadError:
                self._flush()
                self._pull()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as e:  # a refusal of our certificate comes with the first answer
                raise tlsfailures.failed(self.endpoint, e) from e

    def send(self, data: bytes | memoryview) -> int:
        """Encrypt and send some of *data*."""
        if self.unsent:
            self._flush()  # raises BlockingIOError while the last record is not out
        sent = self.session.write(data[:RECORD])
        try:
            self._flush()
        except BlockingIOError:
            return sent  # the record waits in self.unsent and goes first next time
        return sent

    def sendall(self, data: bytes | memoryview) -> None:
        """Encrypt and send all of *data*."""
        view = memoryview(data)
        while view:
            view = view[self.send(view) :]

    def close_write(self) -> None:
        """Send close_notify and keep reading."""
        with suppress(ssl.SSLError, OSError):
            self.session.unwrap()  # wants the peer's close_notify, which comes when it is done
        self._flush()

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def _flush(self) -> None:
        self.unsent += self.outgoing.read()
        while self.unsent:
            self.unsent = self.unsent[self.sock.send(self.unsent) :]

    def _pull(self) -> None:
        received = self.sock.recv(RECORD)
        if received:
            self.incoming.write(received)
        else:
            self.incoming.write_eof()


def connect(sock: _socket.socket, endpoint: Endpoint) -> TlsConnection:
    """Start TLS on *sock*.

    Raises: InvalidParameter (unusable certificate files), Unavailable (the peer is refused).
    """
    if endpoint.tls is None:
        raise ValueError("an endpoint without certificates cannot speak TLS")
    context = client_context(endpoint.tls)
    connection = TlsConnection(sock, context, endpoint)
    try:
        connection.handshake()
    except ssl.SSLCertVerificationError as e:
        sock.close()
        raise tlsfailures.refused_peer(endpoint, e) from e
    except (ssl.SSLError, OSError) as e:
        sock.close()
        raise tlsfailures.failed(endpoint, e) from e
    return connection


def client_context(tls: Tls) -> ssl.SSLContext:
    """Build the context: client certificate, authority, verification."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if tls.verify and tls.ca:
            context.load_verify_locations(tls.ca)
        elif tls.verify:
            context.load_default_certs()
        if tls.cert and tls.key:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as e:
        raise tlsfailures.unusable(tls, e) from e
    return context

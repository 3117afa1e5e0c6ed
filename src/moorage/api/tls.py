"""TLS under the API, with half-close.

asyncio's own TLS drops the connection at the peer's close_notify. The docker CLI sends one when its
stdin ends (``echo hi | docker run -i …``) and then waits for the output, so TLS is driven here over
memory BIOs and the two directions end apart.

    client bytes -> TlsProtocol -> incoming BIO -> SSLObject -> inner protocol (Connection)
    client bytes <- raw transport <- outgoing BIO <- SSLObject <- TlsTransport.write
"""

from __future__ import annotations

import asyncio
import logging
import resource
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S: Final = 10.0
_HANDSHAKE_LIMIT: Final = 1024
_READ_SIZE: Final = 256 << 10


class Handshakes:
    """Clients that are still shaking hands: anybody may be one, so there may not be too many."""

    def __init__(self) -> None:
        self._open: set[TlsProtocol] = set()

    def begin(self, one: TlsProtocol) -> bool:
        """Whether there is room for *one* more: they get a quarter of the descriptors."""
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if len(self._open) >= min(descriptors // 4, _HANDSHAKE_LIMIT):
            return False
        self._open.add(one)
        return True

    def end(self, one: TlsProtocol) -> None:
        """Forget *one*; repeated is fine."""
        self._open.discard(one)


class TlsProtocol(asyncio.Protocol):
    """Between the socket's transport and the protocol made by *factory* once hands are shaken."""

    def __init__(
        self,
        context: ssl.SSLContext,
        handshakes: Handshakes,
        factory: Callable[[], asyncio.Protocol],
    ) -> None:
        self._handshakes = handshakes
        self._factory = factory
        self._incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self.outgoing, server_side=True)
        self._inner: asyncio.Protocol | None = None
        self._transport: TlsTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False  # the peer sends no more
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client's hello."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._raw = transport
        if not self._handshakes.begin(self):
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HANDSHAKE_TIMEOUT_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._disarm()
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def _disarm(self) -> None:
        self._handshakes.end(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        """Pass it on."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if self._inner is not None:
            self._inner.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Decrypt what arrived."""
        self._incoming.write(data)
        try:
            if self._inner is None and not self._shake_hands():
                return
            self.deliver()
        except ssl.SSLError as error:
            log.debug("TLS: %s", error)
            self.flush()
            self._raw.close()

    def eof_received(self) -> bool:
        """Take the end of the TCP stream for the end of the client's side."""
        return not self._ended and self._inner is not None and self._end()

    def _end(self) -> bool:
        self._ended = True
        assert self._inner is not None  # noqa: S101 - hands are shaken
        keep_open = bool(self._inner.eof_received())
        if not keep_open and self._transport is not None:
            self._transport.close()
        return keep_open

    def _shake_hands(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            return False
        self._disarm()
        self.flush()
        self._inner = self._factory()
        self._transport = TlsTransport(self, self._raw)
        self._inner.connection_made(self._transport)
        return True

    def deliver(self) -> None:
        """Hand decrypted bytes to the inner protocol until there are none, or it pauses."""
        assert self._inner is not None  # noqa: S101 - hands are shaken
        while not self.paused and not self._ended:
            try:
                data = self.tls.read(_READ_SIZE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self._end()
                break
            self._inner.data_received(data)
        self.flush()

    def flush(self) -> None:
        """Send what TLS has to say."""
        if self.outgoing.pending and not self._raw.is_closing():
            self._raw.write(self.outgoing.read())


class TlsTransport(asyncio.Transport):
    """What the inner protocol writes to."""

    def __init__(self, protocol: TlsProtocol, raw: asyncio.Transport) -> None:
        super().__init__({"peercert": protocol.tls.getpeercert()})
        self._protocol = protocol
        self._raw = raw
        self._finished = False  # our close_notify is out

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what is known of the connection."""
        return super().get_extra_info(name) or self._raw.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if data and not self._finished and not self._raw.is_closing():
            self._protocol.tls.write(data)
            self._protocol.flush()

    def can_write_eof(self) -> bool:
        """TLS can end its directions apart."""
        return True

    def write_eof(self) -> None:
        """Send close_notify; what the client still sends is received."""
        if self._finished:
            return
        self._finished = True
        with suppress(ssl.SSLError):  # the client's own close_notify need not have come yet
            self._protocol.tls.unwrap()
        self._protocol.flush()

    def close(self) -> None:
        """Send what waits and close_notify, then close."""
        if not self._raw.is_closing():
            self.write_eof()
            self._raw.close()

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._raw.is_closing()

    def pause_reading(self) -> None:
        """Stop delivering; the socket is read no further."""
        self._protocol.paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Go on, first with what is decrypted already."""
        if self._protocol.paused and not self._raw.is_closing():
            self._protocol.paused = False
            self._raw.resume_reading()
            asyncio.get_running_loop().call_soon(self._protocol.data_received, b"")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of back-pressure."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait to be sent."""
        return self._raw.get_write_buffer_size()

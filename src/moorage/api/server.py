"""What all connections of the API share: the application, parsed heads, ready answers, the date."""

from __future__ import annotations

import asyncio
import resource
import time
from typing import TYPE_CHECKING, Final

from moorage.api.paths import API_VERSION, text
from moorage.lib import clock, heap
from moorage.lib.version import VERSION

if TYPE_CHECKING:
    from moorage.api.connection import Connection
    from moorage.api.dispatch import Application
    from moorage.api.head import Head
    from moorage.lib.tasks import Supervisor

CONNECTION_LIMIT: Final = 16384
_QUIET_S: Final = 2.0  # after the last client has left, what it took of memory is given back
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


class Server:
    """What all connections share."""

    def __init__(self, application: Application, supervisor: Supervisor) -> None:
        self.application = application
        self.supervisor = supervisor
        self.connections: set[Connection] = set()
        self.closing = False
        self.heads: dict[bytes, Head] = {}  # parsed before, by their bytes: clients repeat them
        self._fixed = (
            f"Api-Version: {text(API_VERSION)}\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
            f"Server: Moorage/{VERSION} (linux)\r\n"
        )
        self._date_s = 0
        self._common = ""
        self._ready: dict[str, dict[bytes, bytes]] = {}
        self._left_s = 0.0  # when a client left last
        self._tidying: asyncio.TimerHandle | None = None

    def common_headers(self) -> str:
        """Return the headers that every response bears, with the date of this second."""
        now_s = clock.now_ns() // 1_000_000_000
        if now_s != self._date_s:
            self._date_s = now_s
            self._common = f"{self._fixed}Date: {http_date(now_s)}\r\n"
            self._ready.clear()
        return self._common

    def ready(self, kind: str) -> dict[bytes, bytes]:
        """Return constant responses of this second by the bytes of their request.

        Apart for each *kind* of listener: over TCP the Host header was checked first.
        """
        self.common_headers()
        return self._ready.setdefault(kind, {})

    def admit(self) -> bool:
        """Whether there is room for one connection more; an idle one gives way if there is none.

        Half of the descriptors stay for what the requests themselves, and containers, need.
        """
        limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2, CONNECTION_LIMIT)
        if len(self.connections) < limit:
            return True
        idle = next((c for c in self.connections if c.is_idle), None)
        if idle is not None:
            idle.shut_down()
        return idle is not None

    def lose(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        self._left_s = clock.monotonic()
        if self._tidying is None and not self.closing:
            self._tidy_after(_QUIET_S)

    def _tidy_after(self, seconds: float) -> None:
        self._tidying = asyncio.get_running_loop().call_later(seconds, self._tidy)

    def _tidy(self) -> None:
        self._tidying = None
        wait_s = self._left_s + _QUIET_S - clock.monotonic()
        if wait_s > 0:
            self._tidy_after(wait_s)
        else:
            heap.give_back()

    async def close(self) -> None:
        """Drop idle connections, cancel what is being served, and wait for it."""
        self.closing = True
        if self._tidying is not None:
            self._tidying.cancel()
        for connection in list(self.connections):
            connection.shut_down()
        await self.supervisor.close()


def http_date(seconds: int) -> str:
    """Format a time as RFC 9110 wants it (``email.utils`` would bring a quarter of a megabyte)."""
    at = time.gmtime(seconds)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    return f"{day}, {at.tm_mday:02} {month} {at.tm_year} {time.strftime('%H:%M:%S', at)} GMT"

"""The host's leases in the cluster's store, renewed here while the daemon is away.

The daemon renews them itself as long as it is connected. Without it a host with running containers
would lose its names after seconds, and after minutes the addresses that it goes on using. If the
store cannot be reached for so long that it may give the addresses to others, the tunnels are taken
down before it can; the daemon brings them up again when the addresses are confirmed.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Any, Final

_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFREQ: Final = struct.Struct("16sH22x")
_IFF_UP: Final = 0x1
_TIMEOUT_S: Final = 3.0


class Leases:
    """Renews what the daemon said last, while none is there to do it."""

    def __init__(self) -> None:
        self._daemons = 0  # connected; one, but for a moment
        self._said: dict[str, Any] = {}
        self._thread: threading.Thread | None = None
        self._confirmed = 0.0
        self._turn = threading.Lock()  # what is above, and whether tunnels may be taken down

    def attend(self) -> None:
        """Note that a daemon has come: no tunnel is taken down any more when this returns."""
        with self._turn:
            self._daemons += 1

    def leave(self) -> None:
        """Note that a daemon has gone."""
        with self._turn:
            self._daemons -= 1

    def set(self, said: dict[str, Any]) -> None:
        """Take over what the daemon says of its leases; without any there is nothing to do."""
        with self._turn:
            self._said = said
            self._confirmed = float(said["confirmed"])  # by the clock of the whole host
        if said["leases"] and self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        started = time.monotonic()
        while True:
            said = self._said
            soon = started + float(said["every"])
            if started < (limit := self._limit(said)):
                soon = min(soon, limit)
            time.sleep(max(0.0, soon - time.monotonic()))
            started = time.monotonic()
            if said["leases"] and not self._daemons:
                self.renew(said)

    def renew(self, said: dict[str, Any]) -> None:
        """Renew both leases once; or take the tunnels down, if it is high time and none is here."""
        started, limit = time.monotonic(), self._limit(said)
        short, long = said["leases"]
        try:
            self._keep_alive(said, short)  # once it has ended, only the daemon can take another
            if self._keep_alive(said, long):
                with self._turn:
                    if self._said is said:
                        self._confirmed = started
                return
        except OSError:
            if time.monotonic() < limit:
                return
        with self._turn:
            if self._said is said and not self._daemons:
                fence(said["tunnels"])

    def _limit(self, said: dict[str, Any]) -> float:
        """Return the time from which on the tunnels may not be up any more."""
        return self._confirmed + float(said["limit"])

    def _keep_alive(self, said: dict[str, Any], lease: int) -> bool:
        """Renew a lease; return whether it was still alive. Who does not answer is asked last.

        Raises: OSError, if no member of the store answers.
        """
        last: OSError = ConnectionError("no endpoint")
        endpoints: list[str] = said["endpoints"]
        for endpoint in list(endpoints):
            timeout_s, left_s = min(_TIMEOUT_S, said["every"]), self._limit(said) - time.monotonic()
            if left_s > 0:
                timeout_s = min(timeout_s, left_s)
            try:
                return _ask(endpoint, said, lease, timeout_s)
            except OSError as error:
                last = error
            except (ValueError, KeyError) as error:  # no answer of a store
                last = ConnectionError(str(error))
            endpoints.remove(endpoint)
            endpoints.append(endpoint)
            if left_s > 0 and time.monotonic() >= self._limit(said):
                break
        raise last


def _ask(endpoint: str, said: dict[str, Any], lease: int, timeout_s: float) -> bool:
    from http import client  # noqa: PLC0415 - megabytes that only hosts of a cluster need

    scheme, _, host = endpoint.partition("://")
    connection: client.HTTPConnection
    if scheme == "https":
        import ssl  # noqa: PLC0415 - likewise

        context = ssl.create_default_context()
        for path in said["authorities"]:
            context.load_verify_locations(path)
        for certificate, key in said["clients"]:
            context.load_cert_chain(certificate, key)
        connection = client.HTTPSConnection(host, timeout=timeout_s, context=context)
    else:
        connection = client.HTTPConnection(host, timeout=timeout_s)
    try:
        body = json.dumps({"ID": str(lease)})
        connection.request(
            "POST", "/v3/lease/keepalive", body, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        content = answer.read(1 << 16)
    except client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise ConnectionError(f"{endpoint}: {answer.status}")
    return int(json.loads(content)["result"].get("TTL", "0")) > 0


def fence(tunnels: list[str]) -> None:
    """Take interfaces down; one that is gone is fine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        for name in tunnels:
            with suppress(OSError):
                request = _IFREQ.pack(name.encode(), 0)
                _, flags = _IFREQ.unpack(fcntl.ioctl(sock, _SIOCGIFFLAGS, request))
                fcntl.ioctl(sock, _SIOCSIFFLAGS, _IFREQ.pack(name.encode(), flags & ~_IFF_UP))

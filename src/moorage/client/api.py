"""The Engine API over one endpoint: version prefix, negotiation, JSON, errors, hijack."""

from __future__ import annotations

from moorage.client import http, jsonwire, transport, url
from moorage.lib import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from moorage.client.endpoint import Endpoint

NEWEST = "1.55"
OLDEST = "1.24"
# Later versions leave out what people's templates and scripts name: NetworkSettings.IPAddress, an
# image's Config.Labels where it has none, an event's status. What is shown as it came is asked for
# in this one, unless the user has fixed another.
WITH_OLD_FIELDS = "1.51"

_BY_STATUS: dict[int, type[errors.MoorageError]] = {
    400: errors.InvalidParameter,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    501: errors.NotImplemented_,
    503: errors.Unavailable,
}


class Api:
    """Requests to one daemon; keeps one idle connection for the next request."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        version: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._version = version  # fixed by the user: no negotiation then
        self._fixed = version is not None
        self._headers = {
            **(headers or {}),
            "Host": endpoint.http_host,
            "User-Agent": "Moor-Client/0.1 (linux)",
        }
        self._idle: http.Wire | None = None
        self.server_headers: dict[str, str] = {}

    @property
    def version(self) -> str:
        """The API version in use: ours or the daemon's, whichever is older."""
        if self._version is None:
            response = self._exchange("HEAD", "/_ping", {}, None)
            self._finish(response)
            self.server_headers = response.headers
            theirs = response.headers.get("api-version") or OLDEST
            self._version = min(NEWEST, theirs, key=version_key)
        return self._version

    def at_least(self, version: str) -> bool:
        """Tell whether the negotiated version knows what came with *version*."""
        return version_key(self.version) >= version_key(version)

    def get(self, path: str, **query: object) -> Any:
        """GET and decode."""
        return jsonwire.decode(self.get_raw(path, NEWEST, **query))

    def get_raw(self, path: str, newest: str = NEWEST, **query: object) -> bytes:
        """GET, in no newer version than *newest*, and return the body as it came."""
        response = self.request("GET", path, query, newest=newest)
        body = response.read()
        self._finish(response)
        return body

    def post(self, path: str, body: object = None, **query: object) -> Any:
        """POST JSON and decode the answer; None when there is none."""
        response = self.request("POST", path, query, json=body)
        answer = response.read()
        self._finish(response)
        return jsonwire.decode(answer) if answer.strip() else None

    def delete(self, path: str, **query: object) -> Any:
        """DELETE and decode the answer; None when there is none."""
        response = self.request("DELETE", path, query)
        answer = response.read()
        self._finish(response)
        return jsonwire.decode(answer) if answer.strip() else None

    def stream_json(self, response: http.Response) -> Iterator[Any]:
        """Yield the values of a stream of JSON lines."""
        for line in response.lines():
            yield jsonwire.decode(line)
        self._finish(response)

    def request(
        self,
        method: str,
        path: str,
        query: dict[str, object] | None = None,
        *,
        json: object = None,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        newest: str = NEWEST,
    ) -> http.Response:
        """Send a request and return its answer with the body still to be read.

        It is sent in the version in use, but in no newer one than *newest*.

        Raises: a MoorageError by status, with the daemon's sentence; Unreachable.
        """
        sent = dict(headers or {})
        if json is not None:
            body = jsonwire.encode(json).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        response = self._exchange(method, self._target(path, query, newest), sent, body)
        if response.status >= 400:
            raise self._failure(response)
        return response

    def hijack(self, path: str, query: dict[str, object], body: object = None) -> http.Wire:
        """POST and take the connection over for raw bytes in both directions.

        The wire's buffer may already hold the first bytes of the stream.
        """
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        encoded = None
        if body is not None:
            encoded = jsonwire.encode(body).encode()
            headers["Content-Type"] = "application/json"
        target = self._target(path, query)
        response = self._exchange("POST", target, headers, encoded, fresh=True)
        if response.status >= 400:
            raise self._failure(response)
        return response.wire

    def dial(self) -> http.Wire:
        """Open a connection for bytes of the caller's own (``system dial-stdio``)."""
        return http.Wire(transport.connect(self.endpoint))

    def _target(self, path: str, query: dict[str, object] | None, newest: str = NEWEST) -> str:
        encoded = url.encode_query(query or {})
        version = self.version
        if not self._fixed:
            version = min(version, newest, key=version_key)
        return f"/v{version}{url.quote_path(path)}" + (f"?{encoded}" if encoded else "")

    def _exchange(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes | Iterable[bytes] | None,
        *,
        fresh: bool = False,
    ) -> http.Response:
        wire = None if fresh else self._idle
        reused = wire is not None
        if wire is None:
            wire = http.Wire(transport.connect(self.endpoint))
        else:
            self._idle = None
        try:
            return self._send_and_read(wire, method, target, headers, body)
        except OSError as e:
            wire.connection.close()
            if reused and (body is None or isinstance(body, bytes)):
                # the daemon closed the idle connection meanwhile: nothing was done yet
                return self._exchange(method, target, headers, body, fresh=True)
            if isinstance(e, http.ProtocolError):
                plain = self.endpoint.scheme == "tcp" and self.endpoint.tls is None
                hint = "does it listen with TLS? try --tlsverify" if plain else None
                raise errors.Unavailable(str(e), hint=hint) from e
            raise transport.Unreachable(*transport.unreachable(self.endpoint, e)) from e

    def _send_and_read(
        self,
        wire: http.Wire,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes | Iterable[bytes] | None,
    ) -> http.Response:
        try:
            http.send_request(wire, method, target, {**self._headers, **headers}, body)
        except (BrokenPipeError, ConnectionResetError):
            # a daemon that refuses an upload answers and hangs up before reading all of it
            if body is None or isinstance(body, bytes) or not wire.fill():
                raise
        return http.Response(wire, method)

    def _finish(self, response: http.Response) -> None:
        """Keep the connection if the answer was read to its end."""
        if response.finished and response.reusable:
            self._idle = response.wire
        else:
            response.close()

    def _failure(self, response: http.Response) -> errors.MoorageError:
        text = response.read().decode("utf-8", "replace").strip()
        self._finish(response)
        message = text
        if "json" in response.headers.get("content-type", ""):
            try:
                message = jsonwire.decode(text)["message"]
            except (ValueError, KeyError, TypeError):
                message = text
        if not message:
            message = f"request returned status {response.status}; check the daemon's API version"
        if message == "page not found":
            message += ": it is another engine, or older than this client"
        kind = _BY_STATUS.get(response.status, errors.System)
        return kind("Error response from daemon: " + str(message).rstrip("\n"))


def version_key(version: str) -> tuple[int, ...]:
    """Order API versions by number."""
    parts = version.removeprefix("v").split(".")
    return tuple(int(part) if part.isdigit() else 0 for part in parts)

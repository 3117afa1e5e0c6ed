"""Authorisation plugins: each is asked before a request is served and before its answer goes out.

A plugin sees what is executed: the decoded path in its normal form, and the whole body as a handler
will take it, its keys spelled as the API's documents do (``hostconfig`` is executed as
``HostConfig``, so no policy may miss it). A JSON body over the limit is refused, not skipped
(CVE-2026-34040, CVE-2024-41110); a plugin that does not answer denies. Bodies that are streams
(archives, contexts) and hijacked streams are not shown, as with dockerd.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct, field

from moorage.api.paths import text
from moorage.api.request import Request
from moorage.api.results import JSON, Hijacked, Raw, Response, Stream
from moorage.lib.errors import Forbidden, InvalidParameter, MoorageError, System
from moorage.plugins.registry import Plugins
from moorage.spec import gojson

SUBSYSTEM: Final = "authz"
BODY_LIMIT: Final = 4 << 20  # bytes of a JSON body that a plugin is shown
_UNSHOWN: Final = frozenset({"x-registry-auth", "x-registry-config", "authorization"})


class AuthZRequest(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The protocol's request."""

    user: str = ""
    user_auth_n_method: str = field(default="", name="UserAuthNMethod")
    request_method: str
    request_uri: str
    request_body: str = ""  # base64
    request_headers: dict[str, str]
    response_body: str = ""  # base64
    response_headers: dict[str, str] | None = None
    response_status_code: int = 0


class AuthZResponse(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The protocol's answer."""

    allow: bool = False
    msg: str = ""
    err: str = ""


class PluginAuthorizer:
    """Asks the configured plugins in order; the first that denies ends it."""

    def __init__(self, plugins: Plugins, names: Sequence[str]) -> None:
        self._plugins = plugins
        self._names = names

    async def allow_request(self, request: Request, body: type[Any] | None) -> None:
        """Ask about a request with a JSON body of the type *body*, if it has one.

        Raises: Forbidden, with the plugin's reason; HttpError 413, if its JSON body is too long;
        InvalidParameter, if it is none.
        """
        await self._ask(self._names, "AuthZPlugin.AuthZReq", await _describe(request, body))

    async def allow_response(
        self, request: Request, body: type[Any] | None, response: Response
    ) -> None:
        """Ask about an answer. Raises: Forbidden."""
        if not isinstance(response, Hijacked):
            shown = await _describe(request, body, response)
            await self._ask(self._names[::-1], "AuthZPlugin.AuthZRes", shown)

    async def _ask(self, names: Sequence[str], method: str, question: AuthZRequest) -> None:
        for name in names:
            try:
                plugin = await self._plugins.get(name, SUBSYSTEM)
                answer = await plugin.call(method, question, AuthZResponse)
            except MoorageError as error:
                raise System(f"plugin {name} failed with error: {error}") from error
            if answer.err:
                raise System(f"plugin {name} failed with error: {answer.err}")
            if not answer.allow:
                raise Forbidden(f"authorization denied by plugin {name}: {answer.msg}")


async def _describe(
    request: Request, wanted: type[Any] | None, response: Raw | Stream | None = None
) -> AuthZRequest:
    body = b""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON:
        body = await request.read(BODY_LIMIT)
        if wanted is not None:
            body = _as_executed(body, wanted)
    subject = request.peer.certificate_subject
    uri = f"/v{text(request.version)}{quote(request.path, safe='/:@')}"
    answer = response.body if isinstance(response, Raw) and response.content_type == JSON else b""
    return AuthZRequest(
        user=subject,
        user_auth_n_method="TLS" if subject else "",
        request_method=request.method,
        request_uri=f"{uri}?{request.raw_query}" if request.raw_query else uri,
        request_body=base64.b64encode(body).decode(),
        request_headers={k: v for k, v in request.headers.items() if k not in _UNSHOWN},
        response_body=base64.b64encode(answer).decode(),
        response_headers=dict(response.headers) if response is not None else None,
        response_status_code=response.status if response is not None else 0,
    )


def _as_executed(body: bytes, wanted: type[Any]) -> bytes:
    try:
        return gojson.encode(gojson.shape(gojson.parse(body), wanted))
    except RecursionError as error:
        raise InvalidParameter("invalid JSON: nested too deeply") from error

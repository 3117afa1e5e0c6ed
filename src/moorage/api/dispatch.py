"""From a request to its response: route, bind, call, and the error table; knows no sockets."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from moorage.api import versions
from moorage.api.binding import Binding, bind
from moorage.api.httpstatus import status_of
from moorage.api.request import Request
from moorage.api.results import JSON, Hijacked, Raw, Response, encode_json, render
from moorage.api.routing import Route, Router
from moorage.lib import clock, tasks
from moorage.lib.errors import MoorageError, System

log = logging.getLogger(__name__)
_SERVER_FAULT: Final = 500
_TROUBLE_OF_THE_HOST: Final = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO),
        errno.EAGAIN,  # of a fork, at a limit of processes
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
    }
)  # no fault of ours, and said without a traceback


class Authorizer(Protocol):
    """Asked before and after every request, if authorisation plugins are configured."""

    async def allow_request(self, request: Request, body: type[Any] | None) -> None:
        """Raises: Forbidden, with the plugin's reason."""
        ...

    async def allow_response(
        self, request: Request, body: type[Any] | None, response: Response
    ) -> None:
        """Raises: Forbidden, with the plugin's reason."""
        ...


Observe = Callable[[str, int, float], None]  # operation, status, seconds


class Application:
    """The Engine API over one engine."""

    def __init__(
        self,
        engine: object,
        routes: Sequence[Route],
        *,
        observe: Observe | None = None,
    ) -> None:
        self._engine = engine
        self._observe = observe
        self._router = Router(list(routes))
        self.authorizer: Authorizer | None = None
        self._bindings: dict[str, Binding] = {}

    def respond(self, request: Request) -> Response | Coroutine[Any, Any, Response]:
        """Return the response, or the work that gives it if it has to wait for something."""
        try:
            route, parameters = self._router.find(request.method, request.path)
            binding = self._bindings.get(route.operation) or self._bind(route)
            if self._observe is not None:
                return self._observed(request, binding, parameters, self._observe)
            if self.authorizer is not None or not binding.is_immediate:
                return self._respond(request, binding, parameters)
            result = binding.arguments(self._engine, request, parameters)()
            return render(result, versions.lower(route.operation, request.version))
        except Exception as error:  # noqa: BLE001 - the outermost frame of a request
            return error_response(error, request.path)

    async def _observed(
        self, request: Request, binding: Binding, parameters: dict[str, str], observe: Observe
    ) -> Response:
        began = clock.monotonic()
        response = await self._respond(request, binding, parameters)
        status = 200 if isinstance(response, Hijacked) else response.status
        observe(binding.route.operation, status, clock.monotonic() - began)
        return response

    async def _respond(
        self, request: Request, binding: Binding, parameters: dict[str, str]
    ) -> Response:
        operation = binding.route.operation
        try:
            if self.authorizer is not None:
                await self.authorizer.allow_request(request, binding.body)
            call = binding.arguments(self._engine, request, parameters)
            if binding.body is not None:
                lift = versions.lift(operation, request.version)
                call.named["body"] = await binding.read_body(request, lift)
            result = await call() if binding.is_coroutine else call()
            response = render(result, versions.lower(operation, request.version))
            if self.authorizer is not None:
                await self.authorizer.allow_response(request, binding.body, response)
        except Exception as error:  # noqa: BLE001 - the outermost frame of a request
            return error_response(error, request.path)
        return response

    def _bind(self, route: Route) -> Binding:
        self._bindings[route.operation] = bound = bind(route)
        return bound


def error_response(error: Exception, where: str) -> Raw:
    """Return the error as ``{"message": …}`` with its status; log what is our fault."""
    if isinstance(error, ExceptionGroup):
        error = tasks.foremost(error)
    if isinstance(error, OSError) and error.errno in _TROUBLE_OF_THE_HOST:
        error = System(f"{(error.strerror or '').lower()}: {error.filename or where}")
    if isinstance(error, MoorageError):
        status = status_of(error)
        if status >= _SERVER_FAULT and status != 501:
            log.error("%s: %s", where, error)
            log.debug("%s: for this reason", where, exc_info=error.__cause__)
        else:
            log.debug("%s: %s", where, error)
        return Raw(encode_json({"message": str(error)}), JSON, status)
    log.error("%s: unexpected %s: %s", where, type(error).__name__, error, exc_info=error)
    detail = f"{type(error).__name__}: {error}"
    return Raw(encode_json({"message": f"internal error: {detail}"}), JSON, _SERVER_FAULT)

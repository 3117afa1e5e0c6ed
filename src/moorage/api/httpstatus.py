"""The only table from errors to HTTP statuses, and the reason phrases."""

from __future__ import annotations

from typing import Final

from moorage.lib import errors

STATUS: Final[dict[type[errors.MoorageError], int]] = {
    errors.InvalidParameter: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Cancelled: 499,
    errors.System: 500,
    errors.DataLoss: 500,
    errors.NotImplemented_: 501,
    errors.Unavailable: 503,
    errors.DeadlineExceeded: 504,
}

REASON: Final[dict[int, str]] = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    413: "Request Entity Too Large",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    499: "Client Closed Request",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class HttpError(errors.MoorageError):
    """A fault of the HTTP exchange itself, for which the taxonomy has no word (413, 431, 408)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: errors.MoorageError) -> int:
    """Return the status for *error*, by the nearest class that the table knows."""
    if isinstance(error, HttpError):
        return error.status
    return next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), 500)

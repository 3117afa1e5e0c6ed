"""The error taxonomy: an error that crosses a package border has exactly one of these classes.

``MoorageError``
|-- ``InvalidParameter``   400  the request is malformed or asks for something impossible
|-- ``Unauthorized``       401  credentials are missing or wrong
|-- ``Forbidden``          403  understood, but not allowed
|-- ``NotFound``           404  the object does not exist
|-- ``Conflict``           409  the state of the object forbids it
|-- ``System``             500  the host failed us (I/O, runtime, kernel)
|-- ``DataLoss``           500  stored bytes do not match their digest
|-- ``NotImplemented_``    501  not built yet, and said so
|-- ``Unavailable``        503  not now, or not on this node (swarm)
|-- ``DeadlineExceeded``   504  a time limit ran out
`-- ``Cancelled``          499  the caller gave up

Statuses are assigned by ``api/httpstatus.py`` alone; the numbers above are for the reader.
"""

from __future__ import annotations


class MoorageError(Exception):
    """Base of all errors meant for a user.

    *message* is Docker's sentence where clients match on it; *hint* says what to do next.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the sentence with its hint, as it goes to the client."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidParameter(MoorageError):
    """The request is malformed or impossible."""


class Unauthorized(MoorageError):
    """Credentials are missing or wrong."""


class Forbidden(MoorageError):
    """Understood, but not allowed."""


class NotFound(MoorageError):
    """The object does not exist."""


class Conflict(MoorageError):
    """The state of the object forbids the operation."""


class System(MoorageError):
    """The host failed us."""


class DataLoss(System):
    """Stored or received bytes do not match their digest."""


class NotImplemented_(MoorageError):  # noqa: N801 - the builtin has the plain name
    """Not built yet."""


class Unavailable(MoorageError):
    """Not now, or not on this node."""


class DeadlineExceeded(MoorageError):
    """A time limit ran out."""


class Cancelled(MoorageError):
    """The caller gave up."""

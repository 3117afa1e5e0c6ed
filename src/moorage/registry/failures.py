"""What goes wrong between us and a registry, in Docker's words, with the class that fits; pure."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from moorage.lib.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidParameter,
    MoorageError,
    NotFound,
    System,
    Unauthorized,
    Unavailable,
)
from moorage.registry.challenge import Challenge
from moorage.spec.oci.descriptor import Descriptor
from moorage.spec.reference import Reference

if TYPE_CHECKING:
    import ssl

BODY_LIMIT: Final = 64 << 10  # bytes of an error's body worth reading
_UNREACHABLE: Final = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}
)
_SNIPPET: Final = 200
_BY_STATUS: Final = {
    401: ("UNAUTHORIZED", "authentication required"),
    403: ("DENIED", "requested access to the resource is denied"),
    404: ("NOT_FOUND", ""),
    429: ("TOOMANYREQUESTS", "too many requests"),
}


class Unreachable(System):
    """There was no answer at all: another way to the same registry may be tried."""


class RegistryRefusal(Exception):
    """A registry's answer that is an error: kept apart until it is known what it means."""

    def __init__(self, status: int, code: str, message: str, *, host: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code  # of the distribution specification: MANIFEST_UNKNOWN …
        self.message = message
        self.host = host

    def __str__(self) -> str:
        """Return Docker's form: the code as words, and the registry's message."""
        words = self.code.lower().replace("_", " ")
        return f"{words}: {self.message}" if words and self.message else words or self.message


class _ErrorEntry(Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Errors(Struct, frozen=True):
    errors: list[_ErrorEntry] = []
    details: str = ""  # token servers of Docker Hub
    message: str = ""


def refusal(
    status: int, body: bytes, challenges: Iterable[Challenge], *, host: str
) -> RegistryRefusal:
    """Read the error a registry sent, whatever it is written in."""
    if status == 401:
        for challenge in challenges:
            error = challenge.parameters.get("error")
            said = challenge.parameters.get("error_description", "")
            if challenge.scheme == "bearer" and error == "insufficient_scope":
                denied = _BY_STATUS[403]
                return RegistryRefusal(status, denied[0], said or denied[1], host=host)
    try:
        parsed = msgspec.json.decode(body, type=_Errors)
    except (msgspec.DecodeError, UnicodeDecodeError):
        parsed = _Errors()
    if parsed.errors:
        first = parsed.errors[0]
        return RegistryRefusal(status, first.code[:64], first.message[:_SNIPPET], host=host)
    if said := parsed.details or parsed.message:
        code = _BY_STATUS.get(status, ("", ""))[0]
        return RegistryRefusal(status, code, said[:_SNIPPET], host=host)
    if status in {401, 403, 429}:
        return RegistryRefusal(status, *_BY_STATUS[status], host=host)
    return RegistryRefusal(status, "", f"received unexpected HTTP status: {status}", host=host)


def of_pull(refused: RegistryRefusal, reference: Reference) -> MoorageError:
    """Say what a refusal means for who wanted to pull *reference*."""
    if refused.status == 429 or refused.code == "TOOMANYREQUESTS":
        return Unavailable(str(refused), hint=f"{refused.host} limits the rate of requests")
    if refused.code == "DENIED":
        return NotFound(
            f"pull access denied for {reference.familiar_name}, repository does not exist or may"
            f" require 'docker login': {refused}"
        )
    if refused.code == "NAME_UNKNOWN":
        return NotFound(f"repository {reference.familiar_name} not found: {refused}")
    if refused.code == "MANIFEST_UNKNOWN" or refused.status == 404:
        said = str(refused) if refused.code else "manifest unknown: manifest unknown"
        return NotFound(f"manifest for {reference.familiar} not found: {said}")
    return _general(refused, reference)


def of_blob(refused: RegistryRefusal, reference: Reference, blob: Descriptor) -> MoorageError:
    """Say what a refusal means for who wanted *blob*.

    The addresses that a layer may name beside the registry are not asked, as dockerd does not on
    Linux: whoever writes a manifest would choose where this machine connects to.
    """
    if refused.status == 404:
        where = f"at {refused.host}"
        if blob.urls:
            where += "; it names other addresses, which are not asked: push the layer there first"
        return NotFound(
            f"{blob.digest} of {reference.familiar} is not there: {refused}", hint=where
        )
    return of_pull(refused, reference)


def of_push(refused: RegistryRefusal, reference: Reference) -> MoorageError:
    """Say what a refusal means for who wanted to push *reference*."""
    if refused.code == "DENIED":
        return Forbidden(str(refused), hint=f"pushing {reference.familiar_name} to {refused.host}")
    return _general(refused, reference)


def _general(refused: RegistryRefusal, reference: Reference) -> MoorageError:
    hint = f"{reference.familiar} at {refused.host}"
    if refused.status == 401:
        return Unauthorized(str(refused), hint=hint)
    if refused.status == 403:
        return Forbidden(str(refused), hint=hint)
    if refused.status == 404:
        return NotFound(str(refused), hint=hint)
    if refused.status in {429, 502, 503, 504}:
        return Unavailable(str(refused), hint=hint)
    if 400 <= refused.status < 500:
        return InvalidParameter(str(refused), hint=hint)
    return System(str(refused), hint=hint)


def of_connection(method: str, url: str, error: Exception, *, proxy: str = "") -> MoorageError:
    """Say why *url* could not be reached (by way of *proxy*, if any), as Go's client does."""
    import ssl  # noqa: PLC0415 - see latetls

    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    asked = f'{method.capitalize()} "{url}"'
    if isinstance(error, TimeoutError):
        return DeadlineExceeded(f"{asked}: net/http: request canceled: no answer in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        said = _certificate(error, parts.hostname or "")
        hint = "put its CA into certs.d, or name it in insecure-registries"
        return Unreachable(f"{asked}: tls: failed to verify certificate: {said}", hint=hint)
    if proxy and isinstance(error, OSError) and _is_before_connection(error):
        by = urlsplit(proxy)
        said = _connection_words(error, by.hostname or "", by.port or 80)
        return Unreachable(f"{asked}: proxyconnect tcp: {said}", hint="see the proxy's settings")
    return Unreachable(f"{asked}: {_connection_words(error, parts.hostname or '', port)}")


def _is_before_connection(error: OSError) -> bool:
    return isinstance(error, socket.gaierror) or error.errno in _UNREACHABLE


def _connection_words(error: Exception, host: str, port: int) -> str:
    import ssl  # noqa: PLC0415 - see latetls

    if isinstance(error, ssl.SSLError):
        if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
            return "http: server gave HTTP response to HTTPS client"
        return f"remote error: tls: {(error.reason or str(error)).lower()}"
    if isinstance(error, (BrokenPipeError, ConnectionResetError)):
        return "the server closed the connection"  # e.g. a TLS 1.3 server that wants a certificate
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        words = (
            "connection refused" if "refused" in str(error) else os.strerror(error.errno).lower()
        )
        return f"dial tcp {host}:{port}: connect: {words}"
    return str(error)


def _certificate(error: ssl.SSLCertVerificationError, host: str) -> str:
    said = error.verify_message
    if "self" in said or "local issuer" in said:
        return "x509: certificate signed by unknown authority"
    if "expired" in said:
        return "x509: certificate has expired or is not yet valid"
    if "ostname" in said or "IP address" in said:
        return f"x509: certificate is not valid for {host}"
    return f"x509: {said}"

"""What went wrong with TLS, in words: whose certificate, what is wrong with it, what to do."""

from __future__ import annotations

import ssl

from moorage.lib.errors import InvalidParameter, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.client.endpoint import Endpoint, Tls

# verify codes of OpenSSL, x509_vfy.h
_NOT_YET_VALID, _EXPIRED, _OTHER_NAMES = 9, 10, frozenset({62, 64})
_ALERTS = {
    "CERTIFICATE_EXPIRED": "it has expired",
    "UNKNOWN_CA": "it is not signed by an authority that the daemon trusts",
    "CERTIFICATE_REVOKED": "it is revoked",
    "BAD_CERTIFICATE": "it cannot be verified",
    "UNSUPPORTED_CERTIFICATE": "it is not one for a client",
    "CERTIFICATE_UNKNOWN": "the daemon does not say why",
}
_OWN_FILES = "cert.pem and key.pem in DOCKER_CERT_PATH or ~/.docker, or --tlscert and --tlskey"


def unusable(tls: Tls, error: OSError) -> InvalidParameter:
    """Word the failure to load our own files."""
    named = [path for path in (tls.ca, tls.cert, tls.key) if path]
    for path in named:
        try:
            with open(path, "rb"):
                pass
        except OSError as e:
            return InvalidParameter(
                f"unable to load TLS certificates: open {path}: {(e.strerror or str(e)).lower()}",
                hint="DOCKER_CERT_PATH, or else ~/.docker, holds ca.pem, cert.pem and key.pem",
            )
    if tls.ca and not _loads(lambda context: context.load_verify_locations(tls.ca)):
        return InvalidParameter(
            f"unable to load TLS certificates: {tls.ca} holds no certificate in PEM format"
        )
    if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
        return InvalidParameter(
            f"unable to load TLS certificates: the key {tls.key} does not belong to {tls.cert}"
        )
    wrong = tls.cert if tls.cert and b"-----BEGIN CERTIFICATE" not in _start(tls.cert) else tls.key
    kind = "certificate" if wrong == tls.cert else "private key that can be used"
    return InvalidParameter(f"unable to load TLS certificates: {wrong} holds no {kind}")


def refused_peer(endpoint: Endpoint, error: ssl.SSLCertVerificationError) -> Unavailable:
    """Word our refusal of the daemon's certificate."""
    code = error.verify_code
    ca = endpoint.tls.ca if endpoint.tls else None
    if code == _EXPIRED:
        hint = "the daemon's host needs a new certificate, or one of the two clocks is wrong"
    elif code == _NOT_YET_VALID:
        hint = "one of the two clocks is wrong"
    elif code in _OTHER_NAMES:
        hint = "connect by a name that is in the certificate, or have this one added to it"
    elif ca:
        hint = f"{ca} is not the authority that signed it; --tlscacert names another"
    else:
        hint = "there is no ca.pem in DOCKER_CERT_PATH or ~/.docker; --tlscacert names a file"
    said = error.verify_message.rstrip(".")
    return Unavailable(f"the daemon's certificate at {endpoint.host} is refused: {said}", hint=hint)


def failed(endpoint: Endpoint, error: OSError) -> Unavailable:
    """Word any other failure, the daemon's refusal of our certificate above all."""
    reason = str(getattr(error, "reason", "") or "")
    tls = endpoint.tls
    own = tls.cert if tls and tls.cert and tls.key else None
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}:
        return Unavailable(
            f"the daemon at {endpoint.host} does not speak TLS",
            hint="leave out --tlsverify and DOCKER_TLS_VERIFY, or check the port",
        )
    if reason.endswith("CERTIFICATE_REQUIRED") or (not own and "ALERT" in reason):
        return Unavailable(
            f"the daemon at {endpoint.host} asks for a client certificate, and there is none",
            hint=_OWN_FILES,
        )
    if why := _ALERTS.get(reason.partition("ALERT_")[2]):
        return Unavailable(
            f"the daemon at {endpoint.host} refuses the client certificate {own}: {why}"
        )
    said = reason.replace("_", " ").lower() or (error.strerror or str(error)).lower()
    return Unavailable(f"TLS with {endpoint.host} failed: {said}")


def _loads(load: Callable[[ssl.SSLContext], None]) -> bool:
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except (OSError, ssl.SSLError):
        return False
    return True


def _start(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(1 << 16)

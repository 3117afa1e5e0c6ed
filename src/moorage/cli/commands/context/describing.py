"""What ``context create`` and ``context update`` share: ``--docker`` to an endpoint."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.session import Session
    from moorage.client.jsonwire import Json

_FAILED = "unable to create docker endpoint config"
KEYS = frozenset({"from", "host", "ca", "cert", "key", "skip-tls-verify"})
DESCRIPTION = Option("description", "", "string", "Description of the context")
DOCKER = Option("docker", "", "stringToString", "The daemon's endpoint, see above")
DETAILS = """\
Keys of --docker:

NAME                DESCRIPTION
from                Copy the endpoint of this context
host                Daemon to connect to
ca                  Trust only certificates signed by this CA
cert                Client certificate
key                 Client certificate's key
skip-tls-verify     Do not verify the daemon's certificate"""


def endpoint(session: Session, pairs: dict[str, str]) -> tuple[Json, dict[str, bytes]]:
    """Return the docker endpoint and its certificates.

    Raises: CommandError, NotFound.
    """
    if unknown := sorted(set(pairs) - KEYS):
        raise CommandError(f"{_FAILED}: unrecognized config key: {unknown[0]}")
    if name := pairs.get("from"):
        return copy_of(session, name)
    skip = pairs.get("skip-tls-verify", "false").lower()
    if skip not in {"true", "false", "1", "0", "t", "f"}:
        raise CommandError(f'{_FAILED}: invalid value for skip-tls-verify: "{skip}"')
    record: Json = {"Host": pairs.get("host", ""), "SkipTLSVerify": skip in {"true", "1", "t"}}
    certificates: dict[str, bytes] = {}
    for key in ("ca", "cert", "key"):
        if path := pairs.get(key):
            certificates[f"{key}.pem"] = _content(path)
    return record, certificates


def copy_of(session: Session, name: str) -> tuple[Json, dict[str, bytes]]:
    """Return the endpoint of another context."""
    from moorage.client.contexts import DEFAULT, ContextStore

    if name == DEFAULT:
        from moorage.cli import resolve

        tls = resolve.tls(session)
        record: Json = {
            "Host": resolve.default_context_host(session),
            "SkipTLSVerify": tls is not None and not tls.verify,
        }
        paths = {"ca": tls.ca, "cert": tls.cert, "key": tls.key} if tls else {}
        return record, {f"{key}.pem": _content(path) for key, path in paths.items() if path}
    source = ContextStore(session.config_directory).get(name)
    return dict(source.docker), {f: _content(path) for f, path in source.tls_files().items()}


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as e:
        raise CommandError(f"{_FAILED}: open {path}: {(e.strerror or str(e)).lower()}") from e

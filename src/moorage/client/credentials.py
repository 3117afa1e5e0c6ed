"""Registry credentials: ``auths`` in config.json, credential helpers, X-Registry-Auth."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from moorage.client import jsonwire
from moorage.lib.errors import InvalidParameter, System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.configfile import ConfigFile
    from moorage.client.jsonwire import Json

DOCKER_HUB = "https://index.docker.io/v1/"
TOKEN_USER = "<token>"  # noqa: S105 - how helpers mark an identity token
_HELPER_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


class Credentials:
    """Find, store and erase the credentials of a registry."""

    def __init__(self, config: ConfigFile) -> None:
        self.config = config

    def find(self, server: str) -> Json:
        """Return the AuthConfig of *server*; empty when it has none.

        Raises: InvalidParameter, System (its helper).
        """
        if helper := self._helper(server):
            return self._from_helper(helper, server)
        auths = self.config.table("auths")
        for key, entry in auths.items():
            if isinstance(entry, dict) and _same_registry(key, server):
                return _decode_entry(server, entry)
        return {}

    def servers(self) -> list[str]:
        """Return all registries that something is stored for.

        Raises: InvalidParameter, System (a helper).
        """
        servers = [*self.config.table("auths"), *self.config.table("credHelpers")]
        if store := self.config.text("credsStore"):
            listed = _call_helper(store, "list", "")
            servers += list(jsonwire.decode(listed)) if listed else []
        return list(dict.fromkeys(servers))

    def store(self, server: str, auth: Json) -> str | None:
        """Keep *auth*; return the path of the file if it lies there unencrypted."""
        secret = str(auth.get("identitytoken") or auth.get("password") or "")
        user = TOKEN_USER if auth.get("identitytoken") else str(auth.get("username") or "")
        auths = dict(self.config.table("auths"))
        if helper := self._helper(server):
            entry = {"ServerURL": server, "Username": user, "Secret": secret}
            _call_helper(helper, "store", jsonwire.encode(entry))
            auths[server] = {}
        else:
            entry = {
                "auth": _encode_pair(
                    str(auth.get("username") or ""), str(auth.get("password") or "")
                )
            }
            if auth.get("identitytoken"):
                entry = {
                    "auth": _encode_pair(str(auth.get("username") or ""), ""),
                    "identitytoken": secret,
                }
            auths[server] = entry
        self.config.values["auths"] = auths
        self.config.save()
        return None if helper else self.config.path

    def erase(self, server: str) -> None:
        """Forget the credentials of *server*."""
        if helper := self._helper(server):
            _call_helper(helper, "erase", server)
        auths = self.config.table("auths")
        kept = {key: entry for key, entry in auths.items() if not _same_registry(key, server)}
        if len(kept) < len(auths):
            self.config.values["auths"] = kept
            self.config.save()

    def _helper(self, server: str) -> str:
        helpers = self.config.table("credHelpers")
        return str(helpers.get(server) or self.config.text("credsStore"))

    def _from_helper(self, helper: str, server: str) -> Json:
        answer = _call_helper(helper, "get", server)
        if not answer:
            return {}
        found = jsonwire.decode(answer)
        if found.get("Username") == TOKEN_USER:
            return {"identitytoken": found.get("Secret", ""), "serveraddress": server}
        return {
            "username": found.get("Username", ""),
            "password": found.get("Secret", ""),
            "serveraddress": server,
        }


def header(auth: Json) -> dict[str, str]:
    """Return the X-Registry-Auth header that carries *auth*."""
    encoded = b2a_base64(jsonwire.encode(auth).encode(), newline=False).decode()
    return {"X-Registry-Auth": encoded.replace("+", "-").replace("/", "_")}


def registry_of(reference: str) -> str:
    """Return the key under which the credentials of an image's registry are kept."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return DOCKER_HUB if first in {"docker.io", "index.docker.io"} else first
    return DOCKER_HUB


def _same_registry(key: str, server: str) -> bool:
    if key == server:
        return True
    return DOCKER_HUB not in {key, server} and hostname_of(key) == hostname_of(server)


def hostname_of(server: str) -> str:
    """Strip scheme and path, as config files of old kept them."""
    return server.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _encode_pair(user: str, password: str) -> str:
    return b2a_base64(f"{user}:{password}".encode(), newline=False).decode()


def _decode_entry(server: str, entry: Json) -> Json:
    auth: Json = {"serveraddress": server}
    if entry.get("identitytoken"):
        auth["identitytoken"] = entry["identitytoken"]
    if entry.get("registrytoken"):
        auth["registrytoken"] = entry["registrytoken"]
    if packed := entry.get("auth"):
        try:
            user, colon, password = a2b_base64(str(packed)).decode().partition(":")
        except (Base64Error, UnicodeDecodeError) as e:
            raise InvalidParameter(f"invalid auth configuration file for {server}") from e
        if not colon:
            raise InvalidParameter(f"invalid auth configuration file for {server}")
        auth["username"] = user
        if password.rstrip("\0"):
            auth["password"] = password.rstrip("\0")
    return auth if len(auth) > 1 else {}


def _call_helper(helper: str, verb: str, text: str) -> bytes:
    """Run ``docker-credential-<helper> <verb>``; empty bytes for "not found".

    Raises: InvalidParameter (a helper that cannot be run), System (it failed).
    """
    if not helper or not all(char in _HELPER_NAME for char in helper):
        raise InvalidParameter(f"invalid credential helper name {helper!r}")
    import os

    program = f"docker-credential-{helper}"
    to_read, to_write = os.pipe()
    out_read, out_write = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, to_read, 0), (os.POSIX_SPAWN_DUP2, out_write, 1)]
    try:
        pid = os.posix_spawnp(program, [program, verb], os.environ, file_actions=actions)
    except OSError as e:
        os.close(to_write)
        os.close(out_read)
        raise InvalidParameter(f"cannot run {program}: {e.strerror}") from e
    finally:
        os.close(to_read)
        os.close(out_write)
    with open(to_write, "wb") as file:
        file.write(text.encode())
    with open(out_read, "rb") as file:
        answer = file.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == 0:
        return answer
    reason = answer.decode("utf-8", "replace").strip()
    if "credentials not found" in reason:
        return b""
    raise System(
        f"error getting credentials: {program} {verb}: {reason or f'exit status {status}'}"
    )

"""One way to a registry: the registry itself or a mirror, with how to speak TLS to it."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from moorage.lib.httpclient import TLS


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where requests for repositories of *domain* go."""

    api: str  # "https://registry-1.docker.io/v2", without a slash at the end
    domain: str  # the registry as references name it
    tls: TLS = TLS()
    is_mirror: bool = False
    can_resolve: bool = True  # tags to digests
    can_pull: bool = True
    can_push: bool = True
    headers: dict[str, str] = {}
    namespace: bool = False  # tell a mirror by ?ns= which registry is meant, as containerd does
    strip: str = ""  # of the repository's path, before `prepend` is put there
    prepend: str = ""
    insecure_twin: bool = False  # unverified TLS; the plain alternative comes behind it
    insecure_alternative: bool = False  # plain HTTP, to be tried after TLS has failed

    @property
    def host(self) -> str:
        """Host and port, as messages name it."""
        return urlsplit(self.api).netloc

    @property
    def is_plain(self) -> bool:
        """Whether it is spoken to without TLS."""
        return self.api.startswith("http://")

    def repository_url(self, path: str) -> str:
        """Return the address below which the repository's manifests and blobs are."""
        rest = f"{path}/".removeprefix(self.strip).rstrip("/")
        return "/".join(filter(None, (self.api, self.prepend.rstrip("/"), rest)))

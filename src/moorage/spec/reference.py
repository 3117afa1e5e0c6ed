"""Image references: the grammar of the distribution project and Docker's short ("familiar") forms.

``nginx`` is short for ``docker.io/library/nginx:latest``. A reference may carry a tag, a digest,
or both. 64 hexadecimal digits alone are an image id and never a repository, so that a tag cannot
be mistaken for an id.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from msgspec import Struct, structs

from moorage.lib.errors import InvalidParameter
from moorage.spec import digest as digests
from moorage.spec.digest import Digest

DEFAULT_DOMAIN: Final = "docker.io"
LEGACY_DEFAULT_DOMAIN: Final = "index.docker.io"
OFFICIAL_PREFIX: Final = "library/"
DEFAULT_TAG: Final = "latest"
NAME_LENGTH_MAX: Final = 255

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z", re.ASCII)
_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN: Final = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?\Z", re.ASCII
)
_TAG: Final = re.compile(r"[\w][\w.-]{0,127}\Z", re.ASCII)
_IDENTIFIER: Final = re.compile(r"[a-f0-9]{64}\Z", re.ASCII)


class Reference(Struct, frozen=True, order=True):
    """A normalised reference; ``str()`` gives the full form, ``familiar`` the short one."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """The repository: ``docker.io/library/nginx``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as Docker shows it: ``nginx``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(OFFICIAL_PREFIX)
        return short if "/" not in short else self.path

    @property
    def familiar(self) -> str:
        """The reference as Docker shows it: ``nginx:latest``."""
        return self.familiar_name + self._suffix

    @property
    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return tag + (f"@{self.digest}" if self.digest is not None else "")

    def __str__(self) -> str:
        """Return the full form."""
        return self.name + self._suffix

    @property
    def is_name_only(self) -> bool:
        """Whether neither a tag nor a digest is given."""
        return self.tag is None and self.digest is None

    def with_default_tag(self) -> Reference:
        """Return the reference with ``latest`` if it names only a repository."""
        return structs.replace(self, tag=DEFAULT_TAG) if self.is_name_only else self

    def with_tag(self, tag: str) -> Reference:
        """Return the repository with *tag* and no digest.

        Raises: InvalidParameter.
        """
        if not _TAG.match(tag):
            raise InvalidParameter("invalid tag format")
        return Reference(self.domain, self.path, tag)

    def with_digest(self, digest: Digest) -> Reference:
        """Return the repository with *digest* and no tag."""
        return Reference(self.domain, self.path, None, digest)

    def repository(self) -> Reference:
        """Return the reference without tag and digest."""
        return Reference(self.domain, self.path)


def parse_normalized(text: str) -> Reference:
    """Parse a familiar or full reference, without adding a tag.

    Raises: InvalidParameter, with the sentences of Docker.
    """
    if _IDENTIFIER.match(text):
        raise InvalidParameter(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    rest, at, digest_text = text.partition("@")
    digest = None
    if at:
        if not digests.is_digest(digest_text):
            raise InvalidParameter("invalid reference format")
        digest = Digest(digest_text)
    domain, remainder = _split_domain(rest)
    path, colon, tag = remainder.partition(":")
    if colon and not _TAG.match(tag):
        raise InvalidParameter("invalid reference format")
    if not _PATH.match(path):
        if path != path.lower() and _PATH.match(path.lower()):
            raise InvalidParameter(
                f"invalid reference format: repository name ({path}) must be lowercase"
            )
        raise InvalidParameter("invalid reference format")
    if not _DOMAIN.match(domain):
        raise InvalidParameter("invalid reference format")
    if len(path) > NAME_LENGTH_MAX:
        raise InvalidParameter(
            f"repository name must not be more than {NAME_LENGTH_MAX} characters"
        )
    return Reference(domain, path, tag if colon else None, digest)


@lru_cache(maxsize=512)  # a listing asks for the same few names again and again
def parse_with_default_tag(text: str) -> Reference:
    """Parse *text* and add ``latest`` where it names only a repository."""
    return parse_normalized(text).with_default_tag()


def is_ambiguous(reference: Reference) -> bool:
    """Whether the repository reads like a digest or an id: ``sha256:1234``, 64 digits."""
    name = reference.familiar_name
    return name in {"sha256", "sha384", "sha512"} or bool(_IDENTIFIER.match(name))


def is_image_id(text: str) -> bool:
    """Whether *text* is a whole image id, with or without its algorithm."""
    return bool(_IDENTIFIER.match(text.removeprefix("sha256:")))


def _split_domain(name: str) -> tuple[str, str]:
    """Divide *name* as Docker does: the first part is a host if it looks like one."""
    first, slash, remainder = name.partition("/")
    looks_like_host = "." in first or ":" in first or first == "localhost" or first.lower() != first
    if not slash or not looks_like_host:
        domain, remainder = DEFAULT_DOMAIN, name
    else:
        domain = DEFAULT_DOMAIN if first == LEGACY_DEFAULT_DOMAIN else first
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = OFFICIAL_PREFIX + remainder
    return domain, remainder

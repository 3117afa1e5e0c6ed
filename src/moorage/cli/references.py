"""Image names as people type them."""

from __future__ import annotations

from moorage.cli.failure import CommandError

DEFAULT_TAG = "latest"
ID_LENGTH = 64  # digits of an image's ID, which is no name
_HEX = frozenset("0123456789abcdef")
_SPLIT = str.maketrans("._-", "///")  # separators of words, which no word holds itself
HUB = ("docker.io/", "index.docker.io/")


def split_tag(name: str) -> tuple[str, str]:
    """Split ``repository[:tag|@digest]``; the second part is empty if absent.

    Raises: CommandError, if more than one tag is given.
    """
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, ""
    if ":" in repository.rpartition("/")[2]:
        raise CommandError("invalid reference format")
    return repository, tag


def check(name: str) -> None:
    """Refuse what is no name of an image.

    Raises: InvalidParameter.
    """
    if is_plain(name):
        return
    from moorage.spec.reference import parse_normalized  # costs as much as all the rest

    parse_normalized(name)


def is_plain(name: str) -> bool:
    """Tell whether *name* is an ordinary one, ``host:port/path/name:tag@sha256:digits``.

    What is not may still be a name by the whole grammar, which is only then worth loading.
    """
    rest, at, digest = name.partition("@")
    parts = rest.split("/")
    last, colon, tag = parts.pop().partition(":")
    if parts and ("." in parts[0] or ":" in parts[0]) and not _is_host(parts.pop(0)):
        return False
    return (
        len(rest) < ID_LENGTH
        and all(map(_is_component, [*parts, last]))
        and (not colon or _is_tag(tag))
        and (not at or _is_digest(digest))
    )


def _is_host(text: str) -> bool:
    name, colon, port = text.partition(":")
    return all(map(_is_alphanumeric, name.replace("-", ".").split("."))) and (
        not colon or (port.isascii() and port.isdecimal())
    )


def _is_component(text: str) -> bool:
    """Tell whether *text* is small letters and digits with single separators between them."""
    return text == text.lower() and all(map(_is_alphanumeric, text.translate(_SPLIT).split("/")))


def _is_tag(text: str) -> bool:
    return text[:1].isalnum() and _is_alphanumeric(text.translate(_SPLIT).replace("/", ""))


def _is_digest(text: str) -> bool:
    algorithm, _, digits = text.partition(":")
    return algorithm == "sha256" and len(digits) == ID_LENGTH and set(digits) <= _HEX


def _is_alphanumeric(text: str) -> bool:
    return text.isascii() and text.isalnum()


def split_new_tag(name: str) -> tuple[str, str]:
    """Split the name that an image is to be given.

    Raises: InvalidParameter (no name, or one with a digest).
    """
    check(name)
    if "@" in name:
        from moorage.lib.errors import InvalidParameter

        raise InvalidParameter("refusing to create a tag with a digest reference")
    return split_tag(name)


def familiar(name: str) -> str:
    """Return the name as docker prints it: without the default registry, with a tag."""
    repository, tag = split_tag(name)
    for prefix in HUB:
        repository = repository.removeprefix(prefix)
    repository = repository.removeprefix("library/")
    if tag.startswith("sha256:"):
        return f"{repository}@{tag}"
    return f"{repository}:{tag or DEFAULT_TAG}"


def platform_json(text: str) -> str | None:
    """Return ``os/architecture/variant`` as the API's JSON; None for no platform."""
    if not text:
        return None
    from moorage.client import jsonwire

    parts = text.split("/")
    names = ("os", "architecture", "variant")
    return jsonwire.encode(dict(zip(names, parts, strict=False)))

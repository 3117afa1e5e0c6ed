"""Image names as people type them."""

from __future__ import annotations

from moorage.cli.failure import CommandError

DEFAULT_TAG = "latest"
SHORT = 60  # shorter than an image's ID, which is no name
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
    """Tell whether *name* is ``path/name:tag`` of the simplest kind, which needs no grammar."""
    if "@" in name or name.count(":") > 1:
        return False
    repository, tag = split_tag(name)
    parts = repository.split("/")
    return (
        len(name) < SHORT
        and all(part and part.isascii() and part.isalnum() for part in parts)
        and repository == repository.lower()
        and (not tag or (tag.isascii() and tag.replace(".", "").replace("-", "").isalnum()))
        and (name == repository or tag[:1].isalnum())
    )


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

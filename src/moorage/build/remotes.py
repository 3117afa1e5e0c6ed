"""Addresses of things to fetch: which are Git repositories, which plain downloads. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from msgspec import Struct

from moorage.lib import addresses
from moorage.lib.errors import InvalidParameter

_SCP: Final = re.compile(r"[A-Za-z0-9_-]+@[A-Za-z0-9_.-]+:(?!/?/)(.*)\Z")
_REF: Final = re.compile(r"(?!-)[^\s~^:?*\[\\\x00-\x1f]*\Z")  # never taken for an option of git
_GIT_SCHEMES: Final = frozenset({"git", "ssh", "git+ssh", "git+http", "git+https"})


class GitAddress(Struct, frozen=True):
    """A repository, a place in its history and a directory in it."""

    url: str
    ref: str = ""
    subdirectory: str = ""


def is_url(text: str) -> bool:
    """Say whether *text* is an http(s) address."""
    return text.startswith(("http://", "https://"))


def parse_git(text: str) -> GitAddress | None:
    """Return the repository that *text* names, None if it is something else.

    Raises: InvalidParameter (no address; a ref or directory that tries tricks).
    """
    if _SCP.match(text):
        url, _, fragment = text.partition("#")
        return _checked(url, fragment, {})
    if text.startswith("github.com/"):
        text = f"https://{text}"
    elif not re.match(r"[a-z+]+://", text):
        return None
    parts = urlsplit(addresses.checked(text))
    if parts.scheme not in _GIT_SCHEMES:
        if not is_url(text):
            return None
        github = parts.netloc == "github.com" and parts.path.count("/") == 2
        if not parts.path.endswith(".git") and not github:
            return None
    queries = parse_qs(parts.query)
    scheme = parts.scheme.removeprefix("git+") if parts.scheme != "git" else "git"
    return _checked(urlunsplit((scheme, parts.netloc, parts.path, "", "")), parts.fragment, queries)


def _checked(url: str, fragment: str, queries: dict[str, list[str]]) -> GitAddress:
    ref, _, directory = fragment.partition(":")
    for name in ("ref", "branch", "tag", "commit"):
        ref = queries.get(name, [ref])[-1]
    directory = queries.get("subdir", [directory])[-1]
    if not _REF.match(ref) or ".." in ref:
        raise InvalidParameter(f"invalid Git reference: {ref!r}")
    parts = [part for part in directory.split("/") if part not in {"", "."}]
    if ".." in parts or "\0" in directory:
        raise InvalidParameter(f"invalid directory in the Git address: {directory!r}")
    return GitAddress(url, ref, "/".join(parts))


def redact(address: str) -> str:
    """Hide the password of an address."""
    return re.sub(r"(\A[a-z+]+://[^/:@\s]*:)[^/@\s]+(@)", r"\1xxxxx\2", address)

"""Which modules the daemon does without until somebody wants something of them.

asyncio brings the parser of Python, ``subprocess`` the names of all locales, ``socket`` the tables
of internationalised names; a daemon in whose images nothing is compressed by zstd needs no zstd.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MODULES: Final = (
    *("ast", "tokenize", "locale", "stringprep", "difflib", "csv", "tomllib", "email.utils"),
    *("bz2", "lzma", "zstandard", "isal.igzip", "isal.igzip_lib", "isal.isal_zlib"),
    *("shlex", "unicodedata"),
    *(
        f"moorage.{package}.{name}"
        for package, names in {
            "api": "websocket",
            "build": "agents assembly contexts graph neighbours options session streams",
            "build.frontends.dockerfile": "convert lint parser source",
            "buildkit": "service",
            "cdi": "catalogue guarded reading requests",
            "cluster": "etcd",
            "containers": "archive changes commit filesystem_view prune stats top update",
            "daemon": "fsck purge",
            "images": "attestations check distribution download importing load prune remote"
            " removeplatforms save search source unpacking upload",
            "logs": "reader",
            "networks.drivers": "remote",
            "registry": "auth repository transport",
            "storage": "compare treecopy",
            "storage.archive": "extract pack reader",
            "storage.snapshots": "difference",
            "volumes": "copyup transfer",
        }.items()
        for name in names.split()
    ),
)
"""Used inside of functions only, by us and by the libraries that import them."""

AT_IMPORT: Final[Mapping[str, Mapping[str, object]]] = {
    "ast": {"NodeVisitor": object},  # base of the class by which ``inspect`` looks into sources
}
"""What is wanted of them nonetheless while others are imported, and what is given instead."""

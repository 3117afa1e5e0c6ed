"""Modules that are imported by the way, loaded when they are first used.

asyncio brings the parser of Python, ``subprocess`` the names of all locales, ``socket`` the tables
of internationalised names; a daemon in whose images nothing is compressed by zstd needs no zstd.
What imports such a module gets a stand-in, which loads the real one for the first attribute.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Final

SELDOM: Final = (
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


_LEAVING: Final = threading.Lock()  # of the stand-in: two threads may want the first attribute


class _Later(ModuleType):
    """Stands for a module until somebody wants something of it."""

    def __getattr__(self, name: str) -> object:
        with _LEAVING:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def defer() -> None:
    """Let the modules of ``SELDOM`` be loaded later, but for those that are there already.

    msgspec is kept from ``typing_extensions``, of which it wants what ``typing`` has as well.
    """
    for name in SELDOM:
        sys.modules.setdefault(name, _Later(name))
    vars(sys.modules["ast"]).setdefault("NodeVisitor", object)  # inspect's look into sources
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # as what is not installed
    try:
        importlib.import_module("msgspec")
    finally:
        del sys.modules["typing_extensions"]

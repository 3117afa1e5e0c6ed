"""A short way to our own modules: the interpreter's takes a tenth of a whole ``moor ps``.

The interpreter looks for a module in every entry of the path, as six kinds of file, in Python. Ours
are all one kind: ``NAME.py`` or ``NAME/__init__.py`` with its byte code in ``__pycache__``. This
finder looks at the source, reads the byte code that belongs to it, and leaves everything else
(byte code absent, older than its source, of another interpreter) to the finders behind it, which
also write it anew. The launcher runs this file by itself, so that not even our outermost packages
are sought the long way.
"""

from __future__ import annotations

import marshal
import posix
import sys
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import ClassVar

_PACKAGE, _OURS = "moorage", "moorage."
_HEADER = 16  # magic, flags (0: checked by time and size), seconds, size; PEP 552
_TIMED = MAGIC_NUMBER + bytes(4)
_SUFFIX = f".{sys.implementation.cache_tag}.pyc"
_MASK = 0xFFFFFFFF
_CHUNK = 1 << 16  # more is asked of the kernel anew for every read, at ten times the read's price
_Spec = type(sys.__spec__)  # importlib.machinery.ModuleSpec, without importing it


class DirectFinder:
    """Finder and loader of modules whose byte code is up to date."""

    root: ClassVar[list[str]] = []  # where our outermost package is

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, _target: object = None
    ) -> ModuleSpec | None:
        """Return the module's spec with its byte code, None to leave it to others."""
        if name == _PACKAGE:
            path = cls.root
        elif not name.startswith(_OURS):
            return None
        if not path:
            return None
        folder, tail = path[0], name.rpartition(".")[2]
        source, package = f"{folder}/{tail}.py", ""
        try:
            try:
                status = posix.stat(source)
            except FileNotFoundError:
                folder = package = f"{folder}/{tail}"
                source, tail = f"{package}/__init__.py", "__init__"
                status = posix.stat(source)
            code = _read(f"{folder}/__pycache__/{tail}{_SUFFIX}")
        except OSError:
            return None
        written = (int(status.st_mtime) & _MASK).to_bytes(4, "little")
        size = (status.st_size & _MASK).to_bytes(4, "little")
        if code[:_HEADER] != _TIMED + written + size:
            return None
        spec = _Spec(
            name,
            cls,  # type: ignore[arg-type] # the class serves as its own instance
            origin=source,
            loader_state=code,
        )
        if package:
            spec.submodule_search_locations = [package]
        return spec

    @staticmethod
    def create_module(_spec: ModuleSpec) -> None:
        """Have the interpreter make an empty module."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Run the byte code."""
        if (spec := module.__spec__) is None:
            return
        # not spec.has_location: it has the name of the byte code made up anew, at a price
        module.__file__ = spec.origin
        code = marshal.loads(spec.loader_state[_HEADER:])  # noqa: S302 - as the interpreter does
        spec.loader_state = None
        exec(code, module.__dict__)  # noqa: S102 - so a module is run


def install(root: str) -> None:
    """Ask this finder first; our packages are in the directory *root*."""
    DirectFinder.root = [root]
    sys.meta_path.insert(0, DirectFinder)


def _read(path: str) -> bytes:
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        code = part = posix.read(descriptor, _CHUNK)
        while len(part) == _CHUNK:
            part = posix.read(descriptor, _CHUNK)
            code += part
        return code
    finally:
        posix.close(descriptor)

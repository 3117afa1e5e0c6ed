"""Modules that are imported by the way, loaded when they are first used, or not at all.

What imports such a module gets a stand-in, which loads the real one for the first attribute.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Final

_LEAVING: Final = threading.Lock()  # of the stand-in: two threads may want the first attribute


class _Later(ModuleType):
    """Stands for a module until somebody wants something of it."""

    def __getattr__(self, name: str) -> object:
        with _LEAVING:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def defer(names: Iterable[str], at_import: Mapping[str, Mapping[str, object]]) -> None:
    """Let modules be loaded later, but for those that are there already.

    *at_import*: attributes, by module, that others want while they are imported themselves; the
    stand-in has these, and does not load the module for them.
    """
    for name in names:
        sys.modules.setdefault(name, _Later(name))
    for name, attributes in at_import.items():
        for attribute, value in attributes.items():
            vars(sys.modules[name]).setdefault(attribute, value)


def load_without(name: str, absent: str) -> None:
    """Import a module as if this Python had no module *absent*, which it can do without."""
    if name in sys.modules:
        return
    sys.modules[absent] = None  # type: ignore[assignment]  # as the import system marks what is not
    try:
        importlib.import_module(name)
    finally:
        del sys.modules[absent]

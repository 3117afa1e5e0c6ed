"""The standard library's parts in C, without the Python around them.

What the zygote has loaded is shared by all monitors, but each holds its own copy of every page it
touches: the fewer objects there are, the denser lie those in use. ``typing``, ``json``, ``signal``
(an enum), ``os``, ``re``, ``ctypes``, ``contextlib`` and ``collections`` would be three fifths of
them.
"""

from __future__ import annotations

import _ctypes
import _json

TYPE_CHECKING = False  # typing.TYPE_CHECKING, by a name that type checkers know
if TYPE_CHECKING:
    import os
    import signal
    from collections import deque
    from contextlib import suppress
    from functools import partial
    from heapq import heappop, heappush
    from json.encoder import encode_basestring
    from struct import Struct
    from typing import Any
else:
    import _signal as signal
    import posix as os
    from _collections import deque
    from _functools import partial
    from _heapq import heappop, heappush
    from _json import encode_basestring
    from _struct import Struct

    class suppress:  # noqa: N801 - stands for contextlib's
        """Let the block be left silently by one of some exceptions."""

        __slots__ = ("_errors",)

        def __init__(self, *errors: type[BaseException]) -> None:
            self._errors = errors

        def __enter__(self) -> None:
            """Return nothing of use."""

        def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
            """Leave silently if *kind* is one of them."""
            return kind is not None and issubclass(kind, self._errors)


__all__ = [
    "TYPE_CHECKING",
    "Struct",
    "deque",
    "encode_basestring",
    "exit_now",
    "from_json",
    "heappop",
    "heappush",
    "os",
    "partial",
    "prctl",
    "signal",
    "suppress",
    "to_json",
]


class _Plain:
    """What the scanner is to make of JSON: as ``json.loads``."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


exit_now = os._exit  # noqa: SLF001 - public, but for its name

_PRCTL = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]


def _refuse(value: object) -> object:
    raise TypeError(f"not for JSON: {value!r}")


_scan = _json.make_scanner(_Plain)  # type: ignore[arg-type]
_chunks = _json.make_encoder(
    None, _refuse, _json.encode_basestring_ascii, None, ":", ",",
    False, False, False,  # noqa: FBT003 - sort_keys, skipkeys, allow_nan
)  # fmt: skip


def from_json(text: str) -> Any:
    """Read one JSON value, without space around it.

    Raises: ValueError.
    """
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no JSON") from None
    if end != len(text):
        raise ValueError("more than one JSON value")
    return value


def to_json(value: object) -> str:
    """Write JSON, as compactly as can be."""
    return "".join(_chunks(value, 0))


def prctl(option: int, value: int | bytes) -> None:
    """Set an attribute of this process; whether it is allowed is not told."""
    _ctypes.call_function(_PRCTL, (option, value, 0, 0, 0))

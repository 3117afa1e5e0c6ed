"""Labels of SELinux: what a container's processes and files get, by option and by policy (pure).

A label is ``user:role:type:level``. The type says what is a container's, and keeps containers off
the host; the level's two categories keep them off one another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, structs

from moorage.lib.errors import InvalidParameter

_PARTS: Final = ("user", "role", "type", "level")
_OPTIONS: Final = frozenset({"disable", "user", "role", "level", "type", "filetype"})
DISABLE: Final = "disable"
SHARED_LEVEL: Final = "s0"  # no categories: every container may
PRIVILEGED_LEVEL: Final = "s0:c1022,c1023"  # of files of those that are not confined


class Label(Struct, frozen=True):
    """One label in its parts."""

    user: str
    role: str
    type: str
    level: str = ""  # with its categories, which contain colons

    @classmethod
    def parse(cls, text: str) -> Label:
        """Parse a label. Raises: InvalidParameter."""
        parts = text.split(":", 3)
        if len(parts) < 3 or not all(parts[:3]):
            raise InvalidParameter(f"invalid SELinux label: {text}")
        return cls(*parts)

    def __str__(self) -> str:
        """Write it as the kernel does."""
        return ":".join(part for part in (self.user, self.role, self.type, self.level) if part)

    def at(self, level: str) -> Label:
        """Return the same at another level."""
        return structs.replace(self, level=level)


class Policy(Struct, frozen=True):
    """What the policy gives containers: ``lxc_contexts(5)``."""

    process: Label
    file: Label

    @classmethod
    def parse(cls, text: str) -> Policy | None:
        """Read the file of the policy; None if it has no types for containers.

        Raises: InvalidParameter (a broken label).
        """
        found: dict[str, str] = {}
        for line in text.splitlines():
            key, equals, value = line.partition("=")
            if equals and not key.lstrip().startswith(("#", ";")):
                found.setdefault(key.strip(), value.strip().strip('"'))
        if not found.get("process") or not found.get("file"):
            return None
        return cls(Label.parse(found["process"]), Label.parse(found["file"]))


class Labels(Struct, frozen=True):
    """Those of one container, as text; "" for none."""

    process: str = ""
    mount: str = ""


NO_LABELS: Final = Labels()


def check(options: Iterable[str]) -> None:
    """Refuse what is no option of ``--security-opt label=``, in Docker's words.

    Raises: InvalidParameter.
    """
    for option in options:
        key, colon, _ = option.partition(":")
        if option != DISABLE and not colon:
            raise InvalidParameter(
                f"Bad label option {_quoted(option)}, valid options 'disable' or \n"
                "'user, role, level, type, filetype' followed by ':' and a value"
            )
        if key not in _OPTIONS:
            raise InvalidParameter(
                f"Bad label option {_quoted(key)}, valid options 'disable, user, role, level, type,"
                " filetype'"
            )


def make(policy: Policy, options: Iterable[str], level: str) -> Labels:
    """Return the labels of a container with *options*; *level* is for it alone.

    Raises: InvalidParameter.
    """
    options = list(options)
    check(options)
    if DISABLE in options:
        return Labels("", str(policy.file.at(PRIVILEGED_LEVEL)))
    process, file = policy.process.at(level), policy.file.at(level)
    for option in options:
        key, _, value = option.partition(":")
        if key == "filetype":
            file = structs.replace(file, type=value)
            continue
        process = structs.replace(process, **{key: value})
        if key in {"level", "user"}:
            file = structs.replace(file, **{key: value})
    return Labels(str(process), str(file))


def duplicate(process: str) -> list[str]:
    """Return the options that give another container the label of *process*."""
    if not process:
        return []
    label = Label.parse(process)
    values = zip(_PARTS, structs.astuple(label), strict=True)
    return [f"{name}:{value}" for name, value in values if value]


def level_of(label: str) -> str:
    """Return the level of a label, "" if it has none."""
    return label.split(":", 3)[3] if label.count(":") >= 3 else ""


def shared(label: str) -> str:
    """Return the label that every container may use."""
    return str(Label.parse(label).at(SHARED_LEVEL))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

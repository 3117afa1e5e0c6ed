"""The command table: every command's path, its other names, and its module.

Dispatch, help pages, completion and "did you mean" all read this one table; what they say about a
command is in ``summaries.py``, which only they load. What a command takes is declared as
``COMMAND`` in its own module, which is loaded only when that command is used: ``container ls`` is
``commands/container/ls.py``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Command

PROGRAM = "moor"
VERSION = "0.1.0"

ALONE = "completion inspect login logout search version"
GROUPS: dict[str, str] = {  # the verbs of each: a text is there at once, a table is built
    "builder": "df history prune",
    "container": "attach commit cp create diff exec export inspect kill logs ls pause port prune"
    " rename restart rm run start stats stop top unpause update wait",
    "config": "create inspect ls rm",
    "context": "create export import inspect ls rm show update use",
    "image": "build history import inspect load ls prune pull push rm save tag",
    "manifest": "annotate create inspect push rm",
    "network": "connect create disconnect inspect ls prune rm",
    "node": "demote inspect ls promote ps rm update",
    "plugin": "create disable enable inspect install ls push rm set upgrade",
    "secret": "create inspect ls rm",
    "service": "create inspect logs ls ps rm rollback scale update",
    "stack": "config deploy ls ps rm services",
    "swarm": "ca init join join-token leave unlock unlock-key update",
    "system": "check df dial-stdio events info prune",
    "volume": "backup cp create inspect ls prune rename restore rm",
}
SWARM = frozenset({"config", "node", "secret", "service", "stack", "swarm"})
_OF_A_NODE = frozenset({"swarm init", "swarm join", "swarm leave"})
HIDDEN = frozenset({"system dial-stdio"})

_SYNONYMS = {"list": "ls", "remove": "rm"}
_WITHOUT_SYNONYMS = frozenset({"manifest"})
_SHORT = {
    "images": "image ls",
    "ps": "container ls",
    "rmi": "image rm",
    "builder build": "image build",
    "builder du": "builder df",
    "stack down": "stack rm",
    "stack up": "stack deploy",
    "container ps": "container ls",
}
_ALSO_ALONE = {  # verbs of a group that are known without it
    "container": "attach commit cp create diff exec export kill logs pause port rename restart rm"
    " run start stats stop top unpause update wait",
    "image": "build history import load pull push save tag",
    "system": "events info",
}


class Unknown(Exception):
    """No such command; ``typed`` is what was typed, ``parent`` the group it was looked for in."""

    def __init__(self, typed: str, parent: str) -> None:
        super().__init__(typed)
        self.typed = typed
        self.parent = parent


def find(words: list[str]) -> tuple[str, str, list[str]]:
    """Return the path as typed, the canonical path and the words after it.

    The canonical path is a group's name, or empty, when no command follows it.

    Raises: Unknown.
    """
    if not words:
        return "", "", []
    first = words[0]
    if first in GROUPS:
        if len(words) == 1 or words[1].startswith("-"):
            return first, first, words[1:]
        typed, used = f"{first} {words[1]}", 2
    else:
        typed, used = first, 1
    canonical = canonical_path(typed)
    if not is_command(canonical):
        raise Unknown(typed, first if used > 1 else "")
    return typed, canonical, words[used:]


def canonical_path(typed: str) -> str:
    """Return a command's own path for any of its names; what has no other is its own."""
    if typed in _SHORT:
        return _SHORT[typed]
    first, space, verb = typed.partition(" ")
    if not space:
        for group, verbs in _ALSO_ALONE.items():
            if first in verbs.split():
                return f"{group} {first}"
        return typed
    own = _SYNONYMS.get(verb, verb)
    known = first not in _WITHOUT_SYNONYMS and own in GROUPS.get(first, "").split()
    return f"{first} {own}" if known else typed


def is_command(canonical: str) -> bool:
    """Tell whether a command has this path."""
    first, space, verb = canonical.partition(" ")
    return verb in GROUPS.get(first, "").split() if space else first in ALONE.split()


def commands() -> list[str]:
    """Return the own paths of all commands, in their order."""
    grouped = (f"{group} {verb}" for group, verbs in GROUPS.items() for verb in verbs.split())
    return sorted([*ALONE.split(), *grouped])


def aliases() -> dict[str, str]:
    """Return every other path that leads to a command, with the command's own."""
    typed = [verb for verbs in _ALSO_ALONE.values() for verb in verbs.split()]
    typed += [
        f"{group} {synonym}"
        for group, verbs in GROUPS.items()
        if group not in _WITHOUT_SYNONYMS
        for synonym, verb in _SYNONYMS.items()
        if verb in verbs.split()
    ]
    return {alias: canonical_path(alias) for alias in (*typed, *_SHORT)}


def names_of(canonical: str) -> list[str]:
    """Return every path that leads to a command, its own first."""
    own = canonical.partition(" ")[0]
    others = [alias for alias, target in aliases().items() if target == canonical]
    return [canonical, *sorted(others, key=lambda alias: _distance(alias, own))]


def _distance(alias: str, group: str) -> int:
    """Order as docker does: the names in its own group, the name without one, the other groups'."""
    if alias.startswith(group + " "):
        return 0
    return 1 + (" " in alias)


def load(canonical: str) -> Command:
    """Import a command's module and return its declaration."""
    return load_module(module_name(canonical)).COMMAND  # type: ignore[attr-defined, no-any-return]


def load_module(name: str) -> object:
    """Import a module by name (``importlib`` itself would have to be imported first)."""
    return __import__(name, fromlist=("COMMAND",))


def module_name(canonical: str) -> str:
    """Return where a command lives; a Python keyword gets an underscore."""
    if canonical.partition(" ")[0] in SWARM and canonical not in _OF_A_NODE:
        return "moorage.cli.commands.swarm.asking"
    path = canonical.replace(" ", ".").replace("-", "_")
    if path.endswith("import"):
        path += "_"
    return "moorage.cli.commands." + path

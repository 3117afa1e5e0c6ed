"""The command table: every command's path and summary, its other names, and its module.

Dispatch, help pages, completion and "did you mean" all read this one table. What a command takes is
declared as ``COMMAND`` in its own module, which is loaded only when that command is used:
``container ls`` is ``commands/container/ls.py``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Command

PROGRAM = "moor"
VERSION = "0.1.0"

GROUPS: dict[str, str] = {
    "builder": "Look after the build cache",
    "container": "Manage containers",
    "context": "Manage contexts: the daemons this client can talk to",
    "image": "Manage images",
    "manifest": "Look at image manifests, and make lists of them",
    "network": "Manage networks",
    "plugin": "Manage plugins",
    "system": "Manage the engine as a whole",
    "volume": "Manage volumes",
}

COMMANDS: dict[str, str] = {
    "builder df": "Show the records of the build cache",
    "builder history": "List past builds, or show one with its log",
    "builder prune": "Remove build cache",
    "completion": "Print a shell's completion script",
    "container attach": "Connect the terminal to a running container's input and output",
    "container commit": "Make an image from a container's changes",
    "container cp": "Copy files between a container and this machine",
    "container create": "Make a new container without starting it",
    "container diff": "Show which files of a container differ from its image",
    "container exec": "Run a command inside a running container",
    "container export": "Write a container's file system as a tar archive",
    "container inspect": "Show everything about one or more containers",
    "container kill": "Kill one or more running containers",
    "container logs": "Show what a container has written",
    "container ls": "List containers",
    "container pause": "Freeze all processes of one or more containers",
    "container port": "Show a container's published ports",
    "container prune": "Remove all stopped containers",
    "container rename": "Rename a container",
    "container restart": "Restart one or more containers",
    "container rm": "Remove one or more containers",
    "container run": "Make a container from an image and run it",
    "container start": "Start one or more stopped containers",
    "container stats": "Show the resources containers use, live",
    "container stop": "Stop one or more running containers",
    "container top": "Show a container's processes",
    "container unpause": "Thaw one or more paused containers",
    "container update": "Change the limits of one or more containers",
    "container wait": "Wait until containers stop, then print their exit codes",
    "context create": "Create a context",
    "context export": "Write a context to a tar archive",
    "context import": "Read a context from a tar or zip archive",
    "context inspect": "Show everything about one or more contexts",
    "context ls": "List contexts",
    "context rm": "Remove one or more contexts",
    "context show": "Print the name of the current context",
    "context update": "Change a context",
    "context use": "Choose the current context",
    "image build": "Build an image from a Dockerfile",
    "image history": "Show how an image was made",
    "image import": "Make an image from a tar archive of a file system",
    "image inspect": "Show everything about one or more images",
    "image load": "Read images from an archive or standard input",
    "image ls": "List images",
    "image prune": "Remove unused images",
    "image pull": "Download an image from a registry",
    "image push": "Upload an image to a registry",
    "image rm": "Remove one or more images",
    "image save": "Write images to an archive or standard output",
    "image tag": "Give an image another name",
    "inspect": "Show everything about objects of any kind",
    "login": "Log in to a registry",
    "logout": "Log out from a registry",
    "manifest annotate": "Say for which platform a manifest of a local list is",
    "manifest create": "Make a local list of manifests, to be annotated and pushed",
    "manifest inspect": "Show a manifest or a list, local or in a registry",
    "manifest push": "Push a local list to its registry",
    "manifest rm": "Remove local lists",
    "network connect": "Connect a container to a network",
    "network create": "Create a network",
    "network disconnect": "Disconnect a container from a network",
    "network inspect": "Show everything about one or more networks",
    "network ls": "List networks",
    "network prune": "Remove all unused networks",
    "network rm": "Remove one or more networks",
    "plugin create": "Make a plugin of a root file system and a configuration",
    "plugin disable": "Disable a plugin",
    "plugin enable": "Enable a plugin",
    "plugin inspect": "Show everything about one or more plugins",
    "plugin install": "Install a plugin",
    "plugin ls": "List plugins",
    "plugin push": "Upload a plugin to a registry",
    "plugin rm": "Remove one or more plugins",
    "plugin set": "Change settings of a plugin",
    "plugin upgrade": "Replace a plugin by another version of it",
    "search": "Search a registry for images",
    "system check": "Look for damage in the daemon's store, and mend it",
    "system df": "Show the disk space in use",
    "system dial-stdio": "Connect standard input and output to the daemon's socket",
    "system events": "Show what happens in the daemon, live",
    "system info": "Show facts about the daemon and its host",
    "system prune": "Remove unused data",
    "version": "Show the versions of client and daemon",
    "volume backup": "Write a volume's content to a tar archive",
    "volume cp": "Copy a volume into a new one",
    "volume create": "Create a volume",
    "volume inspect": "Show everything about one or more volumes",
    "volume ls": "List volumes",
    "volume prune": "Remove unused volumes",
    "volume rename": "Rename a volume",
    "volume restore": "Fill a volume from a tar archive",
    "volume rm": "Remove one or more volumes",
}

SLIPS = 2  # so many slips of the finger make a command that was meant

HIDDEN = frozenset({"system dial-stdio"})

COMMON = (
    *("run", "exec", "ps", "build", "pull", "push", "images"),
    *("login", "logout", "search", "version", "info"),
)

ALIASES: dict[str, str] = {
    "builder build": "image build",
    "builder du": "builder df",
    "container list": "container ls",
    "container ps": "container ls",
    "container remove": "container rm",
    "context list": "context ls",
    "context remove": "context rm",
    "image list": "image ls",
    "image remove": "image rm",
    "network list": "network ls",
    "network remove": "network rm",
    "plugin list": "plugin ls",
    "plugin remove": "plugin rm",
    "volume list": "volume ls",
    "volume remove": "volume rm",
    "images": "image ls",
    "ps": "container ls",
    "rmi": "image rm",
    **{
        verb: f"container {verb}"
        for verb in (
            *("attach", "commit", "cp", "create", "diff", "exec", "export", "kill", "logs"),
            *("pause", "port", "rename", "restart", "rm", "run", "start", "stats", "stop", "top"),
            *("unpause", "update", "wait"),
        )
    },
    **{
        verb: f"image {verb}"
        for verb in ("build", "history", "import", "load", "pull", "push", "save", "tag")
    },
    **{verb: f"system {verb}" for verb in ("events", "info")},
}


_NO_SWARM = "Moorage has no swarm; networks across hosts need none (cluster-store in daemon.json)"
ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(("config", "node", "secret", "service", "stack", "swarm"), _NO_SWARM),
    "buildx": "'moor build' has buildx's features; a docker-buildx plugin would be run",
    "checkpoint": "checkpoints are not built",
    "compose": "put the docker-compose plugin into ~/.docker/cli-plugins, or use docker-compose",
    "trust": "content trust is not built",
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
    canonical = ALIASES.get(typed, typed)
    if canonical not in COMMANDS:
        raise Unknown(typed, first if used > 1 else "")
    return typed, canonical, words[used:]


def load(canonical: str) -> Command:
    """Import a command's module and return its declaration."""
    return load_module(module_name(canonical)).COMMAND  # type: ignore[attr-defined, no-any-return]


def load_module(name: str) -> object:
    """Import a module by name (``importlib`` itself would have to be imported first)."""
    return __import__(name, fromlist=("COMMAND",))


def module_name(canonical: str) -> str:
    """Return where a command lives; a Python keyword gets an underscore."""
    path = canonical.replace(" ", ".").replace("-", "_")
    if path.endswith("import"):
        path += "_"
    return "moorage.cli.commands." + path


def names_of(canonical: str) -> list[str]:
    """Return every path that leads to a command, its own first."""
    return [canonical, *(alias for alias, target in ALIASES.items() if target == canonical)]


def nearest(typed: str, parent: str) -> list[str]:
    """Return the commands that a mistyped one may have meant, best first."""
    paths = [*COMMANDS, *ALIASES]
    if parent:
        candidates = [path for path in paths if path.startswith(parent + " ")]
    else:
        candidates = [path for path in (*paths, *GROUPS) if " " not in path]
    slips = {path: _slips(typed, path) for path in candidates}
    close = sorted((path for path in candidates if slips[path] <= SLIPS), key=slips.__getitem__)
    starts = [path for path in candidates if path.startswith(typed) and path not in close]
    return (close + starts)[:3]


def _slips(typed: str, meant: str) -> int:
    """Count the letters to change, add or leave out (Levenshtein's distance)."""
    above = list(range(len(meant) + 1))
    for row, letter in enumerate(typed, 1):
        current = [row]
        for column, other in enumerate(meant):
            changed = above[column] + (letter != other)
            current.append(min(changed, above[column + 1] + 1, current[column] + 1))
        above = current
    return above[-1]

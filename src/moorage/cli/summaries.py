"""What every command and group is for, in a line, and what a mistyped one may have meant.

The texts of help pages and completion; dispatch does without them.
"""

from __future__ import annotations

from moorage.cli import tree

GROUPS: dict[str, str] = {
    "builder": "Look after the build cache",
    "config": "Manage configs of a swarm",
    "container": "Manage containers",
    "context": "Manage contexts: the daemons this client can talk to",
    "image": "Manage images",
    "manifest": "Look at image manifests, and make lists of them",
    "network": "Manage networks",
    "node": "Manage nodes of a swarm",
    "plugin": "Manage plugins",
    "secret": "Manage secrets of a swarm",
    "service": "Manage services of a swarm",
    "stack": "Manage stacks of a swarm",
    "swarm": "Form, join or leave a swarm",
    "system": "Manage the engine as a whole",
    "volume": "Manage volumes",
}

COMMANDS: dict[str, str] = {
    "builder df": "Show the records of the build cache",
    "builder history": "List past builds, or show one with its log",
    "builder prune": "Remove build cache",
    "completion": "Print a shell's completion script",
    "config create": "Make a config of a file",
    "config inspect": "Show everything about one or more configs",
    "config ls": "List configs",
    "config rm": "Remove one or more configs",
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
    "node demote": "Make managers workers",
    "node inspect": "Show everything about one or more nodes",
    "node ls": "List the nodes of a swarm",
    "node promote": "Make workers managers",
    "node ps": "List the tasks of one or more nodes",
    "node rm": "Remove one or more nodes from a swarm",
    "node update": "Change a node",
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
    "secret create": "Make a secret of a file or standard input",
    "secret inspect": "Show everything about one or more secrets",
    "secret ls": "List secrets",
    "secret rm": "Remove one or more secrets",
    "service create": "Create a service",
    "service inspect": "Show everything about one or more services",
    "service logs": "Show what a service or a task has written",
    "service ls": "List services",
    "service ps": "List the tasks of one or more services",
    "service rm": "Remove one or more services",
    "service rollback": "Take back the last change of a service",
    "service scale": "Change how many tasks services have",
    "service update": "Change a service",
    "stack config": "Show a stack's files as one, checked",
    "stack deploy": "Create a stack, or change one",
    "stack ls": "List stacks",
    "stack ps": "List the tasks of a stack",
    "stack rm": "Remove one or more stacks",
    "stack services": "List the services of a stack",
    "swarm ca": "Show or change the root certificate",
    "swarm init": "Form a swarm",
    "swarm join": "Join a swarm",
    "swarm join-token": "Show the tokens that let nodes in",
    "swarm leave": "Leave the swarm",
    "swarm unlock": "Unlock a swarm",
    "swarm unlock-key": "Show the key that unlocks a swarm",
    "swarm update": "Change a swarm",
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

COMMON = (
    *("run", "exec", "ps", "build", "pull", "push", "images"),
    *("login", "logout", "search", "version", "info"),
)

SLIPS = 2  # so many slips of the finger make a command that was meant

ELSEWHERE: dict[str, str] = {
    "buildx": "'moor build' has buildx's features; a docker-buildx plugin would be run",
    "checkpoint": "checkpoints are not built",
    "compose": "put the docker-compose plugin into ~/.docker/cli-plugins, or use docker-compose",
    "trust": "content trust is not built: name images by digest, image@sha256:…",
}


def nearest(typed: str, parent: str) -> list[str]:
    """Return the commands that a mistyped one may have meant, best first."""
    paths = [*COMMANDS, *tree.aliases()]
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

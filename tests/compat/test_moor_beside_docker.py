"""``moor`` and the official client, the same command against the same daemon, byte for byte.

Differences that are meant are taken out first: the program's name, "See" for "Run" before a help
page's name, and the line of usage hints that our messages have and docker's do not.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cli import Cli, Result

pytestmark = pytest.mark.requires("root", "overlayfs", "docker")

Compare = Callable[..., None]


def normal(result: Result) -> tuple[int, str, str]:
    """Return status and streams without what is meant to differ."""

    def clean(text: str) -> str:
        text = re.sub(r"(?m)^(\s*)docker\b|(?<=['\s])docker(?=[ '])", r"\1moor", text)
        text = re.sub(r"(?m)^(See|SRun) '", "Run '", text)
        text = re.sub(r"(?m)^exit status \d+\n", "", text)  # docker's own slip in `network rm`
        text = re.sub(r"time=.* level=error .*closed pipe.*\n", "", text)  # cp's own noise
        moving = re.sub(r"\d+(\.\d+)? (seconds?|minutes?)|Less than a second", "a while", text)
        return text if moving == text else re.sub(" {2,}", "  ", moving)

    return result.code, clean(result.out), clean(result.err)


@pytest.fixture
def same(docker: Cli, moor: Cli) -> Iterator[Compare]:
    """Run a command with both clients; at the end of the test nothing may have differed."""
    differences: list[str] = []

    def compare(*arguments: str | Path, stdin: str | None = None) -> None:
        theirs = normal(docker.run(*arguments, stdin=stdin))
        ours = normal(moor.run(*arguments, stdin=stdin))
        if ours != theirs:
            command = " ".join(map(str, arguments))
            differences.append(f"{command}\n  docker: {theirs}\n  moor:   {ours}")

    yield compare
    assert not differences, "\n".join(differences)


@pytest.fixture
def web(docker: Cli) -> str:
    """A running container with a bit of everything."""
    docker(
        *("run", "-d", "--name", "web", "--init", "-p", "127.0.0.1::80", "-e", "A=b", "-l", "x=y"),
        *("-v", "data:/data", "--tmpfs", "/scratch:size=1m", "--restart", "on-failure:2"),
        *("--memory", "64m", "busybox", "sleep", "1000"),
    )
    return "web"


LISTINGS = (
    "ps", "ps -a --no-trunc", "ps -aq", "ps --format json", "ps -s", "images", "images -q",
    "images --digests --no-trunc", "images nope", "history busybox",
    "history --no-trunc --format json busybox", "network ls", "network ls -q --no-trunc",
    "network ls --format json", "volume ls", "volume ls -q", "volume ls --format json",
    "port web", "port web 80", "port web 81", "top web", "top web -o pid,comm",
    "system df", "system df --format json", "system df -v", "system df -v --format table",
    "system df -v --format {{.Foo}}", "system df -v --format {{json", "diff web",
    "plugin ls", "context ls -q", "context show",
    "stats --no-stream --format {{.Name}} web", "ps -aq --format {{.Names}}", "ps -q --format raw",
    "ps --format raw", "ps -s --format raw", "ps --format {{json.}}", "images --format raw",
    "images -q --format raw", "images --digests --format raw", "network ls --format raw",
    "network ls -q --format {{.Name}}", "volume ls --format raw", "volume ls -q --format json",
    "system df --format raw", "system df -v --format raw", "plugin ls --format raw",
    "history -q --format json busybox",
    "ps -a --format {{.|json}}", "ps --size=false --format {{.Size}}", "history -H=false busybox",
    "context ls --format table", "inspect -s busybox", "inspect -s data", "inspect -s bridge web",
    "version --format {{.Server.Experimental}}", "version --format {{.Server.Components}}",
    "context ls", "events --since 1m --until 0s --format {{",
)  # fmt: skip


def test_listings(same: Compare, web: str) -> None:
    del web
    for command in LISTINGS:
        same(*command.split())


def test_images_as_json_at_the_same_version(docker: Cli, moor: Cli, web: str) -> None:
    """From 1.51 on the daemon counts the containers of every image: not all clients ask for it."""
    del web
    version = docker("version", "-f", "{{.Client.DefaultAPIVersion}}")
    env = {"DOCKER_API_VERSION": version}
    listing = ("images", "--format", "json")
    assert normal(moor.run(*listing, env=env)) == normal(docker.run(*listing))
    assert '"Containers":"1"' in moor(*listing)


FORMATS = (
    "{{.ID}}\t{{.Names}}\t{{.Image}}\t{{.Command}}\t{{.State}}\t{{.Mounts}}\t{{.Networks}}",
    r"table {{.Names}}\t{{.Status}}\t{{.Ports}}",
    r"table {{.Label \"x\"}}\t{{.Labels}}",
    'table {{.Names | upper}} {{printf "%5s" .State}}',
    "{{.Foo}}",
    "{{.ID",
    "{{json .Names}}{{len .Labels}}{{.LocalVolumes}}",
    "table",
    " table {{.Names}}",
    'table {{range (split .Names "e")}}{{.}}{{end}}',
    "{{.Label}}",
    "{{.Label 1}}",
    "{{.Names.Foo}}",
    "{{.Platform}}",
)


def test_formats_of_a_listing(same: Compare, web: str) -> None:
    del web
    for text in FORMATS:
        same("ps", "--format", text)


INSPECTIONS = (
    "{{.Id}} {{.Name}} {{.State.Running}} {{.RestartCount}}",
    "{{json .Config}}",
    "{{json .HostConfig.PortBindings}}",
    "{{.Config.Env}} {{.Config.Labels}} {{.Args}} {{.Mounts}}",
    "{{.HostConfig.RestartPolicy}} {{.HostConfig.LogConfig.Type}} {{.HostConfig.Memory}}",
    "{{.State}}",
    "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}",
    "{{.State.Health.Status}}",
    "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Ports}}",
    "{{range $name, $network := .NetworkSettings.Networks}}{{$name}} {{$network.IPAddress}}{{end}}",
    '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostIp}}',
    "{{range .Mounts}}{{.Type}} {{.Destination}}{{println}}{{end}}",
    '{{index .Config.Labels "x"}}{{index .Config.Labels "none"}}',
    "{{.HostConfig.Tmpfs}} {{.HostConfig.Init}} {{.HostConfig.Binds}}",
    "{{.Nope}}",
    "{{end}}",
    "{{index .Config.Env 9}} {{.Name}}",
    '{{define "T"}}<{{.}}>{{end}}{{template "T" .Name}}{{block "B" .Id}}{{len .}}{{end}}',
    '{{printf "%[2]s %#v %+q" "a" "b" "c"}}',
    "{{eq 1 1.0}}",
    "{{upper 3}}",
    "{{.Name |}}{{123456789.0}} {{1e-7}}",
    "{{.NetworkSettings.Networks.nope.IPAddress}}",
    "{{.Name)}}",
    "{{$x = 1}}",
)


def test_inspect(same: Compare, web: str) -> None:
    same("inspect", web)
    same("inspect", web, "busybox", "data", "bridge")
    same("inspect", "--type", "image", web)
    same("inspect", "--type", "nonsense", web)
    same("inspect", "nope", web)
    same("container", "inspect", "-s", "-f", "{{.SizeRootFs}}", web)
    same("image", "inspect", "busybox")
    same("image", "inspect", "-f", "{{.RepoTags}} {{.Size}} {{.RootFS.Layers}}", "busybox")
    same("network", "inspect", "bridge", "-f", "{{.Created}} {{.Driver}} {{.Options}}")
    same("volume", "inspect", "data")
    for text in INSPECTIONS:
        same("inspect", "-f", text, web)


FAILURES = (
    "stop", "rename a", "volume create a b", "ps x", "pull", "ps --foo", "ps -n x",
    "ps --filter foo", "run -m 3x busybox", "run -p 99999:1 busybox",
    "run --network a:b=c busybox", "run -it busybox", "run --rm --restart always busybox",
    "run --pull never nope", "run --name web busybox", "run --rm busybox nosuch",
    "run --rm busybox /etc", "exec web nosuch", "exec nope true", "exec -it web sh",
    "rm nope", "rm -f nope", "rm web", "stop nope nope2", "kill -s FOO web", "logs nope",
    "rmi nope", "rmi busybox", "volume rm nope", "volume rm data", "network rm nope",
    "network rm bridge", "network connect nope web", "network create --gateway 1.2.3.4 zz",
    "volume inspect nope", "image inspect nope", "network inspect nope", "wait nope",
    "save nope", "load -i /nope", "cp web:/nope .", "cp a b",
    "cp nope:/x .", "port nope", "top nope", "update nope", "unpause web", "history nope",
    "context use nope", "context create default", "ps --filter status=foo",
    "create --cpus x busybox", "run --env-file /nope busybox", "run --ulimit x busybox",
    "logs --since x web", "logs --until x web", "events --since x", "rename web a,b",
    "rename nope a", "port web foo", "port web 70000", "port web 0", "commit web a:b:c",
    "commit web A", "tag busybox A", "tag busybox a:b:c", "tag busybox a@sha256:12", "import",
    "pull A", "push a:b:c", "run A", "run a:b:c", "save -o /nope/x busybox", "save -o / busybox",
    "export -o /nope/x web", "exec -e =x web env", "run -e =x busybox env", "create -l =x busybox",
    "kill nope", "images --format {{.Nope}}", "network ls --format {{", "ps --format {{",
    "run --rm --cpu-count 1 busybox", "create --io-maxiops 2 busybox",
    "stats --no-stream --format {{.Nope}} web", "context use a", "context rm nope",
    "context update x", "context import x /nope",
    "plugin install x", "plugin install A", "plugin enable x", "plugin disable -f x",
    "plugin rm x y", "plugin set x A=b", "plugin set x", "plugin push x", "plugin upgrade x",
    "plugin create x /nope",
)  # fmt: skip


def test_failures(same: Compare, web: str, tmp_path: Path) -> None:
    del web, tmp_path
    for command in FAILURES:
        same(*command.split())


def test_a_containers_life(docker: Cli, moor: Cli) -> None:
    """Both clients make and end a container, and say the same at every step."""
    said: list[list[tuple[int, str, str]]] = []
    for client in (docker, moor):
        steps: list[tuple[int, str, str]] = []

        def step(*arguments: str, stdin: str | None = None) -> None:
            identifier = re.compile(r"\b[0-9a-f]{64}\b")
            code, out, err = normal(client.run(*arguments, stdin=stdin))  # noqa: B023
            steps.append((code, identifier.sub("ID", out), err))  # noqa: B023

        step("create", "--name", "life", "-i", "busybox", "cat")
        step("start", "-ai", "life", stdin="in and out")
        step("logs", "life")
        step("logs", "--tail", "0", "life")
        step("start", "life")
        step("exec", "life", "sh", "-c", "echo out; echo err >&2; exit 3")
        step("exec", "-i", "life", "cat", stdin="half-closed")
        step("pause", "life")
        step("unpause", "life")
        step("rename", "life", "lives")
        step("update", "--memory", "64m", "--memory-swap", "64m", "lives")
        step("commit", "-m", "m", "lives", "life:1")
        step("rmi", "life:1")
        step("restart", "-t", "0", "lives")
        step("stop", "-t", "0", "lives")
        step("wait", "lives")
        step("rm", "lives")
        step("run", "--rm", "busybox", "sh", "-c", "exit 7")
        step("run", "--rm", "-i", "busybox", "wc", "-c", stdin="x" * 100_000)
        said.append([s for s in steps if "sha256" not in s[1] and "Deleted" not in s[1]])
    assert said[1] == said[0]


def test_what_create_sends_gives_the_same_container(docker: Cli, moor: Cli) -> None:
    """Every field of the configuration, after creation by either client."""
    flags = (
        *(
            "--hostname",
            "h",
            "--domainname",
            "d",
            "-u",
            "1:2",
            "-w",
            "/w",
            "-e",
            "A=b",
            "-l",
            "k=v",
        ),
        *("--entrypoint", "sh", "--expose", "90-91/udp", "-p", "0.0.0.0:0:80/tcp", "-v", "/anon"),
        *(
            "--mount",
            "type=tmpfs,dst=/t,tmpfs-size=1m",
            "--tmpfs",
            "/run:ro",
            "--add-host",
            "a:1.2.3.4",
        ),
        *(
            "--dns",
            "9.9.9.9",
            "--dns-search",
            "x",
            "--dns-option",
            "ndots:2",
            "--cap-add",
            "NET_ADMIN",
        ),
        *("--cap-drop", "CHOWN", "--security-opt", "no-new-privileges", "--read-only", "--init"),
        *(
            "--memory",
            "64m",
            "--memory-swap",
            "128m",
            "--memory-reservation",
            "32m",
            "--cpus",
            "0.5",
        ),
        *(
            "--cpu-shares",
            "100",
            "--pids-limit",
            "50",
            "--ulimit",
            "nofile=10:20",
            "--shm-size",
            "8m",
        ),
        *("--restart", "unless-stopped", "--log-driver", "json-file", "--log-opt", "max-size=1m"),
        *("--health-cmd", "true", "--health-interval", "5s", "--health-retries", "2"),
        *("--stop-signal", "INT", "--stop-timeout", "3", "--sysctl", "net.ipv4.ip_forward=1"),
        *(
            "--ipc",
            "private",
            "--pid",
            "host",
            "--group-add",
            "5",
            "--device",
            "/dev/null:/dev/n:r",
        ),
        *("--cgroupns", "private", "--oom-score-adj", "7", "--ip", "10.77.0.9", "--network", "lab"),
        *("--network-alias", "al", "--annotation", "a=b", "--blkio-weight", "20"),
    )
    docker("network", "create", "--subnet", "10.77.0.0/24", "lab")
    wanted = "{{json .Config}}\n{{json .HostConfig}}\n{{json .NetworkSettings.Networks}}"
    found: list[list[Any]] = []
    for client in (docker, moor):
        client("create", "--name", "cc", *flags, "busybox", "-c", "true")
        text = docker("inspect", "-f", wanted, "cc")
        found.append([json.loads(part) for part in text.split("\n")])
        docker("rm", "-v", "cc")
    for theirs, ours in zip(*found, strict=True):
        assert ours == theirs


def test_copies_both_ways_leave_the_same_trees(docker: Cli, moor: Cli, tmp_path: Path) -> None:
    source = tmp_path / "s"
    (source / "a").mkdir(parents=True)
    (source / "a" / "g").write_text("g")
    (source / "f").write_text("f")
    (source / "l").symlink_to("f")
    said: list[list[tuple[int, str, str]]] = []
    for number, client in enumerate((docker, moor)):
        docker("run", "-d", "--name", "cc", "busybox", "sleep", "1000")
        out = tmp_path / f"out{number}"
        out.mkdir()
        docker("exec", "cc", "mkdir", "/w")
        results = [
            client.run("cp", source, "cc:/w"),
            client.run("cp", source, "cc:/w/new"),
            client.run("cp", f"{source}/.", "cc:/w/contents"),
            client.run("cp", source / "f", "cc:/w/file"),
            client.run("cp", source / "f", "cc:/w/missing/"),
            client.run("cp", "-L", source / "l", "cc:/w/followed"),
            client.run("cp", source, "cc:/w/file"),
            client.run("cp", "cc:/w", out),
            client.run("cp", "cc:/w/s/.", out / "contents"),
            client.run("cp", "cc:/w/s/f", out / "renamed"),
            client.run("cp", "cc:/w/s/f", out / "missing" / "x"),
            client.run("cp", "-L", "cc:/w/s/l", out / "followed"),
            client.run("cp", "cc:/w", out / "renamed"),
        ]
        steps = [normal(result) for result in results]
        steps = [(code, o, e.replace(str(out), "OUT")) for code, o, e in steps]
        tree = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
        inside = docker("exec", "cc", "find", "/w")
        said.append([*steps, (0, "\n".join(tree), "\n".join(sorted(inside.split())))])
        docker("rm", "-f", "cc")
    assert said[1] == said[0]


def test_copies_of_streams(docker: Cli, moor: Cli, tmp_path: Path) -> None:
    docker("run", "-d", "--name", "cc", "busybox", "sleep", "1000")
    docker("exec", "cc", "sh", "-c", "mkdir /w; echo x >/w/f")
    archive = tmp_path / "a.tar"
    with moor.start("cp", "cc:/w", "-") as reading:
        archive.write_bytes(reading.communicate()[0])
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["w", "w/f"]
    docker("exec", "cc", "mkdir", "/copy")
    assert moor.run("cp", "-", "cc:/copy", stdin=archive.read_bytes()).code == 0
    assert docker("exec", "cc", "cat", "/copy/w/f") == "x"


@pytest.mark.parametrize(
    "template",
    [
        "{{json .Volumes}}",
        "{{range .Images}}{{json .}}{{end}}",
        "table {{range .Images}}{{.ID}} {{.Tag}}{{end}}",
        "{{range .Containers}}{{.ID}} {{.Size}} {{.Mounts}}{{end}}",
        "{{len .BuildCache}} {{(index .Volumes 0).Links}}",
    ],
)
def test_df_in_detail_through_templates(docker: Cli, moor: Cli, web: str, template: str) -> None:
    """But for the end of the line, which docker leaves out."""
    del web
    docker("tag", "busybox", "busybox:second")
    given = ("system", "df", "-v", "--format", template)
    assert moor.run(*given).ok().out == docker.run(*given).ok().out + "\n"
    docker("rmi", "busybox:second")


@pytest.mark.parametrize("flags", [(), ("-a",), ("tree",)])
def test_the_tree_of_images_has_dockers_lines(
    docker: Cli, moor: Cli, web: str, flags: tuple[str, ...]
) -> None:
    """The same names and IDs in the same order; docker's colours and alignment are its own."""
    docker("commit", web, "tree:1")
    docker("commit", web)
    docker("tag", "tree:1", "tree:2")

    def listed(client: Cli) -> list[list[str]]:
        text = re.sub(r"\x1b\[\d+m", "", client("images", "--tree", *flags))
        lines = text[text.index("\nIMAGE") :].split("\n")
        found = [re.findall(r"\S+:\S+|<untagged>|[0-9a-f]{12,64}", line) for line in lines]
        return [[name for name in names if name] for names in found if names]

    ours, theirs = listed(moor), listed(docker)
    # docker gives the numbers beside the last name of an image, we beside each
    assert [line[0] for line in ours] == [line[0] for line in theirs]
    assert all(set(line) <= set(our) for line, our in zip(theirs, ours, strict=True))
    assert len(ours) > len(flags)


def test_copies_carry_file_capabilities_and_bring_all_attributes(
    docker: Cli, moor: Cli, tmp_path: Path
) -> None:
    """Into a container the one attribute that docker takes, out of one whatever comes."""
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    source = tmp_path / "f"
    source.write_text("x")
    os.setxattr(source, "user.a", b"b")
    os.setxattr(source, "security.capability", capability)
    found: list[list[dict[str, bytes]]] = []
    for client in (docker, moor):
        docker("run", "-d", "--name", "cc", "busybox", "sleep", "1000")
        client("cp", source, "cc:/f")
        inside = Path("/proc", docker("inspect", "-f", "{{.State.Pid}}", "cc"), "root", "f")
        attributes = [_attributes(inside)]
        os.setxattr(inside, "user.z", b"y")
        client("cp", "cc:/f", tmp_path / "back")
        attributes.append(_attributes(tmp_path / "back"))
        (tmp_path / "back").unlink()
        docker("rm", "-f", "cc")
        found.append(attributes)
    assert found[1] == found[0]
    assert found[0][0]["security.capability"] == capability
    assert found[0][1]["user.z"] == b"y"


def _attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


def test_prunes(same: Compare, docker: Cli, moor: Cli) -> None:
    docker("builder", "prune", "-af")  # of other tests: one client would take it before the other
    docker("image", "prune", "-f")
    for command in ("container", "image", "volume", "network", "system"):
        same(command, "prune", stdin="n\n")
        same(command, "prune", "-f")
    said: list[str] = []
    for client in (docker, moor):
        docker("create", "--name", "gone", "-v", "/anonymous", "busybox")
        identifier = docker("inspect", "-f", "{{.Id}}", "gone")
        said.append(client("container", "prune", "-f").replace(identifier, "ID"))
        client("volume", "prune", "-f")
    assert said[0] == said[1] == "Deleted Containers:\nID\n\nTotal reclaimed space: 0B"
    assert docker("volume", "ls", "-q") == ""


def test_a_damaged_configuration_is_warned_of(docker: Cli, moor: Cli) -> None:
    path = Path(docker.environment["DOCKER_CONFIG"], "config.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    for client in (docker, moor):
        said = client.run("ps", "-q").ok()
        assert said.err.startswith(f"WARNING: Error parsing config file ({path}): ")
    path.write_text('{"credsStore": "none-such"}')
    pulled = moor.run("pull", "127.0.0.1:1/x")
    assert "WARNING: going on without stored credentials: cannot run" in pulled.err
    assert "connection refused" in pulled.err
    path.unlink()


def test_prune_filters_of_the_configuration(docker: Cli, moor: Cli) -> None:
    """``pruneFilters`` keeps what it names; a label on the command line counts more."""
    path = Path(moor.environment["DOCKER_CONFIG"], "config.json")
    path.parent.mkdir(exist_ok=True)
    docker("create", "--name", "kept", "-l", "keep", "busybox")
    docker("create", "--name", "gone", "busybox")
    path.write_text('{"pruneFilters": ["label!=keep"]}')
    moor("container", "prune", "-f")
    assert docker("ps", "-a", "--format", "{{.Names}}") == "kept"
    moor("container", "prune", "-f", "--filter", "label=keep")
    assert docker("ps", "-a", "--format", "{{.Names}}") == ""
    path.unlink()


def test_events(same: Compare, docker: Cli) -> None:
    docker("run", "--rm", "--name", "ev", "busybox", "true")
    until = docker("run", "--rm", "busybox", "date", "+%s") + ".9"
    for extra in ((), ("--format", "json"), ("--format", "{{.Type}} {{.Action}} {{.Actor.ID}}")):
        same("events", "--since", "1", "--until", until, "--filter", "container=ev", *extra)
        same("events", "--since", "2001-01-01", "--until", "2000", *extra)


def test_contexts_are_shared(docker: Cli, moor: Cli, same: Compare, tmp_path: Path) -> None:
    docker("context", "create", "theirs", "--description", "d", "--docker", "host=tcp://h:1")
    moor("context", "create", "ours", "--docker", "host=ssh://u@h")
    same("context", "ls", "--format", "{{.Name}} {{.Current}} {{.Description}} {{.DockerEndpoint}}")
    same("context", "inspect", "theirs", "ours")
    archive = tmp_path / "context.tar"
    moor("context", "export", "theirs", archive)
    docker("context", "import", "again", archive)
    same("context", "inspect", "again")
    moor("context", "update", "ours", "--description", "new")
    same("context", "inspect", "ours")
    same("context", "inspect", "again", "-f", "{{.TLSMaterial}} {{.Endpoints}}")
    same("context", "create", "bad", "--docker", "host=tcp://x,ca=/nope")
    same("context", "create", "bad", "--docker", "foo=bar")
    same("context", "update", "ours", "--docker", "host=tcp://x,key=/nope")
    same("context", "rm", "-f", "none-such")
    moor("context", "create", "copied", "--from", "theirs")
    assert docker("context", "inspect", "-f", "{{.Metadata}}", "copied").startswith("{copied {d ")
    docker("context", "rm", "theirs", "ours", "again", "copied")
    same("context", "ls", "-q")


SWARM = (
    "swarm init", "swarm init --advertise-addr 127.0.0.1", "swarm join --token x 127.0.0.1:2377",
    "swarm leave", "swarm ca", "swarm join-token worker", "swarm update --task-history-limit 3",
    "node ls", "node ps", "node rm x", "node promote x", "node update --role worker x",
    "secret ls", "secret rm x", "config ls", "config rm x", "stack ls", "stack ps x", "stack rm x",
    "stack services x", "service ls", "service create --name x busybox true", "service rm x",
    "service ps x", "service logs -f x", "service update --image y x", "service rollback x",
    "swarm init --availability nope", "swarm init --data-path-port 99999999999", "swarm join",
    "swarm init --max-snapshots=-1", "swarm leave x",
)  # fmt: skip


def test_commands_about_a_swarm_show_what_the_daemon_says(same: Compare) -> None:
    for command in SWARM:
        same(*command.split())

"""RUN: mounts, secrets, networks, and what of them stays in the image (nothing)."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import Project
from support.cli import Cli
from support.daemon import Daemon

pytestmark = pytest.mark.requires("root", "overlayfs")
HIDDEN = "s3cr3t-value-nobody-may-see"


@pytest.fixture
def project(moor: Cli, tmp_path: Path) -> Iterator[Project]:
    yield Project(moor, tmp_path)
    moor("builder", "prune", "-af")


def names(tree: Path) -> set[str]:
    return {str(path.relative_to(tree)) for path in tree.rglob("*")}


def test_mounts_are_there_for_one_command_and_leave_nothing(project: Project) -> None:
    project.write(src__f="F")
    tree = project.tree(
        "FROM busybox AS other\nRUN echo o > /o\nFROM busybox\nRUN rm -rf /bin/x\n"
        "RUN --mount=target=/ctx --mount=from=other,source=/o,target=/deep/er/o "
        "--mount=type=tmpfs,target=/t,size=64k --mount=type=cache,target=/c/a "
        "cat /ctx/src/f /deep/er/o && df -k /t | grep -q 64 && echo 1 > /c/a/k && "
        "! touch /ctx/no 2>/dev/null && echo > /done\n"
        "RUN --mount=type=cache,target=/again,id=/c/a cat /again/k > /kept\n"
        "RUN --mount=target=/ctx,rw echo changed > /ctx/src/f && cp /ctx/src/f /seen\n"
        "RUN --mount=target=/ctx cat /ctx/src/f > /after\n"
    )
    assert (tree / "kept").read_text() == "1\n"
    assert (tree / "seen").read_text() == "changed\n"
    assert (tree / "after").read_text() == "F"  # a writable bind forgets what was written
    assert not names(tree) & {"ctx", "deep", "t", "c", "again"}
    assert not names(tree) & {"etc/hosts", "etc/resolv.conf", ".dockerenv", "etc/mtab"}


def test_mount_targets_below_a_link_of_the_image(project: Project) -> None:
    tree = project.tree(
        "FROM busybox\nRUN mkdir /real && ln -s /real /l\n"
        "RUN --mount=type=cache,target=/l/c touch /l/c/x /real/y\n"
    )
    assert os.listdir(tree / "real") == ["y"]


def test_cache_mounts_private_and_locked(project: Project) -> None:
    command = "sh -c 'test ! -e /c/busy; touch /c/busy; sleep 0.3; rm /c/busy'"
    for sharing in ("private", "locked"):
        mount = f"--mount=type=cache,target=/c,id={sharing},sharing={sharing}"
        project.run(
            f"FROM busybox AS a\nRUN {mount} {command} && touch /a\n"
            f"FROM busybox AS b\nRUN {mount} {command} && touch /b\n"
            "FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
        ).ok()


def test_b11_a_secret_is_seen_by_its_command_and_nowhere_else(
    project: Project, moor: Cli, daemon: Daemon, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(HIDDEN)
    result = project.run(
        "FROM busybox\nRUN --mount=type=secret,id=s --mount=type=secret,id=s,env=S,required "
        'test "$(cat /run/secrets/s)" = "$S" && stat -c %a /run/secrets/s && echo "it is $S"\n',
        *("--secret", f"id=s,src={file}", "--iidfile", str(tmp_path / "iid")),
        *("--output", f"type=oci,dest={tmp_path / 'oci.tar'}", "--output", "type=image"),
        *("--attest", "type=provenance,mode=max"),
    ).ok()
    assert " 400\n" in result.err
    assert "it is ****" in result.err
    image = (tmp_path / "iid").read_text()
    places = {
        "progress": result.err + result.out,
        "history": moor("history", "--no-trunc", image),
        "inspect": json.dumps(project.config(image)),
        "log of the build": moor("build", "history", "logs"),
        "archive and provenance": (tmp_path / "oci.tar").read_bytes().decode("latin-1"),
        "log of the daemon": daemon.log_tail(1 << 20),
    }
    for where, text in places.items():
        assert HIDDEN not in text, where
    for path in daemon.data_root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert HIDDEN.encode() not in path.read_bytes(), path
    moor("rmi", image)


def test_b11_another_secret_value_is_no_other_step(project: Project) -> None:
    project.write(Dockerfile="FROM busybox\nRUN --mount=type=secret,id=s,env=S echo step\n")
    command = ("build", "--network=none", "--secret", "id=s,env=E", project.root)
    first = project.moor.run(*command, env={"E": "one"}).ok()
    again = project.moor.run(*command, env={"E": "two"}).ok()
    assert "CACHED" not in first.err
    assert "CACHED" in again.err


def test_a_required_secret_that_is_missing_is_named(project: Project) -> None:
    said = project.fails("FROM busybox\nRUN --mount=type=secret,id=gone,required true\n")
    assert "secret gone: not found (give it with --secret)" in said
    assert ">>> RUN --mount=type=secret" in said


def test_b8_nothing_of_the_daemons_environment_reaches_a_command(project: Project) -> None:
    said = project.run("FROM busybox\nARG A=1\nENV B=2\nRUN env; exit 0\n").ok().err
    environment = set(re.findall(r"^#\d+ [\d.]+ (\w+)=", said, re.MULTILINE))
    assert {"A", "B", "HOME"} <= environment <= {"A", "B", "HOME", "PATH", "PWD", "SHLVL"}


def test_b6_mount_sources_cannot_leave_their_root(project: Project) -> None:
    project.write(f="F")
    os.symlink("/etc", project.root / "out")
    os.symlink("../../../../../../etc/passwd", project.root / "up")
    for source in ("../../etc", "out", "up"):
        said = project.run(
            f"FROM busybox\nRUN --mount=source={source},target=/m ls -a /m && cat /m/passwd /m\n"
        )
        assert "root:x:0:0" not in said.err
    result = project.run(
        "FROM busybox AS evil\nRUN ln -s /proc/1/root/etc /e\n"
        "FROM busybox\nRUN --mount=from=evil,source=/e,target=/m cat /m/passwd\n"
    )
    assert result.code != 0
    assert "root:x:0:0" not in result.err


def test_b1_a_swapped_link_in_a_shared_cache_mount_leads_nowhere(project: Project) -> None:
    mount = "--mount=type=cache,id=race,target=/c"
    sub = "--mount=type=cache,id=race,source=sub,target=/m"
    said = project.run(
        f"FROM busybox AS prepare\nRUN {mount} mkdir -p /c/sub && touch /ok\n"
        f"FROM prepare AS swap\nRUN {mount} i=0; while [ $i -lt 60 ]; do rm -rf /c/sub; "
        "ln -s / /c/sub; rm -f /c/sub; mkdir /c/sub; i=$((i+1)); done; touch /swap\n"
        + "".join(
            f"FROM prepare AS look{n}\nRUN {sub} ls -a /m | grep -c sbin || true; touch /look{n}\n"
            for n in range(3)
        )
        + "FROM scratch\nCOPY --from=swap /swap /\n"
        + "".join(f"COPY --from=look{n} /look{n} /\n" for n in range(3))
    )
    assert "sbin" not in "".join(line for line in said.err.splitlines() if "RUN" not in line)


def test_b2_stubs_of_mounts_do_not_delete_outside_of_the_root(
    project: Project, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "stub").mkdir()
    tree = project.tree(
        "FROM busybox\nRUN --mount=type=cache,target=/a/stub "
        f"rm -rf /a 2>/dev/null; mv /a /b; ln -s {victim} /a; true\n"
    )
    assert (victim / "stub").is_dir()
    assert (tree / "b").is_dir()


def test_networks_of_commands(project: Project) -> None:
    said = project.run(
        "FROM busybox\nRUN --network=none echo none $(ls /sys/class/net)\n"
        "RUN echo bridge $(ls /sys/class/net)\n",
        network="default",
    ).ok()
    assert " none lo\n" in said.err
    assert " bridge eth0 lo\n" in said.err
    refused = project.fails("FROM busybox\nRUN --security=insecure true\n")
    assert "security.insecure is not allowed" in refused


def test_an_ssh_agent_has_a_socket_inside_for_one_command(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        tree = project.tree(
            "FROM busybox\nRUN --mount=type=ssh,required,mode=600 "
            "test -S $SSH_AUTH_SOCK && stat -c %a $SSH_AUTH_SOCK > /mode\n"
            'RUN test -z "$SSH_AUTH_SOCK" && echo > /gone\n',
            *("--ssh", f"default={path}"),
        )
    assert (tree / "mode").read_text() == "600\n"
    assert not (tree / "run/buildkit").exists()
    assert "unset ssh forward key" in project.fails(
        "FROM busybox\nRUN --mount=type=ssh,required true\n"
    )


@pytest.mark.requires("ssh-keygen", "ssh-agent")
def test_a_key_file_gets_an_agent_for_the_build(project: Project, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    dockerfile = "FROM busybox\nRUN --mount=type=ssh,required test -S $SSH_AUTH_SOCK\n"
    project.run(dockerfile, "--ssh", f"default={key}").ok()
    key.write_text("no key")
    assert "ssh-add cannot use" in project.fails(
        dockerfile, "--no-cache", "--ssh", f"default={key}"
    )
    assert "does not exist" in project.fails(dockerfile, "--ssh", f"default={tmp_path}/none")


def test_users_are_found_in_the_image(project: Project) -> None:
    said = project.run(
        "FROM busybox\nRUN echo joe:x:33:44::/home/joe: > /etc/passwd && "
        "echo g:x:55:joe > /etc/group\nUSER joe\nRUN id; echo $HOME\nUSER 7\nRUN id\n"
    ).ok()
    assert "uid=33(joe) gid=44 groups=44,55(g)" in said.err
    assert " /home/joe\n" in said.err
    assert "uid=7 gid=0" in said.err
    assert "unable to find user ghost" in project.fails("FROM busybox\nUSER ghost\nRUN id\n")


def test_a_user_enters_the_root_of_an_image_from_scratch(project: Project) -> None:
    image = project.image(
        "FROM busybox AS base\nFROM scratch\nCOPY --from=base /bin /bin\n"
        "RUN echo > /made\nUSER 65534:65534\nRUN ls /made\n"
    )
    stat = ("run", "--rm", "--network=none", image, "stat", "-c", "%a", "/", "/bin")
    assert project.moor(*stat).split() == ["755", "755"]
    project.remove(image)

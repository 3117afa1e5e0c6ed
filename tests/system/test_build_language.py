"""What instructions do to the files and the configuration of an image."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import Project
from support.cli import Cli

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def project(moor: Cli, tmp_path: Path) -> Iterator[Project]:
    yield Project(moor, tmp_path)
    moor("builder", "prune", "-af")


def test_copy_takes_files_directories_and_wildcards_as_docker_does(project: Project) -> None:
    project.write(a="A", b="B", d__x="X", d__e__y="Y")
    os.symlink("x", project.root / "d" / "link")
    (project.root / "a").chmod(0o751)
    tree = project.tree(
        "FROM scratch\nCOPY a /one\nCOPY a b /two/\nCOPY d /three\nCOPY d/* /four/\n"
        'COPY ["a", "/sp ace"]\nWORKDIR /w/x\nCOPY a .\nCOPY d/x ../y\n'
    )
    assert (tree / "one").read_text() == "A"
    assert stat.S_IMODE((tree / "one").stat().st_mode) == 0o751
    assert sorted(os.listdir(tree / "two")) == ["a", "b"]
    assert (tree / "three/e/y").read_text() == "Y"
    assert os.readlink(tree / "three/link") == "x"
    assert sorted(os.listdir(tree / "four")) == ["link", "x", "y"]  # directories give their content
    assert (tree / "sp ace").read_text() == "A"
    assert (tree / "w/x/a").read_text() == "A"
    assert (tree / "w/y").read_text() == "X"
    assert int((tree / "one").stat().st_mtime) == int((project.root / "a").stat().st_mtime)


def test_copy_flags(project: Project) -> None:
    project.write(a="A", s__t__u="U", s__t__v_d_md="V", s__w="W")
    listing = project.run(
        "FROM busybox\nRUN echo joe:x:33:44::/: > /etc/passwd && echo grp:x:55: > /etc/group\n"
        "COPY --chown=joe:grp a /owned\nCOPY --chown=7 a /seven\nCOPY --chmod=4711 a /mode\n"
        "COPY --chmod=u=rwX,go= s /sym\nCOPY --parents s/t/u /par/\nCOPY --parents s/./t/u /piv/\n"
        "COPY --exclude=**/*.md s /exc\nCOPY --link a /link/a\n"
        "RUN stat -c '%n %a %u:%g' /owned /seven /mode /sym/t /sym/t/u\n"
        "RUN find /par /piv /exc /link\n"
    ).ok()
    for line in (
        "/owned 644 33:55",
        "/seven 644 7:7",
        "/mode 4711 0:0",
        "/sym/t 700 0:0",
        "/sym/t/u 600 0:0",
        "/par/s/t/u",
        "/piv/t/u",
        "/exc/t/u",
        "/link/a",
    ):
        assert f" {line}\n" in listing.err
    assert "/exc/t/v.md" not in listing.err


def test_a_destination_that_is_made_does_not_look_like_the_source(project: Project) -> None:
    """A directory's content is copied, not the directory; measured beside dockerd's builders."""
    project.write(d__e__x="X", d__y="Y")
    for path, mode in {"d": 0o700, "d/e": 0o750}.items():
        (project.root / path).chmod(mode)
    for path in ("d/e/x", "d/y", "d/e", "d"):
        os.utime(project.root / path, (1_600_000_000, 1_600_000_000))
    made = "/made /made/e /there /there/e /from /from/e /own /own/e"
    tree = project.tree(
        "FROM busybox AS source\nCOPY d /root/d\nRUN chown -R 5:6 /root/d && chmod 700 /root/d\n"
        "FROM busybox\nRUN mkdir -m 711 /there && chown 3:4 /there && touch -d @1500000000 /there\n"
        "COPY d /made\nCOPY d/ /there\nCOPY --from=source /root/d /from\n"
        "COPY --chown=7:8 --chmod=500 d /own\n"
        f"RUN stat -c '%n %a %u:%g' {made} >/looks; stat -c '%n %Y' {made} >/times\n"
    )
    assert (tree / "looks").read_text().splitlines() == [
        "/made 755 0:0",
        "/made/e 750 0:0",
        "/there 711 3:4",
        "/there/e 750 0:0",
        "/from 755 0:0",
        "/from/e 750 5:6",
        "/own 755 7:8",
        "/own/e 500 7:8",
    ]
    times = dict(line.split() for line in (tree / "times").read_text().splitlines())
    old = {name for name, time in times.items() if time == "1600000000"}
    assert old == {"/made/e", "/there/e", "/own/e", "/from/e"}
    assert times["/there"] > "1600000000", "something was made in it"


def test_copy_goes_through_links_of_the_image_and_stays_inside(project: Project) -> None:
    project.write(a="A")
    tree = project.tree(
        "FROM busybox\nRUN mkdir /real && ln -s /real /abs && ln -s ../../../../etc /up && "
        "ln -s real/new /broken && ln -s /etc/b /real/b\n"
        "COPY a /abs/\nCOPY a /up/copied\nCOPY a /broken\nCOPY --from=busybox etc/passwd /real/b\n"
        "COPY <<b /real/\nB\nb\n"
    )
    assert (tree / "real/a").read_text() == "A"
    assert (tree / "real/new").read_text() == "A", "a broken link is followed"
    assert "root" in (tree / "etc/b").read_text(), "the destination itself is a link to a file"
    assert (tree / "real/b").read_text() == "B\n", "a link in the destination is replaced"
    assert not (tree / "real/b").is_symlink()
    assert (tree / "etc/copied").read_text() == "A"
    assert not Path("/etc/copied").exists()


def test_stages_images_and_named_contexts_are_sources(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "f").write_text("other")
    tree = project.tree(
        "FROM busybox AS one\nRUN echo 1 > /one\nFROM scratch AS two\nCOPY --from=one /one /\n"
        "FROM scratch\nCOPY --from=0 /one /a\nCOPY --from=two / /b/\n"
        "COPY --from=busybox /bin/sh /c\n"
        "COPY --from=ctx f /d\n",
        "--build-context",
        f"ctx={other}",
    )
    assert (tree / "a").read_text() == (tree / "b/one").read_text() == "1\n"
    assert (tree / "d").read_text() == "other"


def test_heredocs_become_files_and_scripts(project: Project) -> None:
    tree = project.tree(
        "FROM busybox\nARG A=1\nCOPY <<E <<'F' /d/\n$A\nE\n$A\nF\n"
        "RUN <<E\necho x > /x\necho y > /y\nE\nRUN <<E\n#!/bin/ash\necho $0 > /z\nE\n"
        "RUN cat <<E > /w\nhi\nE\n"
    )
    assert ((tree / "d/E").read_text(), (tree / "d/F").read_text()) == ("1\n", "$A\n")
    assert (tree / "y").read_text() == "y\n"
    assert (tree / "z").read_text() == "/dev/pipes/E\n"
    assert (tree / "w").read_text() == "hi\n"
    assert not (tree / "dev/pipes").exists()


def test_configuration_and_history_reach_the_image(project: Project) -> None:
    project.write(a="A")
    image = project.image(
        "FROM busybox\nARG V=2\nENV K=$V\nLABEL l=m\nWORKDIR /w\nCOPY a .\nUSER 5:6\n"
        'EXPOSE 80\nVOLUME /v\nSTOPSIGNAL 9\nHEALTHCHECK --interval=5s CMD x\nENTRYPOINT ["e"]\n'
        "RUN true\nCMD c\n",
        "--build-arg",
        "V=3",
        "--label",
        "x=y",
        "-t",
        "conf:1",
        "-t",
        "conf:2",
    )
    found = project.config("conf:2")
    assert found["Id"] == image
    config = found["Config"]
    assert "K=3" in config["Env"]
    assert config["Labels"] == {"l": "m", "x": "y"}
    assert (config["WorkingDir"], config["User"], config["StopSignal"]) == ("/w", "5:6", "9")
    assert list(config["ExposedPorts"]) == ["80/tcp"]
    assert config["Entrypoint"] == ["e"]
    assert config["Cmd"] == ["/bin/sh", "-c", "c"]
    assert config["Healthcheck"]["Interval"] == 5_000_000_000
    lines = project.moor("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).splitlines()
    assert lines[0] == 'CMD ["/bin/sh" "-c" "c"]'
    assert lines[1] == "RUN |1 V=3 /bin/sh -c true # buildkit"
    assert "COPY a . # buildkit" in lines
    project.remove("conf:1", "conf:2")


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("tester", (1000, 1000)),
        ("tester:extra", (1000, 2000)),
        ("77", (77, 77)),
        ("77:88", (77, 88)),
        ("later", (0, 0)),
    ],
)
def test_a_working_directory_belongs_to_the_user_who_works_there(
    project: Project, user: str, owner: tuple[int, int]
) -> None:
    tree = project.tree(
        f"FROM busybox\nRUN mkdir /there\nUSER {user}\nWORKDIR /there/new/deep\nUSER 0\n"
        "RUN stat -c %u:%g /there /there/new /there/new/deep >/seen\n"
    )
    made = "{}:{}".format(*owner)
    assert (tree / "seen").read_text().split() == ["0:0", made, made]


def test_onbuild_runs_in_the_next_build(project: Project) -> None:
    project.write(a="A")
    project.image("FROM busybox\nONBUILD COPY a /trig\nONBUILD RUN cat /trig > /ran\n", "-t", "trg")
    tree = project.tree("FROM trg\n")
    assert (tree / "ran").read_text() == "A"
    project.remove("trg")


def test_dockerignore_hides_files_and_negation_takes_back(project: Project) -> None:
    project.write(
        a="A", d__x="X", d__keep="K", _d_dockerignore="d\n!d/keep\nDockerfile\n.docker*\n"
    )
    tree = project.tree("FROM scratch\nCOPY . /\n")
    assert sorted(str(p.relative_to(tree)) for p in tree.rglob("*")) == ["a", "d", "d/keep"]
    said = project.fails("FROM scratch\nCOPY d/x /\n")
    assert '"/d/x": not found' in said


def test_dockerfile_from_stdin_and_under_another_name(project: Project, moor: Cli) -> None:
    project.write(a="A")
    (project.root / "Other").write_text("FROM scratch\nCOPY a /other\n")
    moor("build", "-f", project.root / "Other", "-o", project.out, project.root)
    assert (project.out / "other").exists()
    moor("build", "-f", "-", "-o", project.out, project.root, stdin="FROM scratch\nCOPY a /in\n")
    assert (project.out / "in").exists()
    moor("build", "-o", project.out, "-", stdin="FROM scratch\nCOPY <<E /alone\nE\n")
    assert (project.out / "alone").exists()


def test_squash_makes_one_layer_of_the_build(project: Project) -> None:
    base = len(project.config("busybox")["RootFS"]["Layers"])
    image = project.image(
        "FROM busybox\nRUN echo 1 > /a\nRUN echo 2 > /b && rm /a\n", "--squash", "-t", "squashed"
    )
    assert len(project.config(image)["RootFS"]["Layers"]) == base + 1
    project.remove("squashed")


def test_limits_hosts_and_the_hostname_reach_commands(project: Project) -> None:
    said = (
        project.run(
            "FROM busybox\nRUN ulimit -n; cat /etc/hosts; df -k /dev/shm | tail -1; "
            "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max 2>/dev/null; "
            "env\n",
            *("--ulimit", "nofile=77:88", "--add-host", "friend:10.1.2.3", "--shm-size", "1m"),
            *("--memory", "64m"),
        )
        .ok()
        .err
    )
    assert " 77\n" in said
    assert "10.1.2.3\tfriend" in said
    assert " 1024 " in said
    assert " 67108864\n" in said
    assert "HOME=/root" in said

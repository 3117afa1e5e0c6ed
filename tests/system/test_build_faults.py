"""Builds that fail, are given up, are hostile: a clear message, and nothing left."""

from __future__ import annotations

import base64
import http.server
import io
import os
import re
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import images
from support.api import Api
from support.builds import Project
from support.cli import Cli
from support.daemon import BIN, Daemon, free_port

pytestmark = pytest.mark.requires("root", "overlayfs")


@pytest.fixture
def project(moor: Cli, tmp_path: Path) -> Iterator[Project]:
    yield Project(moor, tmp_path)
    moor("builder", "prune", "-af")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server of a directory; ``/to?URL`` redirects, ``/named`` names its file."""
    root = tmp_path / "site"
    root.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(root))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            if self.path.startswith("/to?"):
                self.send_response(302)
                self.send_header("Location", self.path[4:])
                self.end_headers()
                return
            super().do_GET()

        def end_headers(self) -> None:
            if "named" in self.path:
                self.send_header("Content-Disposition", 'attachment; filename="../../evil"')
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", root
    server.shutdown()
    server.server_close()


def archive(*members: tuple[str, bytes | str], mode: str = "w") -> bytes:
    """Make a tar; a string is the target of a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_a_failed_command_is_framed_with_its_last_output(project: Project) -> None:
    said = project.fails("FROM busybox\nRUN echo last words; exit 7\nRUN never\n")
    assert 'process "/bin/sh -c echo last words; exit 7" did not complete' in said
    assert "exit code: 7" in said
    assert "   2 | >>> RUN echo last words; exit 7" in said
    assert said.count("last words\n") >= 2
    assert "command not found" in project.fails("FROM busybox\nRUN nosuch\n")


def test_a_missing_file_names_near_matches(project: Project) -> None:
    project.write(settings_d_json="x")
    said = project.fails("FROM scratch\nCOPY setings.json /\n")
    assert '"/setings.json": not found (near matches: /settings.json)' in said
    assert ">>> COPY setings.json /" in said


def test_an_excluded_file_names_the_pattern(docker: Cli, project: Project) -> None:
    project.write(_d_dockerignore="*.key\n", a_d_key="x", Dockerfile="FROM scratch\nCOPY a.key /\n")
    said = docker.run("build", project.root)
    assert said.code != 0
    assert "excluded by '*.key' in .dockerignore" in said.err


def test_b3_no_one_but_the_daemon_gives_a_command_privileges(project: Project, api: Api) -> None:
    refused = "security.insecure is not allowed"
    insecure = "FROM busybox\nRUN --security=insecure true\n"
    assert refused in project.fails(insecure)
    assert refused in project.fails(insecure, "--allow=security.insecure")
    assert "parse error on line 1" in project.fails("# syntax=evil/frontend\n" + insecure)
    body = archive(("Dockerfile", insecure.encode()))
    asked = api.post("/build", body, privileged=True, allow="security.insecure")
    assert refused.encode() in asked.body
    capabilities = "FROM busybox\nRUN grep -E 'Cap(Eff|Bnd)|Seccomp:' /proc/self/status\n"
    said = project.run(capabilities).ok().err
    assert re.search(r"CapBnd:\s+00000000a80425fb", said)
    assert re.search(r"Seccomp:\s+2", said)


def test_b4_names_from_a_client_are_no_paths(api: Api, tmp_path: Path) -> None:
    session = api.post("/build/session", {}).ok(201).json()["ID"]
    victim = tmp_path / "victim"
    for key in ("../../../../" + str(victim), "..", "/etc", "a/b"):
        where = f"/build/session/{session}/context"
        api.request("POST", where, b"[]", query={"name": "../../x", "key": key}).ok(200)
    assert not victim.exists()
    assert api.get("/build/session/..%2f..%2fetc/output", kind="../x").status in {400, 404}
    assert api.get("/build/history/..%2f..%2f/log").status in {400, 404}
    api.delete(f"/build/session/{session}").ok(204)


def test_b4_a_context_that_tries_to_leave_is_kept_inside(
    api: Api, daemon: Daemon, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    dockerfile = ("Dockerfile", b"FROM scratch\nCOPY . /\n")
    for members in (
        (("../../../../../../.." + str(victim / "a"), b"x"),),
        ((str(victim / "b"), b"x"),),
        (("link", str(victim)), ("link/c", b"x")),
        (("up", "../../../../../../../../" + str(victim)), ("up/d", b"x")),
    ):
        body = archive(dockerfile, *members)
        api.request("POST", "/build", body, query={"q": True})
        assert list(victim.iterdir()) == []
    images_ = [i["Id"] for i in api.get("/images/json").json() if not i["RepoTags"]]
    for image in images_:
        api.delete(f"/images/{image}")
    daemon.api.post("/build/prune", all=True).ok()


def test_b9_links_in_a_context_lead_nowhere_outside(project: Project) -> None:
    os.symlink("/etc/passwd", project.root / "abs")
    os.symlink("../../../../../../../etc/passwd", project.root / "rel")
    for name in ("abs", "rel"):
        assert "not found" in project.fails(f"FROM scratch\nCOPY {name} /x\n")
    tree = project.tree("FROM scratch\nCOPY . /\n")
    assert os.readlink(tree / "abs") == "/etc/passwd"  # a link stays a link
    os.symlink("/etc/hostname", project.root / "Linked")
    said = project.moor.run("build", "-f", "Linked", project.root)
    assert said.code != 0


def test_b9_a_dockerfile_that_is_no_file_or_no_end(api: Api, project: Project) -> None:
    os.mkfifo(project.root / "pipe")
    result = project.moor.run("build", "-f", project.root / "pipe", project.root)
    assert "not a regular file" in result.err
    huge = archive(("Dockerfile", b"#" * (5 << 20)))
    answer = api.request("POST", "/build", huge)
    assert answer.status == 400
    assert "larger than" in answer.message
    missing = api.request("POST", "/build", archive(("other", b"")))
    assert missing.status == 404
    assert "Cannot locate specified Dockerfile: Dockerfile" in missing.message


def test_b10_downloads_speak_http_only_and_not_to_metadata_services(
    project: Project, site: tuple[str, Path]
) -> None:
    url, root = site
    (root / "f").write_text("data")
    for target in ("file:///etc/passwd", "ftp://x/y", "unix:///run/docker.sock"):
        said = project.fails(f"FROM scratch\nADD {url}/to?{target} /x\n")
        assert "refusing the redirect" in said
    said = project.fails("FROM scratch\nADD http://169.254.169.254/latest/meta-data /x\n")
    assert "link-local" in said
    said = project.fails(f"FROM scratch\nADD {url}/to?http://169.254.169.254/ /x\n")
    assert "link-local" in said
    assert "invalid response status 404" in project.fails(f"FROM scratch\nADD {url}/no /x\n")


def test_b10_checksums_names_and_the_cache_of_downloads(
    project: Project, site: tuple[str, Path]
) -> None:
    url, root = site
    (root / "f").write_text("data")
    (root / "named").write_text("data")
    os.utime(root / "f", (1000, 1000))
    good = "sha256:3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"
    tree = project.tree(f"FROM scratch\nADD --checksum={good} {url}/f /d/\nADD {url}/named /n/\n")
    assert (tree / "d/f").read_text() == "data"
    assert (tree / "d/f").stat().st_mtime == 1000
    assert os.listdir(tree / "n") == ["named"]
    assert "CACHED" in project.run(f"FROM scratch\nADD --checksum={good} {url}/f /d/\n").ok().err
    bad = good.replace("3a6e", "0000")
    said = project.fails(f"FROM scratch\nADD --checksum={bad} {url}/f /\n")
    assert "digest mismatch" in said


def test_add_unpacks_archives_and_keeps_hostile_ones_inside(
    project: Project, site: tuple[str, Path], tmp_path: Path
) -> None:
    url, root = site
    victim = tmp_path / "victim"
    victim.mkdir()
    for name, mode in (("a.tar", "w"), ("b.tgz", "w:gz"), ("c.txz", "w:xz"), ("d.tbz", "w:bz2")):
        data = archive((f"in/{name}", b"1"), mode=mode)
        (project.root / name).write_bytes(data)
    (project.root / "plain").write_text("no archive")
    (root / "e.tar").write_bytes(archive(("e", b"1")))
    tree = project.tree(
        f"FROM scratch\nADD a.tar b.tgz c.txz d.tbz plain /x/\nADD {url}/e.tar /y/\n"
        f"ADD --unpack=true {url}/e.tar /z/\nADD --unpack=false a.tar /w/\n"
    )
    assert sorted(os.listdir(tree / "x/in")) == ["a.tar", "b.tgz", "c.txz", "d.tbz"]
    assert (tree / "x/plain").exists()
    assert (tree / "y/e.tar").exists()
    assert (tree / "z/e").exists()
    assert (tree / "w/a.tar").exists()
    evil = archive(("l", str(victim)), ("l/x", b"x"), ("../../../.." + str(victim / "y"), b"x"))
    (project.root / "evil.tar").write_bytes(evil)
    project.run("FROM busybox\nADD evil.tar /\n")
    (project.root / "cut.tgz").write_bytes(archive(("f", b"x" * 9999), mode="w:gz")[:-20])
    project.fails("FROM busybox\nADD cut.tgz /\n")
    assert list(victim.iterdir()) == []


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """A repository behind git's own server."""
    top = tmp_path / "git"
    work = top / "r.git"
    work.mkdir(parents=True)

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@y", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *who, *arguments], cwd=work, check=True, capture_output=True)

    git("init")
    (work / "sub").mkdir()
    (work / "sub/f").write_text("v1")
    (work / "Dockerfile").write_text("FROM scratch\nCOPY sub/f /built\n")
    os.symlink("/etc", work / "out")
    git("add", ".")
    git("commit", "-m", "one")
    git("tag", "v1")
    (work / "sub/f").write_text("v2")
    git("commit", "-am", "two")
    port = free_port()
    command = [
        "git",
        "daemon",
        f"--port={port}",
        "--export-all",
        f"--base-path={top}",
        "--reuseaddr",
    ]
    server = subprocess.Popen([*command, "--listen=127.0.0.1"], start_new_session=True)
    for _ in range(100):
        probe = subprocess.run(
            ["git", "ls-remote", f"git://127.0.0.1:{port}/r.git"], capture_output=True, check=False
        )
        if probe.returncode == 0:
            break
        time.sleep(0.05)
    yield f"git://127.0.0.1:{port}/r.git"
    os.killpg(server.pid, signal.SIGTERM)
    server.wait()


@pytest.fixture
def private_repository(repository: str, tmp_path: Path) -> Iterator[str]:
    """The same repository over http for who shows the token ``t0ken``."""
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "-q", "--bare", repository, bare], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    wanted = "basic " + base64.b64encode(b"x-access-token:t0ken").decode()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            if self.headers.get("Authorization") == wanted:
                super().do_GET()
            else:
                self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/bare.git"
    server.shutdown()
    server.server_close()


@pytest.mark.requires("git")
def test_a_private_repository_opens_to_a_secret_and_to_nobody_else(
    project: Project, private_repository: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    secret = ("--secret", f"id=GIT_AUTH_TOKEN.127.0.0.1,src={tmp_path / 'token'}")
    dockerfile = f"FROM scratch\nADD {private_repository}#v1 /r\n"
    tree = project.tree(dockerfile, *secret)
    assert (tree / "r/sub/f").read_text() == "v1"
    assert "git ls-remote failed" in project.fails(dockerfile)
    listed = subprocess.run(
        ["git", "rev-parse", "v1"],
        cwd=tmp_path / "bare.git",
        capture_output=True,
        text=True,
        check=True,
    )
    by_commit = dockerfile.replace("#v1", f"#{listed.stdout.strip()}")
    project.tree(by_commit, *secret)
    assert "git fetch failed" in project.fails(by_commit)
    said = project.run(by_commit, *secret, "--no-cache").ok()
    assert "t0ken" not in said.out + said.err


@pytest.mark.requires("git")
def test_b5_git_sources_stay_what_they_say(project: Project, repository: str) -> None:
    tree = project.tree(
        f"FROM scratch\nADD {repository} /head\nADD {repository}#v1:sub /one/\n"
        f"ADD --keep-git-dir=true {repository}#main /git\n"
    )
    assert (tree / "head/sub/f").read_text() == "v2"
    assert not (tree / "head/.git").exists()
    assert (tree / "one/f").read_text() == "v1"
    assert (tree / "git/.git").is_dir()
    for fragment, message in (
        ("#main:out", "subdir not a directory"),
        ("#main:../..", "invalid directory"),
        ("#--upload-pack=touch", "invalid Git reference"),
        ("#nosuch", "does not contain ref nosuch"),
    ):
        assert message in project.fails(f"FROM scratch\nADD {repository}{fragment} /x\n"), fragment
    local = project.fails("FROM scratch\nADD git://127.0.0.1:1/x.git /x\n")
    assert "git ls-remote failed" in local


@pytest.mark.requires("git")
def test_a_repository_is_a_context(project: Project, repository: str) -> None:
    project.moor("build", "-o", project.out, repository)
    assert (project.out / "built").read_text() == "v2"
    project.moor("build", "-o", project.out, f"{repository}#v1")
    assert (project.out / "built").read_text() == "v1"


def test_remote_contexts_by_url(project: Project, site: tuple[str, Path]) -> None:
    url, root = site
    (root / "c.tgz").write_bytes(
        archive(("Dockerfile", b"FROM scratch\nCOPY f /\n"), ("f", b"x"), mode="w:gz")
    )
    (root / "Dockerfile").write_text("FROM scratch\nCOPY <<E /only\nE\n")
    project.moor("build", "-o", project.out, f"{url}/c.tgz")
    project.moor("build", "-o", project.out, f"{url}/Dockerfile")
    assert sorted(os.listdir(project.out)) == ["f", "only"]


def test_b7_crafted_links_in_an_image_do_not_catch_default_mounts(project: Project) -> None:
    said = project.run(
        "FROM busybox\nRUN rm -rf /etc/hosts /run; ln -s /proc/1/root/etc/shadow /etc/hosts; "
        "ln -s / /run\nRUN --mount=type=secret,id=s,target=/run/secrets/s cat /run/secrets/s; "
        "ls /secrets; exit 0\n",
        *("--secret", "id=s,env=S"),
    )
    assert "root:" not in said.err


def test_a_client_that_goes_away_ends_its_build(project: Project, daemon: Daemon) -> None:
    project.write(Dockerfile="FROM busybox\nRUN sleep 1234\n")
    with project.moor.start("build", "--network=none", "--progress=plain", project.root) as process:
        until(lambda: sleeping() == 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    until(lambda: sleeping() == 0)
    until(lambda: daemon.api.get("/build/history").json()[0]["Status"] == "cancelled")
    assert leftovers(daemon) == []


def test_a_shared_step_keeps_the_files_of_a_client_that_has_gone(
    project: Project, api: Api
) -> None:
    """Two builds want one step; the first goes while it runs with that one's context."""
    asked, go = threading.Event(), threading.Event()

    class Gate(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            go.wait(30)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    dockerfile = (
        "FROM busybox\nRUN --network=host --mount=type=bind,target=/c "
        f"echo begun; wget -qO- {url}; cp /c/file /copied\n"
    )
    project.write(Dockerfile=dockerfile, file="content")

    def statuses() -> set[str]:
        return {past["Status"] for past in api.get("/build/history").json()[:2]}

    body = archive(("Dockerfile", dockerfile.encode()), ("file", b"content"))
    try:
        head = f"POST /build HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        with api.raw(head.encode() + body) as first:
            assert asked.wait(30)
            flags = ("--progress", "plain", "--output", project.out)
            with project.moor.start("build", *flags, project.root) as second:
                assert second.stderr is not None
                shown = b""
                while b"begun\n" not in shown:
                    line = second.stderr.readline()
                    assert line, shown
                    shown += line
                first.close()
                until(lambda: {"cancelled", "running"} <= statuses())
                go.set()
                assert second.wait(30) == 0, second.stderr.read()
    finally:
        go.set()
        server.shutdown()
        server.server_close()
    assert (project.out / "copied").read_text() == "content"


def test_a_build_is_cancelled_by_its_id(project: Project, docker: Cli, api: Api) -> None:
    project.write(Dockerfile="FROM busybox\nRUN sleep 1235\n")
    with docker.start("build", project.root) as process:
        until(lambda: [b["Status"] for b in api.get("/build/history").json()][:1] == ["running"])
        until(lambda: sleeping("1235") == 1)
        identity = api.get("/build/history").json()[0]["ID"]
        api.post("/build/cancel", id=identity).ok(204)
        assert process.wait(timeout=20) != 0
    until(lambda: sleeping("1235") == 0)
    assert api.post("/build/cancel", id="nosuch").status == 404


def test_a_killed_daemon_leaves_nothing_of_a_build(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = make_daemon().start()
    daemon.load(images.busybox())
    project = Project(Cli(str(BIN / "moor"), daemon.socket, tmp_path), tmp_path)
    project.write(
        Dockerfile="FROM busybox\nRUN echo kept > /kept\n"
        "RUN --mount=type=cache,target=/c --mount=target=/x,from=busybox sleep 1236\n"
    )
    with project.moor.start("build", "--progress=plain", project.root) as process:
        until(lambda: sleeping("1236") == 1)
        daemon.kill()
        process.wait(timeout=20)
    daemon.start()
    until(lambda: sleeping("1236") == 0)
    assert daemon.api.get("/build/history").json()[0]["Status"] == "error"
    said = project.run("FROM busybox\nRUN echo kept > /kept\n", network="default").ok().err
    assert "CACHED" in said
    assert leftovers(daemon) == []
    with open("/proc/mounts", encoding="utf-8") as mounts:
        assert not [line for line in mounts if str(daemon.exec_root / "build") in line]


def test_a_fault_at_each_step_leaves_the_cache_usable(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    armed = tmp_path / "faults"
    armed.touch()
    daemon = make_daemon(env={"MOORAGE_FAILPOINTS": f"@{armed}"}).start()
    daemon.load(images.busybox())
    project = Project(Cli(str(BIN / "moor"), daemon.socket, tmp_path), tmp_path)
    text = "FROM busybox\nCOPY f /f\nRUN --mount=type=cache,target=/c echo x > /x\n"
    for point in (
        *("build.run.after_network", "build.run.after_mount", "build.run.before_start"),
        *("build.run.before_commit", "build.copy.before_commit", "build.cache.before_record"),
        *("build.export.before_image", "build.export.before_tag", "layers.before_take"),
    ):
        project.write(f=point)  # nothing of it is cached
        armed.write_text(f"{point}=enospc")
        said = project.fails(text)
        assert "space" in said.lower(), f"{point}: {said}"
        assert leftovers(daemon) == [], point
        armed.write_text("")
        assert project.run(text).code == 0, f"after {point}"
        assert leftovers(daemon) == [], point
    daemon.restart()
    assert project.run(text).ok().err.count("CACHED") == 2


def leftovers(daemon: Daemon) -> list[str]:
    """Return the writable layers of builds that are still there."""
    names = os.listdir(daemon.data_root / "layers/overlay2")
    return [name for name in names if name.startswith("build-")]


def sleeping(seconds: str = "1234") -> int:
    count = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                command = Path("/proc", entry, "cmdline").read_bytes()
            except OSError:
                continue
            count += command == f"sleep\0{seconds}\0".encode()
    return count


def until(met: Callable[[], bool], within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not met():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.05)

"""Processes executed in a running container."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import containers as c
from support.api import Api

pytestmark = pytest.mark.requires("root", "overlayfs")


def test_output_exit_code_and_events(api: Api) -> None:
    since = time.time()
    container_id = c.sleeper(api)
    code, said = c.exec_(api, container_id, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert code == 3
    assert sorted(said.split()) == ["err", "out"]
    found = [e["Action"] for e in api.events(since) if e["Action"].startswith("exec_")]
    words = "sh -c echo out; echo err >&2; exit 3"
    assert found == [f"exec_create: {words}", f"exec_start: {words}", "exec_die"]


def test_the_exit_code_is_there_when_the_stream_has_ended(api: Api) -> None:
    container_id = c.sleeper(api)

    def run(wanted: int) -> tuple[int | None, bool]:
        body = {"Cmd": ["sh", "-c", f"exit {wanted}"], "AttachStdout": True}
        exec_id = api.post(f"/containers/{container_id}/exec", body).ok(201).json()["Id"]
        with c.Hijack(api, f"/exec/{exec_id}/start", {}) as stream:
            stream.rest()
        found = api.get(f"/exec/{exec_id}/json").ok().json()
        return found["ExitCode"], found["Running"]

    codes = range(1, 121)
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(run, codes))
    assert found == [(code, False) for code in codes]


def test_user_directory_and_environment(api: Api) -> None:
    container_id = c.sleeper(api, Env=["A=container", "B=container"], WorkingDir="/tmp")
    script = "id -u; id -g; id -G; pwd; echo $A $B $HOME"
    code, said = c.exec_(
        api, container_id, "sh", "-c", script, User="tester", Env=["A=exec"], WorkingDir="/etc"
    )
    assert code == 0
    assert said.split() == "1000 1000 1000 2000 /etc exec container /home/tester".split()
    assert c.exec_(api, container_id, "pwd")[1].strip() == "/tmp"


@pytest.mark.parametrize(
    ("user", "expected"),
    [("1234", "1234 0"), ("1234:77", "1234 77"), (":77", "0 77"), ("tester:extra", "1000 2000")],
)
def test_r8_odd_users_run_as_nobody_else(api: Api, user: str, expected: str) -> None:
    """CVE-2026-30892: an odd ``-u`` must not end as another user."""
    container_id = c.sleeper(api)
    _, said = c.exec_(api, container_id, "sh", "-c", "echo $(id -u) $(id -g)", User=user)
    assert said.strip() == expected


@pytest.mark.parametrize("user", ["nosuch", "4294967296", "-1", "root:nosuch", " "])
def test_r8_users_that_cannot_be_are_refused(api: Api, user: str) -> None:
    container_id = c.sleeper(api)
    code, said = c.exec_(api, container_id, "id", User=user)
    assert code == 126
    assert "unable to find" in said or "must be in range" in said


def test_capabilities_and_open_files_of_an_exec(api: Api) -> None:
    """CVE-2022-24769, CVE-2024-21626: nothing inheritable, nothing of the daemon's open."""
    container_id = c.sleeper(api)
    script = "grep Cap /proc/self/status; for f in /proc/$$/fd/*; do readlink $f; done; true"
    _, said = c.exec_(api, container_id, "sh", "-c", script)
    lines = said.split()
    sets = dict(zip(lines[0:10:2], lines[1:10:2], strict=True))
    assert sets["CapInh:"] == sets["CapAmb:"] == "0" * 16
    assert sets["CapEff:"] == "00000000a80425fb"
    assert len(lines[10:]) == 3
    assert all(target.startswith(("pipe:", "/dev/null")) for target in lines[10:])
    _, said = c.exec_(api, container_id, "grep", "CapEff", "/proc/self/status", Privileged=True)
    assert said.split()[1] > "000000ff00000000"


@pytest.mark.parametrize("path", ["/proc/self/fd", "/proc/self/fd/7", "/proc/1/root/../.."])
def test_r1_a_working_directory_in_proc_leads_nowhere(api: Api, path: str) -> None:
    """CVE-2024-21626: no leaked descriptor can become the working directory."""
    container_id = c.sleeper(api)
    code, said = c.exec_(api, container_id, "cat", "/etc/passwd", WorkingDir=path)
    assert "tester" in said or code != 0


def test_input_half_close_and_a_terminal(api: Api) -> None:
    container_id = c.sleeper(api)
    body = {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True}
    exec_id = api.post(f"/containers/{container_id}/exec", body).ok(201).json()["Id"]
    with c.Hijack(api, f"/exec/{exec_id}/start") as stream:
        stream.send(b"hello ")
        stream.send(b"world")
        stream.end_input()
        assert b"".join(piece for _, piece in c.frames(stream.rest())) == b"hello world"
    body = {"Cmd": ["sh"], "AttachStdin": True, "AttachStdout": True, "Tty": True}
    body["ConsoleSize"] = [33, 99]
    exec_id = api.post(f"/containers/{container_id}/exec", body).ok(201).json()["Id"]
    with c.Hijack(api, f"/exec/{exec_id}/start", {"Tty": True}) as stream:
        stream.send(b"stty size; echo $((6*7))\n")
        assert b"33 99" in stream.read_until(b"42")
        api.post(f"/exec/{exec_id}/resize", h=20, w=50).ok()
        stream.send(b"stty size\n")
        stream.read_until(b"20 50")
        stream.send(b"exit 4\n")
        stream.rest()
    c.until(lambda: api.get(f"/exec/{exec_id}/json").json()["ExitCode"] == 4)


def test_who_starts_it_says_whether_the_stream_has_frames(api: Api) -> None:
    container_id = c.sleeper(api)
    body = {"Cmd": ["echo", "out"], "AttachStdout": True, "Tty": True}
    for start, expected in (({}, [(1, b"out\r\n")]), ({"Tty": True}, b"out\r\n")):
        exec_id = api.post(f"/containers/{container_id}/exec", body).ok(201).json()["Id"]
        with c.Hijack(api, f"/exec/{exec_id}/start", start) as stream:
            data = stream.rest()
        assert (data if start else c.frames(data)) == expected


def test_detached_by_request_and_by_keys(api: Api) -> None:
    container_id = c.sleeper(api)
    made = api.post(f"/containers/{container_id}/exec", {"Cmd": ["sleep", "100"]}).ok(201).json()
    api.post(f"/exec/{made['Id']}/start", {"Detach": True}).ok()
    assert api.get(f"/exec/{made['Id']}/json").ok().json()["Running"] is True
    assert api.post(f"/exec/{made['Id']}/start", {"Detach": True}).status == 409
    assert c.inspect(api, container_id)["ExecIDs"] == [made["Id"]]
    body = {"Cmd": ["sh"], "AttachStdin": True, "AttachStdout": True, "Tty": True}
    body["DetachKeys"] = "ctrl-a,b"
    exec_id = api.post(f"/containers/{container_id}/exec", body).ok(201).json()["Id"]
    with c.Hijack(api, f"/exec/{exec_id}/start", {"Tty": True}) as stream:
        stream.send(b"\x01b")
        stream.rest()
    assert api.get(f"/exec/{exec_id}/json").ok().json()["Running"] is True


def test_what_is_refused(api: Api) -> None:
    container_id = c.create(api)
    assert api.post(f"/containers/{container_id}/exec", {"Cmd": ["true"]}).status == 409
    api.post(f"/containers/{container_id}/start").ok()
    container_id = c.sleeper(api)
    assert api.post(f"/containers/{container_id}/exec", {"Cmd": []}).status == 400
    assert api.post(f"/containers/{container_id}/exec", {"Cmd": ["a\0b"]}).status == 400
    relative = {"Cmd": ["pwd"], "WorkingDir": "x"}
    assert api.post(f"/containers/{container_id}/exec", relative).status == 400
    assert api.post("/exec/nosuch/start", {}).message == "No such exec instance: nosuch"
    code, said = c.exec_(api, container_id, "nosuch")
    assert code == 127
    assert "executable file not found in $PATH" in said


def test_execs_end_with_their_container(api: Api) -> None:
    container_id = c.sleeper(api)
    made = api.post(f"/containers/{container_id}/exec", {"Cmd": ["sleep", "100"]}).ok(201).json()
    api.post(f"/exec/{made['Id']}/start", {"Detach": True}).ok()
    api.post(f"/containers/{container_id}/kill").ok()
    c.wait(api, container_id)
    c.until(lambda: api.get(f"/exec/{made['Id']}/json").json()["Running"] is False)


def test_an_exec_is_described_as_it_was_asked_for(api: Api) -> None:
    container_id = c.sleeper(api)
    path = f"/containers/{container_id}/exec"
    refused = api.post(path, {"Cmd": ["true"], "DetachKeys": "foo"})
    assert (refused.status, refused.message) == (400, "Invalid escape keys (foo) provided")
    for config, described in (({}, {}), ({"User": "0"}, {"user": "0"})):
        made = api.post(path, {"Cmd": ["true"], **config}).ok(201).json()["Id"]
        process = api.get(f"/exec/{made}/json").ok().json()["ProcessConfig"]
        plain = {"tty": False, "entrypoint": "true", "arguments": [], "privileged": False}
        assert process == {**plain, **described}

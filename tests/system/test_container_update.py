"""``update`` of what docker fixes at create: ports (at once), env and mounts (next start)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from support import containers as c
from support import images
from support.api import Api
from support.cli import Cli
from support.daemon import Daemon, free_port
from support.netlab import Host, HostedDaemon

pytestmark = pytest.mark.requires("root", "overlayfs")


def update(api: Api, container: str, **body: Any) -> list[str]:
    answer = api.post(f"/containers/{container}/update", body).ok().json()
    return answer["Warnings"] or []


def binding(port: int, address: str = "") -> list[dict[str, str]]:
    return [{"HostIp": address, "HostPort": str(port)}]


# --- ports -------------------------------------------------------------------------------------


def test_ports_of_a_running_container_change_at_once(moored: HostedDaemon, neighbour: Host) -> None:
    web, host, api = moored.sleeper("web"), moored.host, moored.api
    web.serve(80, "web")
    pid = c.state(api, "web")["Pid"]
    assert neighbour.word(host.address, 18190) == ""
    update(api, "web", PortBindings={"80/tcp": binding(18190)})
    assert neighbour.fetch(host.address, 18190) == f"web {neighbour.address}"
    assert host.word("127.0.0.1", 18190) == "web"
    assert web.word(host.address, 18190) == "web"  # hairpin, which the bridge was not told before
    shown = c.inspect(api, "web")
    assert {b["HostPort"] for b in shown["NetworkSettings"]["Ports"]["80/tcp"]} == {"18190"}
    assert shown["HostConfig"]["PortBindings"] == {"80/tcp": binding(18190)}
    assert "80/tcp" in shown["Config"]["ExposedPorts"]
    assert moored.docker("port", "web", "80").splitlines()[0] == "0.0.0.0:18190"
    update(api, "web", PortBindings={"80/tcp": binding(18191)})
    assert neighbour.word(host.address, 18190) == ""
    assert neighbour.word(host.address, 18191) == "web"
    update(api, "web", PortBindings={})
    assert neighbour.word(host.address, 18191) == ""
    assert c.inspect(api, "web")["NetworkSettings"]["Ports"] == {"80/tcp": None}
    assert c.state(api, "web")["Pid"] == pid
    web.close()


def test_a_port_that_stays_keeps_its_connections_and_its_number(
    moored: HostedDaemon, neighbour: Host
) -> None:
    web, host, api = moored.sleeper("web", "-p", "80"), moored.host, moored.api
    chosen = int(c.inspect(api, "web")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])
    server = web.inside(lambda: socket.create_server(("0.0.0.0", 80)))
    with neighbour.socket(host.address, socket.SOCK_STREAM) as client:
        client.connect((host.address, chosen))
        accepted, _ = server.accept()
        both = {"80/tcp": [*binding(0), *binding(18192)], "90/tcp": binding(18193)}
        update(api, "web", PortBindings=both)
        accepted.sendall(b"still here")
        assert client.recv(100) == b"still here"
        accepted.close()
    server.close()
    ports = c.inspect(api, "web")["NetworkSettings"]["Ports"]
    assert {int(b["HostPort"]) for b in ports["80/tcp"]} == {chosen, 18192}
    assert {int(b["HostPort"]) for b in ports["90/tcp"]} == {18193}
    web.close()


def test_a_host_port_can_move_and_narrow(moored: HostedDaemon, neighbour: Host) -> None:
    web, host, api = moored.sleeper("web", "-p", "18194:80"), moored.host, moored.api
    web.serve(80, "old")
    web.serve(81, "new")
    update(api, "web", PortBindings={"81/tcp": binding(18194)})
    assert neighbour.word(host.address, 18194) == "new"
    update(api, "web", PortBindings={"81/tcp": binding(18194, "127.0.0.1")})
    assert host.word("127.0.0.1", 18194) == "new"
    assert neighbour.word(host.address, 18194, timeout=1) == ""
    web.close()


def test_a_port_that_is_taken_changes_nothing(moored: HostedDaemon, neighbour: Host) -> None:
    web, host, api = moored.sleeper("web", "-p", "18195:80"), moored.host, moored.api
    moored.sleeper("other", "-p", "18196:80")
    web.serve(80, "web")
    before = c.inspect(api, "web")
    wanted = {"80/tcp": binding(18197), "81/tcp": binding(18196)}
    refused = api.post("/containers/web/update", {"PortBindings": wanted, "Memory": 64 << 20})
    assert (refused.status, "port is already allocated" in refused.message) == (500, True)
    bad = {"80/tcp": binding(99999)}
    assert api.post("/containers/web/update", {"PortBindings": bad}).status == 400
    after = c.inspect(api, "web")
    for key in ("HostConfig", "NetworkSettings", "Config"):
        assert after[key] == before[key]
    assert neighbour.word(host.address, 18195) == "web"
    assert neighbour.word(host.address, 18197) == ""
    moored.sleeper("third", "-p", "18197:80")  # nobody holds it
    web.close()


def test_changed_ports_outlive_the_daemon_and_the_process(
    moored: HostedDaemon, neighbour: Host
) -> None:
    web, host, api = moored.sleeper("web"), moored.host, moored.api
    update(api, "web", PortBindings={"80/tcp": binding(18198), "53/udp": binding(18199)})
    moored.restart(kill=True)
    web.serve(80, "web")
    assert neighbour.word(host.address, 18198) == "web"
    assert "18198" in moored.docker("ps", "--format", "{{.Ports}}")
    web.close()
    moored.docker("restart", "-t", "0", "web")
    web = moored.place("web")
    web.serve(80, "again")
    assert neighbour.word(host.address, 18198) == "again"
    moored.docker("stop", "-t", "0", "web")
    web.close()
    update(api, "web", PortBindings={"80/tcp": binding(18200)})
    moored.docker("start", "web")
    web = moored.place("web")
    web.serve(80, "third")
    assert neighbour.word(host.address, 18200) == "third"
    assert neighbour.word(host.address, 18198) == ""
    web.close()


@pytest.mark.parametrize(
    "fault", ["containers.update.after_ports", "networks.publish.after_record"]
)
def test_death_in_a_change_of_ports_is_finished_by_the_next_daemon(
    moored: HostedDaemon, neighbour: Host, fault: str
) -> None:
    web, host, api = moored.sleeper("web", "-p", "18201:80"), moored.host, moored.api
    web.serve(80, "web")
    faults = moored.root / "faults"
    faults.write_text(f"{fault}=kill")
    with pytest.raises((OSError, AssertionError)):
        update(api, "web", PortBindings={"80/tcp": binding(18202)})
    assert moored.process is not None
    moored.process.wait(10)
    faults.write_text("")
    moored.start()
    assert c.inspect(api, "web")["HostConfig"]["PortBindings"] == {"80/tcp": binding(18202)}
    assert neighbour.word(host.address, 18202) == "web"
    assert neighbour.word(host.address, 18201) == ""
    web.close()


def test_an_error_in_a_change_of_ports_changes_nothing(
    moored: HostedDaemon, neighbour: Host
) -> None:
    web, host, api = moored.sleeper("web", "-p", "18203:80"), moored.host, moored.api
    web.serve(80, "web")
    faults = moored.root / "faults"
    before = c.inspect(api, "web")
    for fault in ("containers.update.after_ports", "networks.publish.after_record",
                  "containers.update.after_record"):  # fmt: skip
        faults.write_text(f"{fault}=error")
        body = {"PortBindings": {"80/tcp": binding(18204)}}
        assert api.post("/containers/web/update", body).status == 500, fault
        faults.write_text("")
        after = c.inspect(api, "web")
        assert after["HostConfig"] == before["HostConfig"], fault
        assert after["NetworkSettings"]["Ports"] == before["NetworkSettings"]["Ports"], fault
        assert neighbour.word(host.address, 18203) == "web"
        assert neighbour.word(host.address, 18204) == ""
    web.close()


def test_ports_without_a_network_of_its_own(api: Api) -> None:
    c.sleeper(api, name="owner")
    c.sleeper(api, name="guest", host={"NetworkMode": "container:owner"})
    refused = api.post("/containers/guest/update", {"PortBindings": {"80/tcp": binding(18205)}})
    assert (refused.status, "conflicting options: port publishing" in refused.message) == (
        400,
        True,
    )
    c.sleeper(api, name="hosted", host={"NetworkMode": "host"})
    (warning,) = update(api, "hosted", PortBindings={"80/tcp": binding(18205)})
    assert "discarded when using host network mode" in warning


# --- environment and mounts --------------------------------------------------------------------


def environment(api: Api, container: str) -> str:
    return c.exec_(api, container, "cat", "/proc/1/environ")[1]


def test_environment_and_mounts_count_from_the_next_start_on(api: Api, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("of the host\n")
    container = c.sleeper(
        api,
        name="web",
        Env=["A=1", "B=2"],
        Volumes={"/anonymous": {}},
        host={"Binds": ["one:/one"]},
    )
    c.exec_(api, container, "sh", "-c", "echo kept > /layer; echo kept > /anonymous/f")
    before = c.inspect(api, container)
    volume = next(m["Name"] for m in before["Mounts"] if m["Destination"] == "/anonymous")
    mounts = [{"Type": "bind", "Source": str(tmp_path), "Target": "/host", "ReadOnly": True}]
    wanted = {"Env": ["A=new", "C=3"], "Binds": ["two:/two"], "Mounts": mounts}
    (warning,) = update(api, container, **wanted)
    assert "next start" in warning
    shown = c.inspect(api, container)
    assert shown["PendingUpdate"]["Env"] == wanted["Env"]
    assert shown["PendingUpdate"]["Binds"] == wanted["Binds"]
    for key in ("Config", "Mounts", "State"):
        assert shown[key] == before[key]
    assert "A=1" in environment(api, container)
    update(api, container, Env=["A=newer"])  # on top of what is pending
    api.post(f"/containers/{container}/restart", t=5).ok(204)
    c.until(lambda: c.output(api, container).count("up") == 2)
    shown = c.inspect(api, container)
    assert "PendingUpdate" not in shown
    assert (shown["Id"], shown["Name"]) == (before["Id"], "/web")
    assert shown["Config"]["Env"] == ["A=newer"]
    places = {m["Destination"]: m.get("Name") for m in shown["Mounts"]}
    assert places == {"/anonymous": volume, "/two": "two", "/host": None}
    script = "cat /layer /anonymous/f /host/f; echo > /host/f; echo > /two/f && echo two"
    said = c.exec_(api, container, "sh", "-c", f"{{ {script}; }} 2>&1")[1].splitlines()
    assert said[:3] == ["kept", "kept", "of the host"]
    assert ("Read-only" in said[3], said[4]) == (True, "two")
    assert "A=newer" in environment(api, container)
    api.delete("/volumes/one").ok(204)  # nobody uses it any more
    assert api.delete("/volumes/two").status == 409


def test_a_stopped_container_changes_at_once(api: Api) -> None:
    container = c.run(api, "sh", "-c", "echo $A; cat /data/f", Env=["A=1"])
    c.wait(api, container)
    assert update(api, container, Env=["A=2"], Binds=["data:/data"]) == []
    shown = c.inspect(api, container)
    assert "PendingUpdate" not in shown
    assert (shown["Config"]["Env"], shown["Mounts"][0]["Name"]) == (["A=2"], "data")
    c.ask(api, "sh", "-c", "echo in the volume > /data/f", host={"Binds": ["data:/data"]})
    api.post(f"/containers/{container}/start").ok(204)
    c.wait(api, container)
    assert c.output(api, container).splitlines()[-2:] == ["2", "in the volume"]
    update(api, container, Binds=[])
    assert c.inspect(api, container)["Mounts"] == []
    api.delete("/volumes/data").ok(204)


def test_mounts_of_another_container_stay(api: Api) -> None:
    c.run(api, "true", name="donor", host={"Binds": ["given:/given"]})
    taker = c.create(api, "true", host={"VolumesFrom": ["donor"]})
    c.wait(api, "donor")
    api.delete("/containers/donor").ok(204)
    update(api, taker, Binds=["own:/own"])
    places = {m["Destination"]: m["Name"] for m in c.inspect(api, taker)["Mounts"]}
    assert places == {"/given": "given", "/own": "own"}


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"Env": ["=x"]}, 400, "invalid environment variable"),
        ({"Binds": ["aa:/x", "bb:/x"]}, 400, "Duplicate mount point: /x"),
        ({"Binds": ["relative/../x:x"]}, 400, "invalid"),
        (
            {"Mounts": [{"Type": "bind", "Source": "/no/such", "Target": "/x"}]},
            400,
            "bind source path does not exist: /no/such",
        ),
        ({"Mounts": [{"Type": "image", "Source": "nosuch", "Target": "/x"}]}, 400, "nosuch"),
        ({"Env": ["A=2"], "Memory": 1}, 400, "Minimum memory limit"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    api: Api, body: dict[str, Any], status: int, said: str, *, running: bool
) -> None:
    container = c.sleeper(api, Env=["A=1"]) if running else c.create(api, Env=["A=1"])
    before = c.inspect(api, container)
    refused = api.post(f"/containers/{container}/update", body)
    assert (refused.status, said in refused.message) == (status, True), refused.message
    assert c.inspect(api, container) == before


def test_a_source_that_has_gone_fails_the_start_and_stays_pending(api: Api, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    container = c.sleeper(api)
    update(api, container, Mounts=[{"Type": "bind", "Source": str(source), "Target": "/x"}])
    source.rmdir()
    api.post(f"/containers/{container}/stop", t=5).ok(204)
    failed = api.post(f"/containers/{container}/start")
    assert (failed.status, "bind source path does not exist" in failed.message) == (400, True)
    assert "PendingUpdate" in c.inspect(api, container)
    source.mkdir()
    api.post(f"/containers/{container}/start").ok(204)
    assert c.inspect(api, container)["Mounts"][0]["Source"] == str(source)


@pytest.mark.parametrize(
    "fault", ["containers.update.after_record", "containers.update.before_commit",
              "containers.update.after_commit"],
)  # fmt: skip
def test_death_in_an_update_loses_nothing(make_daemon: Any, fault: str) -> None:
    daemon: Daemon = make_daemon()
    faults = daemon.root / "faults"
    faults.write_text("")
    daemon.env["MOORAGE_FAILPOINTS"] = f"@{faults}"
    daemon.start()

    daemon.load(images.busybox())
    api = daemon.api
    container = c.create(api, "sh", "-c", "echo $A; ls /new", host={"Binds": ["old:/old"]})
    faults.write_text(f"{fault}=kill")
    with pytest.raises((OSError, AssertionError)):
        update(api, container, Env=["A=2"], Binds=["new:/new"])
    assert daemon.process is not None
    daemon.process.wait(10)
    faults.write_text("")
    daemon.start()
    api.post(f"/containers/{container}/start").ok(204)
    assert c.wait(api, container) == 0
    assert c.output(api, container) == "2\n"
    assert "PendingUpdate" not in c.inspect(api, container)
    api.delete("/volumes/old").ok(204)
    api.delete(f"/containers/{container}").ok(204)
    api.delete("/volumes/new").ok(204)


# --- the client --------------------------------------------------------------------------------


def test_moor_update(daemon: Daemon, moor: Cli, tmp_path: Path) -> None:
    api = daemon.api
    c.sleeper(
        api, name="web", Env=["A=1", "GONE=1"], host={"NetworkMode": "bridge", "Binds": ["vol:/v"]}
    )
    host_port = free_port()  # of this machine, where others may test too
    moor("update", "-p", "127.0.0.1:0:80", "-p", f"{host_port}:81/udp", "web")
    ports = c.inspect(api, "web")["NetworkSettings"]["Ports"]
    assert set(ports) == {"80/tcp", "81/udp"}
    moor("update", "--publish-rm", f"{host_port}:81/udp", "--publish-rm", "80", "web")
    assert c.inspect(api, "web")["NetworkSettings"]["Ports"] == {"80/tcp": None, "81/udp": None}
    wrong = moor.run("update", "--publish-rm", "82", "web")
    assert (wrong.code, "no such port is published: 82" in wrong.err) == (1, True)
    flags = ["-e", "A=2", "-e", "B=3", "--env-rm", "GONE", "-v", f"{tmp_path}:/host:ro"]
    flags += ["--mount", "type=tmpfs,dst=/t", "-v", "/anonymous"]
    said = moor.run("update", *flags, "web").ok()
    assert "next start" in said.err
    moor("update", "--mount-rm", "/v", "-e", "C=4", "web")
    said = moor.run("update", "--restart-now", "web").ok()
    assert (said.out, said.err) == ("web\n", "")
    shown = c.inspect(api, "web")
    own = [entry for entry in shown["Config"]["Env"] if not entry.startswith("PATH=")]
    assert own == ["A=2", "B=3", "C=4"]
    assert {m["Destination"] for m in shown["Mounts"]} == {"/host", "/t", "/anonymous"}
    missing = moor.run("update", "--mount-rm", "/v", "web")
    assert (missing.code, "no mount that could be taken away: /v" in missing.err) == (1, True)


def test_the_official_client_updates_as_before(docker: Cli, api: Api) -> None:
    container = c.sleeper(api, Env=["A=1"], host={"Binds": ["vol:/v"]})
    docker("update", "--memory", "64m", "--memory-swap", "64m", "--restart", "always", container)
    shown = c.inspect(api, container)
    assert (shown["HostConfig"]["Memory"], shown["HostConfig"]["Binds"]) == (64 << 20, ["vol:/v"])
    assert "PendingUpdate" not in shown

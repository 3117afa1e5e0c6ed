from __future__ import annotations

import stat

import pytest

from moorage.containers import archive, environment, stats, top
from moorage.containers import list as listing
from moorage.containers.capabilities import normalise
from moorage.containers.record import ContainerRecord
from moorage.containers.security_options import parse
from moorage.containers.state import State
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.health import Health
from moorage.spec.engine.hostconfig import HostConfig, PortBinding

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def record(state: State, **fields: object) -> ContainerRecord:
    return ContainerRecord(
        id="c" * 64,
        name="web",
        created_ns=NOW - 90 * SECOND,
        image_id="",
        config=ContainerConfig(),
        host_config=HostConfig(),
        state=state,
        **fields,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("state", "fields", "health", "sentence"),
    [
        (State.CREATED, {}, None, "Created"),
        (State.RUNNING, {"started_ns": NOW - 5 * SECOND}, None, "Up 5 seconds"),
        (
            State.RUNNING,
            {"started_ns": NOW - 60 * SECOND},
            "starting",
            "Up About a minute (health: starting)",
        ),
        (State.RUNNING, {"started_ns": NOW}, "healthy", "Up Less than a second (healthy)"),
        (State.PAUSED, {"started_ns": NOW - 5 * SECOND}, None, "Up 5 seconds (Paused)"),
        (
            State.EXITED,
            {"started_ns": 1, "finished_ns": NOW - 3600 * SECOND, "exit_code": 3},
            None,
            "Exited (3) About an hour ago",
        ),
        (
            State.RESTARTING,
            {"started_ns": 1, "finished_ns": NOW - 2 * SECOND, "exit_code": 1},
            None,
            "Restarting (1) 2 seconds ago",
        ),
        (State.REMOVING, {}, None, "Removal In Progress"),
        (State.DEAD, {}, None, "Dead"),
    ],
)
def test_the_status_column(
    state: State, fields: dict[str, object], health: str | None, sentence: str
) -> None:
    shown = Health(status=health) if health else None
    assert listing.status(record(state, **fields), shown, NOW) == sentence


def test_arguments_with_spaces_are_quoted() -> None:
    shown = listing.command_line(record(State.CREATED, path="sh", args=["-c", "echo hi"]))
    assert shown == "sh -c 'echo hi'"


def test_ports_exposed_and_published() -> None:
    shown = listing.ports(
        {"80/tcp": [PortBinding(host_ip="0.0.0.0", host_port="8080")], "53/udp": None}
    )
    first = shown[0]
    assert (first.private_port, first.public_port, first.type) == (80, 8080, "tcp")
    assert shown[1].private_port == 53


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o1777, (1 << 31) | (1 << 20) | 0o777),
        (stat.S_IFLNK | 0o777, (1 << 27) | 0o777),
        (stat.S_IFREG | 0o4755, (1 << 23) | 0o755),
        (stat.S_IFCHR | 0o600, (1 << 26) | (1 << 21) | 0o600),
    ],
)
def test_modes_are_numbered_as_go_does(mode: int, expected: int) -> None:
    assert archive.go_mode(mode) == expected


def test_a_variable_without_value_is_taken_away() -> None:
    assert environment.override(["A=1", "B=2"], ["A", "C=3", "B=4"]) == ["B=4", "C=3"]


def test_home_is_the_users_unless_it_is_set() -> None:
    assert environment.with_home(["A=1"], "/root") == ["A=1", "HOME=/root"]
    assert environment.with_home(["HOME=/x"], "/root") == ["HOME=/x"]


def test_only_our_processes_are_kept_of_ps() -> None:
    output = "  PID COMMAND\n    1 init\n   77 a b c\n"
    table = top.parse(output, [77])
    assert table.processes == [["77", "a b c"]]
    with pytest.raises(InvalidParameter, match="couldn't find PID field"):
        top.parse("COMMAND\ninit\n", [77])


def test_network_counters() -> None:
    lo = "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    text = f"head\nhead\n{lo}  eth0: 10 20 3 4 5 6 7 8 90 100 11 12 13 14 15 16\n"
    counters = stats.parse_net_dev(text)
    assert set(counters) == {"eth0"}
    assert (counters["eth0"].rx_bytes, counters["eth0"].tx_packets) == (10, 100)


def test_capabilities_are_normalised() -> None:
    assert normalise(["net_admin", "CAP_CHOWN", "all"], "CapAdd") == [
        "CAP_NET_ADMIN",
        "CAP_CHOWN",
        "ALL",
    ]
    with pytest.raises(InvalidParameter, match='invalid CapAdd: unknown capability: "CAP_FLY"'):
        normalise(["fly"], "CapAdd")


def test_security_options() -> None:
    parsed = parse(["no-new-privileges", "seccomp=unconfined", "label:disable", "apparmor=x"])
    assert parsed.no_new_privileges is True
    assert (parsed.seccomp, parsed.labels, parsed.apparmor) == ("unconfined", ["disable"], "x")
    for bad in ("nonsense", "colour=red", "no-new-privileges=perhaps"):
        with pytest.raises(InvalidParameter, match="invalid --security-opt"):
            parse([bad])

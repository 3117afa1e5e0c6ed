from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.containers import names, validate_config, validate_namespaces, validate_resources
from moorage.containers.validate_resources import HostResources
from moorage.lib import signalnames
from moorage.lib.errors import InvalidParameter
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.health import HealthConfig
from moorage.spec.engine.hostconfig import (
    HostConfig,
    HostConfigBlkioWeightDeviceItem,
    PortBinding,
    RestartPolicy,
    Ulimit,
)

HOST = HostResources(cpus=2, online_cpus=frozenset({0, 1}), memory_nodes=frozenset({0}))
CONFIG = ContainerConfig(cmd=["true"])


@pytest.mark.parametrize(
    ("config", "host", "sentence"),
    [
        ({"working_dir": "relative"}, {}, "it needs to be an absolute path"),
        ({"env": ["=x"]}, {}, "invalid environment variable: =x"),
        ({"env": [""]}, {}, "invalid environment variable"),
        ({"cmd": ["a\0b"]}, {}, "null byte"),
        ({"hostname": "a\nb"}, {}, "invalid hostname"),
        ({"hostname": "x" * 65}, {}, "invalid hostname"),
        ({"stop_signal": "SIGNONSENSE"}, {}, "invalid signal: SIGNONSENSE"),
        ({"healthcheck": HealthConfig(interval=1)}, {}, "Interval in Healthcheck cannot be less"),
        ({"healthcheck": HealthConfig(retries=-1)}, {}, "Retries in Healthcheck cannot be neg"),
        ({"exposed_ports": {"70000/tcp": {}}}, {}, "invalid port specification"),
        ({"exposed_ports": {"80/icmp": {}}}, {}, "invalid port specification"),
        ({}, {"port_bindings": {"80": [PortBinding(host_port="x")]}}, "invalid port specifi"),
        ({}, {"port_bindings": {"80": [PortBinding(host_ip="x")]}}, "invalid IP address"),
        ({}, {"extra_hosts": ["nocolon"]}, "bad format for add-host"),
        ({}, {"extra_hosts": ["a:not-an-address"]}, "invalid IP address in add-host"),
        ({}, {"extra_hosts": ["a\nb:127.0.0.1"]}, "bad format for add-host"),
        ({}, {"dns": ["nine"]}, "invalid IP address"),
        ({}, {"dns_search": ["a\nnameserver 6.6.6.6"]}, "invalid DNS setting"),
        ({}, {"restart_policy": RestartPolicy(name="ever")}, "unknown policy 'ever'"),
        (
            {},
            {"restart_policy": RestartPolicy(name="always", maximum_retry_count=2)},
            "can only be used with 'on-failure'",
        ),
        (
            {},
            {"auto_remove": True, "restart_policy": RestartPolicy(name="always")},
            "can't create 'AutoRemove' container with restart policy",
        ),
        ({}, {"annotations": {"": "x"}}, "empty string is not permitted"),
        ({}, {"isolation": "hyperv"}, 'Invalid isolation: "hyperv" - linux only supports'),
        ({}, {"console_size": [1]}, "invalid ConsoleSize"),
    ],
)
def test_bad_configurations_are_refused(
    config: dict[str, object], host: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        validate_config.check(
            ContainerConfig(**{"cmd": ["true"], **config}),  # type: ignore[arg-type]
            HostConfig(**host),  # type: ignore[arg-type]
        )


@pytest.mark.parametrize(
    ("text", "number"),
    [("9", 9), ("KILL", 9), ("sigterm", 15), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("HUP", 1)],
)
def test_signals_are_read(text: str, number: int) -> None:
    assert signalnames.parse(text) == number


@pytest.mark.parametrize("text", ["0", "65", "SIG", "RTMIN+90", "SIG_IGN", "1.5", "-9", ""])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid signal"):
        signalnames.parse(text)


@pytest.mark.parametrize(
    ("config", "host", "sentence"),
    [
        ({"hostname": "x"}, {"network_mode": "container:a"}, "hostname and the network mode"),
        ({"hostname": "x"}, {"uts_mode": "host"}, "hostname and the UTS mode"),
        ({}, {"network_mode": "container:a", "dns": ["1.1.1.1"]}, "dns and the network mode"),
        ({}, {"network_mode": "container:a", "publish_all_ports": True}, "port publishing"),
        ({"exposed_ports": {"1/tcp": {}}}, {"network_mode": "container:a"}, "port exposing"),
        ({}, {"network_mode": "host", "links": ["a"]}, "can't be used with links"),
        ({}, {"network_mode": "container:"}, "invalid container format"),
        ({}, {"ipc_mode": "odd"}, "invalid IPC mode: odd"),
        ({}, {"pid_mode": "container:"}, "invalid PID mode: container:"),
        ({}, {"uts_mode": "odd"}, "invalid UTS mode"),
        ({}, {"userns_mode": "odd"}, "invalid userns mode"),
        ({}, {"cgroupns_mode": "odd"}, "invalid cgroup namespace mode"),
    ],
)
def test_contradicting_namespaces_are_refused(
    config: dict[str, object], host: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        validate_namespaces.check(
            ContainerConfig(**config),  # type: ignore[arg-type]
            HostConfig(**host),  # type: ignore[arg-type]
        )


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ({"memory": 1}, "Minimum memory limit allowed is 6MB"),
        ({"memory": -5}, "Minimum memory limit allowed is 6MB"),
        ({"memory": 64 << 20, "memory_swap": 32 << 20}, "Minimum memoryswap limit"),
        ({"memory_swap": 32 << 20}, "always set the Memory limit"),
        ({"memory_swappiness": 101}, "valid memory swappiness range is 0-100"),
        ({"memory": 32 << 20, "memory_reservation": 64 << 20}, "can not be less than memory res"),
        ({"nano_cpus": 3_000_000_000}, "Range of CPUs is from 0.01 to 2.00"),
        ({"nano_cpus": 10**9, "cpu_quota": 5000}, "Nano CPUs and CPU Quota cannot both"),
        ({"cpu_period": 1}, "CPU cfs period"),
        ({"cpu_quota": 1}, "CPU cfs quota"),
        ({"cpu_shares": -1}, "invalid CPU shares"),
        ({"cpuset_cpus": "0-"}, "Invalid value 0- for cpuset cpus"),
        ({"cpuset_cpus": "0-7"}, "Requested CPUs are not available - requested 0-7, avail.*0-1"),
        ({"blkio_weight": 5}, "Range of blkio weight"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
        ({"oom_score_adj": 2000}, "range for oom score adj"),
        ({"ulimits": [Ulimit(name="odd", soft=1, hard=1)]}, "invalid ulimit type: odd"),
        ({"ulimits": [Ulimit(name="nofile", soft=9, hard=1)]}, "soft limit must be less"),
        ({"storage_opt": {"colour": "red"}}, "unknown option colour"),
    ],
)
def test_impossible_limits_are_refused(host: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        validate_resources.check(HostConfig(**host), HOST)  # type: ignore[arg-type]


def test_what_the_kernel_lacks_is_a_warning_not_an_error() -> None:
    without = replace(
        HOST, swap_limit=False, swappiness=False, io_weight=False, io_weight_device=False
    )
    wanted = HostConfig(
        memory=64 << 20,
        memory_swap=128 << 20,
        memory_swappiness=10,
        blkio_weight=100,
        blkio_weight_device=[HostConfigBlkioWeightDeviceItem(path="/dev/vda", weight=300)],
    )
    host, warnings = validate_resources.check(wanted, without)
    assert host == HostConfig(memory=64 << 20, memory_swap=-1)
    said = ["swap limit", "memory swappiness", "Block I/O weight or", "Block I/O weight_device"]
    assert [part in warning for part, warning in zip(said, warnings, strict=True)] == [True] * 4
    assert validate_resources.check(wanted, HOST) == (wanted, [])
    untold = HostConfig(memory_swappiness=-1)  # what the official client sends for none
    assert validate_resources.check(untold, without) == (untold, [])


def test_real_time_is_refused_where_the_kernel_has_none() -> None:
    wanted = HostConfig(cpu_realtime_runtime=1000)
    with pytest.raises(InvalidParameter, match="does not support CPU real-time scheduler"):
        validate_resources.check(wanted, HOST)
    assert validate_resources.check(wanted, replace(HOST, realtime=True))[1] == []


@given(st.frozensets(st.integers(0, 300), min_size=1))
def test_sets_of_cpus_survive_a_round_trip(numbers: frozenset[int]) -> None:
    assert validate_resources.parse_set(validate_resources.format_set(numbers)) == numbers


@pytest.mark.parametrize("name", ["/web", "web", "a.b-c_9"])
def test_good_names_lose_their_slash(name: str) -> None:
    assert names.normalise(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["", "/", "a", "-web", "a/b", "../x", "web\n", "wéb"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidParameter, match="Invalid container name"):
        names.normalise(name)


def test_a_nameless_container_gets_a_name_that_is_free() -> None:
    assert names.invent(lambda _name: True, "f" * 64) == "f" * 12

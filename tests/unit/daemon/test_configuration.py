"""Flags and daemon.json: what is taken, and what is refused with the key and the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moorage.daemon import commandline, loading
from moorage.daemon.config import Config
from moorage.daemon.hosts import HostAddress, parse_host
from moorage.daemon.options import FLAG_ONLY, OPTIONS
from moorage.daemon.validate import without_effect
from moorage.lib.errors import InvalidParameter


def load(tmp_path: Path, *flags: str, **document: object) -> Config:
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({key.replace("_", "-"): value for key, value in document.items()}))
    return loading.load(commandline.parse(["--config-file", str(file), *flags]))


def test_every_option_is_a_field_and_every_field_an_option() -> None:
    fields = {name.replace("_", "-") for name in Config.__struct_fields__}
    assert fields == {option.key for option in OPTIONS} - FLAG_ONLY


def test_roots_are_absolute_for_monitors_work_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(tmp_path, "--data-root", "d", "--exec-root=e")
    assert (config.data_root, config.exec_root) == (f"{tmp_path}/d", f"{tmp_path}/e")


def test_the_help_names_every_flag() -> None:
    text = commandline.usage()
    assert all(f"--{option.flag_name} " in text for option in OPTIONS if option.flag_name)


def test_flags_are_read_as_pflag_reads_them(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        *("-D", "-Hunix:///a", "-H", "unix:///b", "--host=fd://", "--mtu=1400", "--icc=false"),
        *("--log-opt", "max-size=1m", "--log-opt=tag=a=b", "-l=warn", "--label", "a=1"),
        *("--default-ulimit", "nofile=10:20", "--default-ulimit=core=0"),
        *("--default-address-pool", "base=10.9.0.0/16,size=24", "--add-runtime", "x=/bin/x"),
        *(
            "--default-network-opt",
            "bridge=com.docker.network.driver.mtu=1400",
            "--feature",
            "y=true",
        ),
        "--http-proxy=http://p:1",
    )
    assert config.debug is True
    assert config.hosts == ["unix:///a", "unix:///b", "fd://"]
    assert (config.mtu, config.icc, config.log_level) == (1400, False, "warn")
    assert config.log_opts == {"max-size": "1m", "tag": "a=b"}
    nofile, core = config.default_ulimits["nofile"], config.default_ulimits["core"]
    assert (nofile.soft, nofile.hard, core.soft, core.hard) == (10, 20, 0, 0)
    assert config.default_address_pools[0].base == "10.9.0.0/16"
    assert config.runtimes["x"].path == "/bin/x"
    assert config.default_network_opts == {"bridge": {"com.docker.network.driver.mtu": "1400"}}
    assert config.features == {"y": True}
    assert config.proxies.http_proxy == "http://p:1"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["-Z"], "unknown shorthand flag: 'Z'"),
        (["--mtu"], "flag needs an argument: --mtu"),
        (["--mtu", "x"], "invalid argument 'x' for --mtu"),
        (["--debug=maybe"], "invalid argument 'maybe' for --debug"),
        (["extra"], "moord accepts no arguments: 'extra'"),
        (["--log-opt", "novalue"], "invalid argument 'novalue' for --log-opt"),
        (["--default-ulimit", "nofile=x"], "--default-ulimit"),
        (["--default-address-pool", "base=10.0.0.0/8"], "--default-address-pool"),
    ],
)
def test_bad_flags_are_named(tmp_path: Path, flags: list[str], message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        load(tmp_path, *flags)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("mtu", "1500", "mtu: Expected `int`, got `str`"),
        ("mtu", -1, "must be at least 0"),
        ("log-level", "loud", "must be one of debug"),
        ("log-level", None, "log-level"),
        ("bip", "10.0.0.1/99", "bip"),
        ("fixed-cidr", "10.0.0.7/8", "has host bits set"),
        ("dns", ["nine"], "dns"),
        ("dns", "9.9.9.9", "dns: Expected `array`"),
        ("labels", ["novalue"], "a label must be key=value"),
        ("labels", ["a=1", "a=2"], "given twice"),
        ("registry-mirrors", ["ftp://x"], "not a valid registry mirror"),
        ("registry-mirrors", ["https://user:pw@x"], "without user and password"),
        ("insecure-registries", ["http://x"], "should not contain"),
        ("exec-opts", ["native.cgroupdriver=lxc"], "native.cgroupdriver option lxc not supported"),
        ("exec-opts", ["native.else=1"], "only native.cgroupdriver is known"),
        ("default-runtime", "nope", "is not among the runtimes"),
        ("runtimes", {"runc": {"path": "/x"}}, "reserved"),
        ("runtimes", {"x": {}}, "a path is required"),
        ("runtimes", {"x": {"runtimeType": "io.containerd.runc.v2"}}, "give a path"),
        ("default-address-pools", [{"base": "10.0.0.0/16", "size": 8}], "size must be"),
        ("default-address-pools", [{"size": 8}], "default-address-pools"),
        ("default-shm-size", "many", "default-shm-size"),
        ("max-concurrent-downloads", 0, "must be at least 1"),
        ("shutdown-timeout", -2, "must be at least -1"),
        ("iptables", False, "tables of our own"),
        ("node-generic-resources", ["gpu=1"], "cannot join a swarm"),
        ("builder", {"gc": {"defaultKeepStorage": "lots"}}, "invalid size"),
        ("builder", {"gc": {"policy": [{"keepStorage": "some"}]}}, "policy[0].reservedSpace"),
        ("builder", {"gc": {"policy": [{}, {"filter": ["unused-for"]}]}}, "policy[1].filter"),
        ("builder", {"gc": {"policy": [{"filter": ["color=red"]}]}}, "invalid filter 'color'"),
        ("builder", {"gc": {"policy": [{"filter": ["unused-for=long"]}]}}, '"long"'),
        ("hosts", ["tcp://0.0.0.0:2375"], "without TLS"),
        ("hosts", ["tcp://127.0.0.1:2375"], "without TLS"),
        ("hosts", ["http://x"], "known are unix://"),
        ("hosts", ["unix://relative"], "absolute path"),
        ("hosts", ["tcp://x:99999"], "invalid port"),
        ("metrics-addr", "nine", "want host:port"),
    ],
)
def test_bad_values_are_refused_with_key_and_reason(
    tmp_path: Path, key: str, value: object, reason: str
) -> None:
    with pytest.raises(InvalidParameter) as caught:
        load(tmp_path, **{key: value})
    assert key in str(caught.value)
    assert reason in str(caught.value)


def test_unknown_keys_are_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"any configuration option: dns-serch, frob \(did"):
        load(tmp_path, **{"dns-serch": [], "frob": 1})


def test_a_setting_in_both_places_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidParameter, match=r"both as a flag .*mtu: \(from flag: 1, from file: 2\)"
    ):
        load(tmp_path, "--mtu=1", mtu=2)


def test_runtimes_of_flags_add_to_those_of_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, "--add-runtime=b=/b", runtimes={"a": {"path": "/a"}})
    assert {name: runtime.path for name, runtime in config.runtimes.items()} == {
        "a": "/a",
        "b": "/b",
    }


def test_keys_of_dockerd_without_meaning_here_are_accepted(tmp_path: Path) -> None:
    assert load(tmp_path, "--containerd=/run/c.sock", **{"cri-containerd": True}) == load(tmp_path)


@pytest.mark.parametrize("flag", ["--tls=false", "--tlsverify=false", "--allow-insecure-tcp"])
def test_tcp_without_tls_can_be_asked_for(tmp_path: Path, flag: str) -> None:
    assert load(tmp_path, flag, hosts=["tcp://0.0.0.0:2375"]).hosts == ["tcp://0.0.0.0:2375"]


def test_settings_without_effect_are_accepted_and_said(tmp_path: Path) -> None:
    config = load(tmp_path, "--userland-proxy", "--raw-logs")
    assert [text.split()[0] for text in without_effect(config)] == ["userland-proxy", "raw-logs"]
    assert without_effect(load(tmp_path)) == []


def test_a_missing_file_is_an_error_only_if_it_was_named(tmp_path: Path) -> None:
    assert loading.read_file(tmp_path / "absent", required=False) == {}
    with pytest.raises(InvalidParameter, match="no such file"):
        loading.read_file(tmp_path / "absent", required=True)


@pytest.mark.parametrize("text", ["{", "[]", '{"mtu": 1}{', "\xff"])
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "daemon.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidParameter, match=str(file)):
        loading.read_file(file, required=True)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/x", HostAddress("unix", path="/run/x")),
        ("/run/x", HostAddress("unix", path="/run/x")),
        ("fd://", HostAddress("fd")),
        ("fd://*", HostAddress("fd")),
        ("fd://api", HostAddress("fd", path="api")),
        ("tcp://", HostAddress("tcp", host="localhost")),
        ("tcp://:2375", HostAddress("tcp", host="localhost", port=2375)),
        ("tcp://[::1]:2376", HostAddress("tcp", host="::1", port=2376)),
        ("192.0.2.1:1", HostAddress("tcp", host="192.0.2.1", port=1)),
    ],
)
def test_addresses_to_listen_on(text: str, address: HostAddress) -> None:
    assert parse_host(text) == address

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from moorage.containers import defaults, spec_from_config
from moorage.containers.devices import DeviceNumber, GivenDevices
from moorage.containers.record import ContainerRecord, MountRecord
from moorage.containers.security import Confinement
from moorage.containers.settings import ContainerSettings
from moorage.containers.spec_from_config import HostFacts, Surroundings
from moorage.containers.spec_mounts import OwnFile, ReadyMount
from moorage.kernel.capability import NAMES
from moorage.kernel.idmap import Extent, IdMap
from moorage.runtime.userns import UserNamespace
from moorage.runtime.users import Identity
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.hostconfig import HostConfig, ThrottleDevice, Ulimit
from moorage.spec.oci.runtime import LinuxDevice, LinuxDeviceCgroup

SETTINGS = ContainerSettings(data_root=Path("/d"), exec_root=Path("/e"))


def build(
    config: dict[str, Any] | None = None,
    host: dict[str, Any] | None = None,
    around: dict[str, Any] | None = None,
    facts: HostFacts | None = None,
) -> Any:
    """Return the specification as the JSON that the runtime reads."""
    wanted = defaults.host_config(
        HostConfig(**(host or {})), SETTINGS, runtime="crun", cgroup_v2=False
    )
    record = ContainerRecord(
        id="c" * 64,
        name="web",
        created_ns=1,
        image_id="",
        config=ContainerConfig(**(config or {})),
        host_config=wanted,
        path="prog",
        args=["arg"],
    )
    given: dict[str, Any] = {
        "rootfs": "/root-fs",
        "identity": Identity(0, 0, (0,), "/root"),
        "hostname": "box",
        "network_namespace": "/run/netns/x",
        **(around or {}),
    }
    spec = spec_from_config.build(
        record, Surroundings(**given), facts or HostFacts(capabilities=NAMES)
    )
    return msgspec.json.decode(msgspec.json.encode(spec))


def namespaces(spec: Any) -> dict[str, str | None]:
    return {n["type"]: n.get("path") for n in spec["linux"]["namespaces"]}


def mount_at(spec: Any, destination: str) -> Any:
    return next((m for m in spec["mounts"] if m["destination"] == destination), None)


def test_a_plain_container() -> None:
    spec = build({"env": ["A=1"], "tty": True})
    process = spec["process"]
    assert process["args"] == ["prog", "arg"]
    assert process["cwd"] == "/"
    assert process["env"][1:] == ["HOSTNAME=box", "TERM=xterm", "A=1", "HOME=/root"]
    assert process["user"] == {"uid": 0, "gid": 0, "additionalGids": [0]}
    assert spec["hostname"] == "box"
    assert namespaces(spec) == {
        "mount": None,
        "pid": None,
        "ipc": None,
        "uts": None,
        "network": "/run/netns/x",
    }
    assert spec["linux"]["cgroupsPath"] == "/moorage/" + "c" * 64
    assert "/proc/kcore" in spec["linux"]["maskedPaths"]
    assert "/sys/devices/virtual/powercap" in spec["linux"]["maskedPaths"]
    assert "/proc/sys" in spec["linux"]["readonlyPaths"]


def test_the_inheritable_and_ambient_sets_stay_empty() -> None:
    for uid in (0, 1000):
        sets = build(around={"identity": Identity(uid, 0)})["process"]["capabilities"]
        assert "inheritable" not in sets
        assert "ambient" not in sets


def test_a_user_that_is_not_root_starts_without_capabilities() -> None:
    sets = build(around={"identity": Identity(1000, 1000)})["process"]["capabilities"]
    assert set(sets) == {"bounding"}


def test_host_namespaces_are_left_out() -> None:
    modes = {"pid_mode": "host", "ipc_mode": "host", "uts_mode": "host"}
    spec = build(host=modes, around={"network_namespace": None})
    assert set(namespaces(spec)) == {"mount"}
    assert "hostname" not in spec
    assert mount_at(spec, "/dev/shm")["source"] == "/dev/shm"


def test_namespaces_of_another_container_are_joined_by_path() -> None:
    spec = build(
        host={"pid_mode": "container:x", "ipc_mode": "container:x"},
        around={"pid_namespace": "/proc/7/ns/pid", "ipc_namespace": "/proc/7/ns/ipc"},
    )
    assert namespaces(spec)["pid"] == "/proc/7/ns/pid"
    assert namespaces(spec)["ipc"] == "/proc/7/ns/ipc"


def test_a_private_cgroup_namespace() -> None:
    assert "cgroup" in namespaces(build(host={"cgroupns_mode": "private"}))
    assert "cgroup" not in namespaces(build())


def test_ipc_none_has_no_shared_memory() -> None:
    assert mount_at(build(host={"ipc_mode": "none"}), "/dev/shm") is None


def test_privileged_takes_the_walls_away() -> None:
    spec = build(host={"privileged": True})
    assert spec["process"]["capabilities"]["effective"] == list(NAMES)
    assert "maskedPaths" not in spec["linux"]
    assert "readonlyPaths" not in spec["linux"]
    assert "ro" not in mount_at(spec, "/sys")["options"]
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]


def test_capabilities_are_added_and_dropped() -> None:
    def effective(**host: object) -> set[str]:
        return set(build(host=dict(host))["process"]["capabilities"]["effective"])

    assert "CAP_SYS_TIME" in effective(cap_add=["CAP_SYS_TIME"])
    assert "CAP_CHOWN" not in effective(cap_drop=["CAP_CHOWN"])
    assert effective(cap_drop=["ALL"], cap_add=["CAP_CHOWN"]) == {"CAP_CHOWN"}
    assert effective(cap_add=["ALL"], cap_drop=["CAP_SYS_ADMIN"]) == set(NAMES) - {"CAP_SYS_ADMIN"}


def test_capabilities_the_daemon_lacks_are_not_promised() -> None:
    facts = HostFacts(capabilities=("CAP_CHOWN", "CAP_KILL"))
    spec = build(host={"cap_add": ["ALL"]}, facts=facts)
    assert spec["process"]["capabilities"]["bounding"] == ["CAP_CHOWN", "CAP_KILL"]


def test_limits_reach_the_cgroup() -> None:
    spec = build(
        host={
            "memory": 64 << 20,
            "nano_cpus": 1_500_000_000,
            "pids_limit": 99,
            "cpuset_cpus": "0",
            "blkio_device_read_bps": [ThrottleDevice(path="/dev/sda", rate=1000)],
            "oom_kill_disable": True,
            "memory_swappiness": 0,
        },
        around={"device_numbers": lambda _path: DeviceNumber(8, 0)},
    )
    resources = spec["linux"]["resources"]
    assert resources["memory"] == {
        "limit": 64 << 20,
        "swap": 128 << 20,
        "swappiness": 0,
        "disableOOMKiller": True,
    }
    assert resources["cpu"] == {"quota": 150_000, "period": 100_000, "cpus": "0"}
    assert resources["pids"] == {"limit": 99}
    assert resources["blockIO"]["throttleReadBpsDevice"] == [{"major": 8, "minor": 0, "rate": 1000}]


def test_a_negative_swap_is_unlimited() -> None:
    resources = build(host={"memory": 64 << 20, "memory_swap": -1})["linux"]["resources"]
    assert resources["memory"]["swap"] == -1


def test_rlimits_stay_below_what_the_daemon_may_give() -> None:
    facts = HostFacts(capabilities=NAMES, rlimit_ceiling=lambda _name: 500)
    spec = build(host={"ulimits": [Ulimit(name="nofile", soft=100, hard=-1)]}, facts=facts)
    assert spec["process"]["rlimits"] == [{"type": "RLIMIT_NOFILE", "hard": 500, "soft": 100}]


def test_mounts_are_made_from_the_outside_in() -> None:
    ready = [
        ReadyMount(MountRecord(type="bind", destination="/a/b/c", propagation="rprivate"), "/2"),
        ReadyMount(MountRecord(type="bind", destination="/a", propagation="rprivate"), "/1"),
    ]
    spec = build(around={"mounts": ready, "files": [OwnFile("/h", "/etc/hosts")]})
    order = [m["destination"] for m in spec["mounts"]]
    assert order.index("/a") < order.index("/etc/hosts") < order.index("/a/b/c")


def test_a_users_mount_replaces_the_standard_one() -> None:
    ready = [ReadyMount(MountRecord(type="bind", destination="/dev", propagation="rslave"), "/dev")]
    spec = build(around={"mounts": ready})
    assert [m["source"] for m in spec["mounts"] if m["destination"].startswith("/dev")] == ["/dev"]
    assert spec["linux"]["rootfsPropagation"] == "rslave"


def test_a_read_only_bind_is_so_below_as_well_where_the_kernel_can() -> None:
    record = MountRecord(type="bind", destination="/x", writable=False, propagation="rprivate")
    recursive = build(around={"mounts": [ReadyMount(record, "/s", recursive_readonly=True)]})
    plain = build(around={"mounts": [ReadyMount(record, "/s")]})
    assert mount_at(recursive, "/x")["options"] == ["rbind", "rro", "rprivate"]
    assert mount_at(plain, "/x")["options"] == ["rbind", "ro", "rprivate"]


def test_a_read_only_root_leaves_only_volatile_places_writable() -> None:
    spec = build(host={"readonly_rootfs": True, "tmpfs": {"/run": "size=1m"}})
    assert spec["root"] == {"path": "/root-fs", "readonly": True}
    assert "ro" in mount_at(spec, "/sys/fs/cgroup")["options"]
    assert "ro" not in mount_at(spec, "/dev/shm")["options"]
    assert mount_at(spec, "/run")["options"] == ["noexec", "nosuid", "nodev", "size=1m"]


def test_an_init_goes_before_the_program_but_not_into_foreign_pids() -> None:
    assert build(around={"init": True})["process"]["args"][:2] == ["/sbin/docker-init", "--"]
    assert not spec_from_config.wants_init(HostConfig(init=True, pid_mode="host"), default=True)
    assert spec_from_config.wants_init(HostConfig(), default=True)
    assert not spec_from_config.wants_init(HostConfig(init=False), default=True)


def test_devices_are_made_and_allowed() -> None:
    node = LinuxDevice(path="/dev/fuse", type="c", major=10, minor=229)
    rule = LinuxDeviceCgroup(allow=True, type="c", major=10, minor=229, access="rwm")
    given = GivenDevices((node,), (rule,))
    linux = build(host={"device_cgroup_rules": ["c 4:* r"]}, around={"given_devices": given})[
        "linux"
    ]
    assert linux["devices"][0]["path"] == "/dev/fuse"
    assert linux["resources"]["devices"][-2:] == [
        {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
        {"allow": True, "type": "c", "major": 4, "access": "r"},
    ]


def test_sysctls_of_the_network_are_left_to_who_made_it() -> None:
    spec = build(
        {"domainname": "example.org"},
        {"sysctls": {"net.core.somaxconn": "1", "kernel.shmmax": "5"}},
    )
    assert spec["linux"]["sysctl"] == {
        "kernel.domainname": "example.org",
        "kernel.shmmax": "5",
    }


def test_no_new_privileges_is_passed_on() -> None:
    confinement = Confinement(no_new_privileges=True, apparmor_profile="moorage-default")
    spec = build(around={"confinement": confinement})
    assert spec["process"]["apparmorProfile"] == "moorage-default"
    assert spec["process"]["noNewPrivileges"] is True


def test_mapped_users_have_a_namespace_and_a_map() -> None:
    owners = IdMap((Extent(0, 100_000, 65_536),), (Extent(0, 200_000, 65_536),))
    users = UserNamespace("/run/userns", owners)
    sysctls = {"net.ipv4.ping_group_range": "0 2147483647", "net.ipv4.ip_forward": "1"}
    spec = build({"domainname": "example"}, around={"users": users, "sysctls": sysctls})
    assert namespaces(spec)["user"] == "/run/userns"
    assert spec["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 100_000, "size": 65_536}]
    assert spec["linux"]["gidMappings"] == [{"containerID": 0, "hostID": 200_000, "size": 65_536}]
    assert spec["linux"]["sysctl"] == {"net.ipv4.ip_forward": "1"}
    assert spec["domainname"] == "example"
    assert "user" not in namespaces(build(around={"users": None}))

"""What runtimes complain of, in Docker's words; what a bundle is made of."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from moorage.kernel.cgroup import hybrid
from moorage.kernel.cgroup.contract import IOEntry, Readings
from moorage.lib.errors import InvalidParameter, System
from moorage.runtime import bundle, defaults, host, oci, seccomp, stats
from moorage.runtime.contract import ProcessIO, RuntimeConfig, StartFailed
from moorage.spec.oci import runtime as spec

NOT_IN_PATH = 'exec: "x": executable file not found in $PATH'


@pytest.mark.parametrize(
    ("complaint", "cause", "code"),
    [
        ("executable file `x` not found in $PATH: No such file or directory", NOT_IN_PATH, 127),
        (
            "executable file `/x` not found in $PATH: No such file or directory",
            'exec: "/x": stat /x: no such file or directory',
            127,
        ),
        ("open executable: Permission denied", 'exec: "prog": permission denied', 126),
        ("open executable: Operation not permitted", 'exec: "prog": is a directory', 126),
        ("open executable: Not a directory", 'exec: "prog": not a directory', 127),
        (
            f"runc create failed: unable to start container process: {NOT_IN_PATH}",
            NOT_IN_PATH,
            127,
        ),
        ('runc create failed: x: exec: "/e": permission denied', '"/e": permission denied', 126),
    ],
)
def test_program_that_cannot_be_executed(complaint: str, cause: str, code: int) -> None:
    for verb in ("create", "exec"):
        with pytest.raises(StartFailed) as caught:
            oci.raise_failure(complaint, verb=verb, program="prog", runtime="crun")
        assert caught.value.exit_code == code
        assert cause in caught.value.message
        assert caught.value.message.endswith(": unknown")


def test_other_failures_are_the_hosts() -> None:
    with pytest.raises(System, match="OCI runtime create failed: crun create failed: chdir"):
        oci.raise_failure("chdir `/x`: Not a dir", verb="create", program="p", runtime="crun")
    with pytest.raises(System, match="failed to initialize logging driver: boom"):
        oci.raise_failure(
            "failed to initialize logging driver: boom", verb="create", program="p", runtime="crun"
        )


def crun(name: str = "crun", path: str = "/usr/bin/crun") -> oci.OciRuntime:
    return oci.make(name, RuntimeConfig(path=path), path, Path("/run/x"))


def test_start_by_fifo_only_where_it_is_the_same_as_start() -> None:
    plain = spec.Spec(oci_version=spec.VERSION)
    hooked = spec.Spec(
        oci_version=spec.VERSION, hooks=spec.Hooks(poststart=[spec.Hook(path="/bin/true")])
    )
    assert crun().start_fifo("c1", plain) == "/run/x/crun/c1/exec.fifo"
    assert crun().start_fifo("c1", hooked) is None
    assert crun(path="/usr/bin/runc").start_fifo("c1", plain) is None
    assert not crun(path="/opt/runsc").shares_kernel


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "-a", "a\n", "a" * 300, "\0"])
def test_ids_that_are_no_names_of_directories(bad: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid id"):
        bundle.check_id(bad)


def limit(hard: int, soft: int) -> spec.POSIXRlimit:
    return spec.POSIXRlimit(type="RLIMIT_NOFILE", hard=hard, soft=soft)


def test_rlimits_are_clamped() -> None:
    assert bundle.clamp(limit(100, 50), 200) == limit(100, 50)
    assert bundle.clamp(limit(1000, 500), 200) == limit(200, 200)
    assert bundle.clamp(limit(bundle.UNLIMITED, 5), 200) == limit(200, 5)


async def test_seccomp_goes_to_crun_compiled_and_to_runc_as_it_is(tmp_path: Path) -> None:
    profile = spec.LinuxSeccomp(default_action="SCMP_ACT_ALLOW", syscalls=[])
    given = spec.Spec(oci_version=spec.VERSION, linux=spec.Linux(seccomp=profile))
    cache = seccomp.FilterCache(tmp_path)
    for_crun = await bundle.prepare("c1", given, ProcessIO(), crun(), cache)
    assert for_crun.linux is not None
    assert for_crun.linux.seccomp is None
    assert seccomp.ANNOTATION in (for_crun.annotations or {})
    assert for_crun.linux.cgroups_path == "/moorage/c1"
    for_runc = await bundle.prepare("c1", given, ProcessIO(), crun(path="/usr/bin/runc"), cache)
    assert for_runc.linux is not None
    assert for_runc.linux.seccomp == profile


def test_terminal_is_what_the_streams_say() -> None:
    process = spec.Process(user=spec.User(uid=0, gid=0), args=["sh"], cwd="/", terminal=True)
    piped = bundle.prepare_process(process, ProcessIO(console_size=(1, 2)))
    assert (piped.terminal, piped.console_size) == (False, None)
    console = bundle.prepare_process(process, ProcessIO(tty=True, console_size=(24, 80)))
    assert console.console_size == spec.Box(height=24, width=80)


def test_record_survives_the_disk(tmp_path: Path) -> None:
    assert bundle.read_record(tmp_path) is None
    record = bundle.Record(
        container_id="c1", kind="container", runtime=crun(), cgroups_path="/moorage/c1"
    )
    bundle.write(tmp_path, bundle.RECORD_FILE, record)
    assert bundle.read_record(tmp_path) == record


def test_specification_is_written_without_defaults() -> None:
    encoded = msgspec.json.decode(
        msgspec.json.encode(
            spec.Spec(
                oci_version=spec.VERSION,
                process=spec.Process(
                    user=spec.User(uid=0, gid=0),
                    args=["a"],
                    cwd="/",
                    capabilities=spec.LinuxCapabilities(),
                ),
            )
        )
    )
    assert encoded == {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["a"],
            "cwd": "/",
            "capabilities": {},
        },
    }


def test_defaults_are_dockers() -> None:
    assert len(defaults.CAPABILITIES) == 14
    assert "CAP_SYS_ADMIN" not in defaults.CAPABILITIES
    assert {"/proc/interrupts", "/sys/firmware", "/sys/devices/virtual/powercap"} <= set(
        defaults.masked_paths()
    )
    assert defaults.masked_paths(2)[-1] == "/sys/devices/system/cpu/cpu1/thermal_throttle"
    assert [mount.destination for mount in defaults.mounts()][-1] == "/dev/shm"
    by_target = {mount.destination: mount for mount in defaults.mounts()}
    assert "ro" in (by_target["/sys"].options or [])
    assert defaults.device_rules()[0] == spec.LinuxDeviceCgroup(allow=False, access="rwm")
    assert defaults.device_rules(privileged=True) == [
        spec.LinuxDeviceCgroup(allow=True, access="rwm")
    ]


def test_absent_runtimes(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="'nope' does not exist"):
        host.examine({}, "nope", tmp_path)
    found = host.examine({"ghost": RuntimeConfig(path="/no/such")}, "ghost", tmp_path)
    assert found.default in {"crun", "runc"}
    assert "runtime ghost is not installed" in found.warnings[-1]


def test_statistics_in_the_apis_shape() -> None:
    shown = stats.response(
        Readings(
            cpu_total_ns=7,
            memory_usage=5,
            pids=2,
            io={"io_service_bytes_recursive": [IOEntry(8, 0, "Read", 9)]},
        )
    )
    assert shown.cpu_stats is not None
    assert shown.cpu_stats.cpu_usage is not None
    assert shown.cpu_stats.cpu_usage.total_usage == 7
    assert shown.memory_stats is not None
    assert shown.memory_stats.limit
    assert shown.blkio_stats is not None
    assert shown.blkio_stats.io_service_bytes_recursive is not None
    assert shown.blkio_stats.io_service_bytes_recursive[0].op == "Read"
    assert shown.blkio_stats.io_merged_recursive is None
    of_v1 = stats.response(Readings(cpu_each_ns=[7])).blkio_stats
    assert of_v1 is not None
    assert of_v1.io_merged_recursive == []


def test_containers_are_not_spared_with_their_daemon() -> None:
    process = spec.Process(user=spec.User(uid=0, gid=0), args=["sh"], cwd="/")
    assert bundle.prepare_process(process, ProcessIO()).oom_score_adj is not None
    chosen = msgspec.structs.replace(process, oom_score_adj=300)
    assert bundle.prepare_process(chosen, ProcessIO()).oom_score_adj == 300


def test_disk_full_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("/dev/full")
    with pytest.raises(System, match="No space left on device"):
        bundle.write(tmp_path, "config.json", spec.Spec(oci_version=spec.VERSION))


def stray_host(tmp_path: Path) -> hybrid.Host:
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified" / "cgroup.subtree_control").write_text("")
    return hybrid.Host(
        mode="hybrid",
        v1={"pids": tmp_path / "pids"},
        v2=tmp_path / "unified",
        stray=("hugetlb",),
    )


def test_hybrid_is_mended_for_crun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stray_host(tmp_path)
    monkeypatch.setattr(hybrid, "host", lambda: found)
    monkeypatch.setattr(
        hybrid, "take_strays", lambda host_: msgspec.structs.replace(host_, stray=())
    )
    fit = host.examine({}, "crun", tmp_path)
    assert fit.default == "crun"
    assert fit.warnings == ["mounted cgroup controllers hugetlb as v1: crun refuses them on v2"]


def test_hybrid_in_use_falls_back_to_runc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stray_host(tmp_path)
    (tmp_path / "unified" / "cgroup.subtree_control").write_text("hugetlb")
    monkeypatch.setattr(hybrid, "host", lambda: found)
    fit = host.examine({}, "crun", tmp_path)
    assert fit.default == "runc"
    assert "crun" not in fit.runtimes
    assert fit.warnings == [
        "cgroup controllers hugetlb are in use on the v2 tree: crun cannot run",
        "runtime crun cannot be used here: using runc",
    ]


def test_hybrid_that_cannot_be_mended_falls_back_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = stray_host(tmp_path)

    def refuse(_: hybrid.Host) -> hybrid.Host:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(hybrid, "host", lambda: found)
    monkeypatch.setattr(hybrid, "take_strays", refuse)
    assert host.examine({}, "crun", tmp_path).default == "runc"

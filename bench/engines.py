"""The engines under measurement, each in a network namespace of its own.

One engine's firewall rules and bridges cannot disturb another's, and each sees the same empty
host. A daemon answers on a Unix socket and, inside its namespace, on 127.0.0.1:2375 for wrk.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

TREE = Path(__file__).resolve().parent.parent
PORT = 2375


class Engine(Protocol):
    """One container engine that can be measured."""

    name: str

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def cli(self, *arguments: str) -> list[str]: ...
    def version(self) -> str: ...
    def daemon_pids(self) -> list[int]: ...
    def monitor_pids(self) -> list[int]: ...


def run(command: Sequence[str], *, check: bool = True, **options: object) -> str:
    """Run *command* and return what it printed."""
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        **options,  # type: ignore[call-overload]
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-800:]}")
    return str(done.stdout.decode(errors="replace"))


def namespace(name: str) -> str:
    """Return the name of the engine's namespace; two runs at once do not meet."""
    return f"bench-{os.getpid()}-{name}"


def in_namespace(name: str, command: Sequence[str]) -> list[str]:
    """Return *command* as run inside the network namespace of engine *name*."""
    return ["nsenter", f"--net=/run/netns/{namespace(name)}", *command]


def make_namespace(name: str) -> None:
    """Create the engine's own network namespace with loopback up."""
    run(["ip", "netns", "del", namespace(name)], check=False)
    run(["ip", "netns", "add", namespace(name)])
    run(in_namespace(name, ["ip", "link", "set", "lo", "up"]))
    run(in_namespace(name, ["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]))


def children(pid: int) -> list[int]:
    """Return all descendants of *pid*."""
    found: list[int] = []
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if path.exists():
        for child in map(int, path.read_text().split()):
            found += [child, *children(child)]
    return found


def command_line(pid: int) -> str:
    """Return the command line of *pid*, or nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def name(pid: int) -> str:
    """Return the short name of *pid*, or nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def network_of(pid: int) -> int:
    """Return the inode of the network namespace of *pid*; 0 if it is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return 0


def all_pids() -> list[int]:
    """Return every process there is."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def pss_kib(pids: Sequence[int]) -> int:
    """Return the proportional set size of *pids* together, in KiB."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])
    return total


class Daemon(ABC):
    """What the two daemons have in common."""

    name = ""

    def __init__(self, root: Path) -> None:
        self.root = root / self.name
        self.socket = self.root / "engine.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def version(self) -> str: ...

    @abstractmethod
    def daemon_pids(self) -> list[int]: ...

    @abstractmethod
    def monitor_pids(self) -> list[int]: ...

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        make_namespace(self.name)
        self.restart()

    def restart(self) -> float:
        """Start the process (again); return the seconds until it answered."""
        log = (self.root / "log").open("ab")
        began = time.perf_counter()
        self._process = subprocess.Popen(
            in_namespace(self.name, self.command()), stdout=log, stderr=log, start_new_session=True
        )
        while True:
            if (
                subprocess.run(self.cli("version"), capture_output=True, check=False).returncode
                == 0
            ):
                return time.perf_counter() - began
            if time.perf_counter() - began > 30:
                raise RuntimeError((self.root / "log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it, and remove what it kept."""
        run([*self.cli("ps", "-aq")], check=False)
        ids = run(self.cli("ps", "-aq"), check=False).split()
        if ids:
            run(self.cli("rm", "-f", *ids), check=False)
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
        run(["ip", "netns", "del", namespace(self.name)], check=False)
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{self.root}/"):
                run(["umount", "-l", line.split()[1]], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def cli(self, *arguments: str) -> list[str]:
        """Return the official CLI's command line for this engine."""
        return ["docker", "-H", f"unix://{self.socket}", *arguments]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid


_MONITORS: Final = {"moor-keeper", "moor-monitor"}


class Moorage(Daemon):
    """Ours."""

    name = "moorage"

    def command(self) -> list[str]:
        return [
            str(TREE / ".venv/bin/moord"),
            "--data-root", str(self.root / "data"),
            "--exec-root", str(self.root / "exec"),
            "--pidfile", str(self.root / "pid"),
            "-H", f"unix://{self.socket}",
            "-H", f"tcp://127.0.0.1:{PORT}",
            "--allow-insecure-tcp",
            "--insecure-registry", "127.0.0.0/8",
        ]  # fmt: skip

    def version(self) -> str:
        return "moord " + run(self.cli("version", "--format", "{{.Server.Version}}")).strip()

    def _pids(self) -> list[int]:
        """Our processes in this engine's network namespace: the monitors are nobody's children."""
        mine = os.stat(f"/run/netns/{namespace(self.name)}").st_ino
        ours = ("moord", "moor-", "python")  # the name server keeps its interpreter's name
        return [p for p in all_pids() if name(p).startswith(ours) and network_of(p) == mine]

    def daemon_pids(self) -> list[int]:
        return [pid for pid in self._pids() if name(pid) not in _MONITORS]

    def monitor_pids(self) -> list[int]:
        return [pid for pid in self._pids() if name(pid) in _MONITORS]


class Dockerd(Daemon):
    """Debian's dockerd with its containerd."""

    name = "dockerd"

    def command(self) -> list[str]:
        return [
            "dockerd",
            "--data-root", str(self.root / "data"),
            "--exec-root", str(self.root / "exec"),
            "--pidfile", str(self.root / "pid"),
            "-H", f"unix://{self.socket}",
            "-H", f"tcp://127.0.0.1:{PORT}",
            "--userland-proxy=false",
        ]  # fmt: skip

    def version(self) -> str:
        return "dockerd " + run(self.cli("version", "--format", "{{.Server.Version}}")).strip()

    def daemon_pids(self) -> list[int]:
        containerd = [p for p in children(self.pid) if command_line(p).startswith("containerd ")]
        return [self.pid, *containerd]

    def monitor_pids(self) -> list[int]:
        return [
            p
            for p in all_pids()
            if "containerd-shim" in command_line(p) and str(self.root) in command_line(p)
        ]


class Podman:
    """Debian's podman with conmon and crun; it has no daemon."""

    name = "podman"

    def __init__(self, root: Path) -> None:
        self.root = root / self.name

    def start(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        make_namespace(self.name)

    def stop(self) -> None:
        run(self.cli("rm", "-af", "-t", "0"), check=False)
        run(["ip", "netns", "del", namespace(self.name)], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def cli(self, *arguments: str) -> list[str]:
        own = ["--root", f"{self.root}/data", "--runroot", f"{self.root}/run"]
        verb, *rest = arguments
        if verb == "run":  # without CAP_SYS_RESOURCE its default limits cannot be set
            for kind, name in (("NOFILE", "nofile"), ("NPROC", "nproc")):
                hard = min(32768, resource.getrlimit(getattr(resource, f"RLIMIT_{kind}"))[1])
                rest = ["--ulimit", f"{name}={hard}:{hard}", *rest]
        return in_namespace(
            self.name, ["podman", *own, "--cgroup-manager", "cgroupfs", verb, *rest]
        )

    def version(self) -> str:
        return run(self.cli("--version")).strip().replace("version ", "")

    def daemon_pids(self) -> list[int]:
        return []

    def monitor_pids(self) -> list[int]:
        return [
            p
            for p in all_pids()
            if "conmon" in command_line(p).split(" ")[0] and str(self.root) in command_line(p)
        ]

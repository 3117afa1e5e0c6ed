"""``moor update``."""

from __future__ import annotations

from moorage.cli.commands.container.create_host import restart_policy
from moorage.cli.failure import CommandError
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session
    from moorage.client.api import Api
    from moorage.client.jsonwire import Json

_FIELDS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "kernel-memory": "KernelMemory",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "pids-limit": "PidsLimit",
}


def run(session: Session, values: Values, names: list[str]) -> int:
    """Change limits and restart policy; what no flag names stays as it is."""
    if not values.given:
        raise CommandError("you must provide one or more flags when using this command")
    body: Json = {
        field: values.number(name) for name, field in _FIELDS.items() if values.changed(name)
    }
    for name, field in (("cpuset-cpus", "CpusetCpus"), ("cpuset-mems", "CpusetMems")):
        if values.changed(name):
            body[field] = values.text(name)
    if values.changed("restart"):
        body["RestartPolicy"] = restart_policy(values.text("restart"))
    warnings: list[str] = []

    def update(api: Api, name: str) -> str:
        answer = api.post(f"/containers/{name}/update", body) or {}
        warnings.extend(answer.get("Warnings") or ())
        return name

    status = session.each(names, update)
    for warning in warnings:
        session.err.line(warning)
    return status


COMMAND = Command(
    run,
    arguments="CONTAINER [CONTAINER...]",
    least=1,
    most=None,
    complete="containers",
    options=(
        Option("blkio-weight", "", "uint16", "Share of block I/O, 10 to 1000; 0 is none"),
        Option("cpu-period", "", "int", "Period of the CPU scheduler, in microseconds"),
        Option("cpu-quota", "", "int", "CPU time in each period, in microseconds"),
        Option("cpu-rt-period", "", "int", "Period of the real-time scheduler, in microseconds"),
        Option("cpu-rt-runtime", "", "int", "Real-time CPU time in each period"),
        Option("cpu-shares", "c", "int", "Relative share of CPU time"),
        Option("cpus", "", "decimal", "Number of CPUs, such as 1.5"),
        Option("cpuset-cpus", "", "string", "CPUs to run on (0-3, 0,1)"),
        Option("cpuset-mems", "", "string", "Memory nodes to use (0-3, 0,1)"),
        Option("kernel-memory", "", "bytes", "Limit of kernel memory", hidden=True),
        Option("memory", "m", "bytes", "Limit of memory"),
        Option("memory-reservation", "", "bytes", "Soft limit of memory"),
        Option("memory-swap", "", "swap", "Limit of memory and swap together; -1 is no limit"),
        Option("pids-limit", "", "int", "Limit of processes; -1 is no limit"),
        Option(
            "restart",
            "",
            "string",
            "When to start the container again after it ended",
            choices="no always unless-stopped on-failure",
        ),
    ),
)

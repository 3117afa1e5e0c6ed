"""``moor update``: limits, policy, and (beyond docker's) ports, environment and mounts."""

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


# what changes a list, and so must know it first
_OF_WHAT_THERE_IS = (
    *("publish", "publish-rm", "env", "env-rm", "mount", "volume", "mount-rm", "restart-now"),
)


def run(session: Session, values: Values, names: list[str]) -> int:
    """Change what flags name; the rest stays as it is."""
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
        changes, running = body, False
        if any(values.changed(flag) for flag in _OF_WHAT_THERE_IS):
            from moorage.cli import updating

            shown = api.get(f"/containers/{name}/json")
            changes = {**body, **updating.changes(shown, values)}
            running = shown["State"]["Running"]
        answer = api.post(f"/containers/{name}/update", changes) or {}
        if running and values.flag("restart-now"):
            api.post(f"/containers/{name}/restart")
        else:
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
        Option("env", "e", "list", "Set a variable (name=value, or name alone: this shell's)"),
        Option("env-rm", "", "list", "Take a variable away"),
        Option("kernel-memory", "", "bytes", "Limit of kernel memory", hidden=True),
        Option("memory", "m", "bytes", "Limit of memory"),
        Option("memory-reservation", "", "bytes", "Soft limit of memory"),
        Option("memory-swap", "", "swap", "Limit of memory and swap together; -1 is no limit"),
        Option("mount", "", "mount", "Add a mount, or put it in the place of another"),
        Option("mount-rm", "", "list", "Take away the mount at a path of the container"),
        Option("pids-limit", "", "int", "Limit of processes; -1 is no limit"),
        Option("publish", "p", "list", "Publish a port, at once ([address:][host:]port[/proto])"),
        Option("publish-rm", "", "list", "Unpublish a port, at once ([host:]port[/proto])"),
        Option(
            "restart",
            "",
            "string",
            "When to start the container again after it ended",
            choices="no always unless-stopped on-failure",
        ),
        Option("restart-now", "", "bool", "Restart if it runs, so that env and mounts count"),
        Option("volume", "v", "list", "Add a volume or bind ([source:]path[:mode])"),
    ),
)

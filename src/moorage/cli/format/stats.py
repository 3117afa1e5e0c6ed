"""Columns of ``moor stats``, and the arithmetic behind them."""

from __future__ import annotations

from moorage.cli.format.listing import Table
from moorage.cli.row import Row
from moorage.cli.text import short_id
from moorage.lib import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.client.jsonwire import Json

ABSENT = "--"


class StatsRow(Row):
    """One container's readings; None before the first has come or after the last."""

    kind = "container.statsContext"

    def __init__(self, container: str, reading: Json | None, *, truncate: bool) -> None:
        self.container = container
        self.reading = reading
        self.truncate = truncate

    def name(self) -> str:
        """Return the container's name."""
        return str((self.reading or {}).get("name") or ABSENT).removeprefix("/")

    def identifier(self) -> str:
        """Return the ID, shortened unless --no-trunc."""
        identifier = str((self.reading or {}).get("id") or ABSENT)
        return short_id(identifier) if self.truncate else identifier

    def cpu(self) -> str:
        """Return the share of one CPU."""
        return ABSENT if self.reading is None else f"{cpu_percent(self.reading):.2f}%"

    def memory(self) -> str:
        """Return memory in use and its limit."""
        if self.reading is None:
            return f"{ABSENT} / {ABSENT}"
        used, limit = memory_used(self.reading), self._memory("limit")
        return f"{_binary(used)} / {_binary(limit)}"

    def memory_share(self) -> str:
        """Return memory in use as a share of the limit."""
        if self.reading is None:
            return ABSENT
        limit = self._memory("limit")
        return f"{memory_used(self.reading) / limit * 100 if limit else 0:.2f}%"

    def network(self) -> str:
        """Return bytes received and sent."""
        if self.reading is None:
            return f"{ABSENT} / {ABSENT}"
        networks = (self.reading.get("networks") or {}).values()
        received = sum(network["rx_bytes"] for network in networks)
        sent = sum(network["tx_bytes"] for network in networks)
        return f"{_decimal(received)} / {_decimal(sent)}"

    def block(self) -> str:
        """Return bytes read and written."""
        if self.reading is None:
            return f"{ABSENT} / {ABSENT}"
        entries = (self.reading.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
        totals = {"r": 0, "w": 0}
        for entry in entries:
            kind = str(entry["op"])[:1].lower()
            if kind in totals:
                totals[kind] += entry["value"]
        return f"{_decimal(totals['r'])} / {_decimal(totals['w'])}"

    def processes(self) -> str:
        """Return the number of processes."""
        if self.reading is None:
            return ABSENT
        return str((self.reading.get("pids_stats") or {}).get("current", 0))

    def _memory(self, key: str) -> int:
        return int(((self.reading or {}).get("memory_stats") or {}).get(key, 0))

    columns = {  # noqa: RUF012
        "BlockIO": block,
        "CPUPerc": cpu,
        "Container": lambda self: self.container,
        "ID": identifier,
        "MemPerc": memory_share,
        "MemUsage": memory,
        "Name": name,
        "NetIO": network,
        "PIDs": processes,
    }


TABLE = Table(
    ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"),
    {
        "Container": "CONTAINER",
        "ID": "CONTAINER ID",
        "Name": "NAME",
        "CPUPerc": "CPU %",
        "MemUsage": "MEM USAGE / LIMIT",
        "MemPerc": "MEM %",
        "NetIO": "NET I/O",
        "BlockIO": "BLOCK I/O",
        "PIDs": "PIDS",
    },
)


def cpu_percent(reading: Json) -> float:
    """Return CPU use between this reading and the one before; 100 is one whole CPU."""
    now, before = reading["cpu_stats"], reading.get("precpu_stats") or {}
    used = now["cpu_usage"]["total_usage"] - (before.get("cpu_usage") or {}).get("total_usage", 0)
    passed = now.get("system_cpu_usage", 0) - (before.get("system_cpu_usage") or 0)
    cpus = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or ()) or 1
    return used / passed * cpus * 100 if used > 0 and passed > 0 else 0.0


def memory_used(reading: Json) -> int:
    """Return memory without the page cache that could go at once."""
    memory = reading.get("memory_stats") or {}
    usage, details = int(memory.get("usage", 0)), memory.get("stats") or {}
    for key in ("total_inactive_file", "inactive_file"):  # cgroup v1, v2
        cache = details.get(key)
        if cache is not None and cache < usage:
            return usage - int(cache)
    return usage


def _binary(size: float) -> str:
    return units.human_size(size, binary=True)


def _decimal(size: float) -> str:
    return units.human_size(size, precision=3)

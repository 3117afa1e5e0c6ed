"""``moor swarm init``."""

from __future__ import annotations

from moorage.cli.commands.swarm import membership
from moorage.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

_DAYS_90, _SECONDS_5 = 90 * 86_400_000_000_000, 5_000_000_000


def run(session: Session, values: Values, _: list[str]) -> None:
    """Have the daemon form a swarm."""
    wanted = {
        "DataPathPort": values.number("data-path-port"),
        "DefaultAddrPool": values.many("default-addr-pool"),
        "SubnetSize": values.number("default-addr-pool-mask-length"),
        "ForceNewCluster": values.flag("force-new-cluster"),
        "AutoLockManagers": values.flag("autolock"),
        "Spec": {
            "Orchestration": {"TaskHistoryRetentionLimit": values.number("task-history-limit")},
            "Raft": {
                "SnapshotInterval": values.number("snapshot-interval"),
                "KeepOldSnapshots": values.number("max-snapshots"),
            },
            "Dispatcher": {
                "HeartbeatPeriod": values.optional_number("dispatcher-heartbeat") or _SECONDS_5
            },
            "CAConfig": {"NodeCertExpiry": values.optional_number("cert-expiry") or _DAYS_90},
            "EncryptionConfig": {"AutoLockManagers": values.flag("autolock")},
        },
    }
    node = session.api.post("/swarm/init", membership.body(values) | wanted)
    session.out.line(f"Swarm initialized: current node ({node}) is now a manager.")


COMMAND = Command(
    run,
    options=(
        *membership.OPTIONS,
        Option("autolock", "", "bool", "Have stopped managers ask for a key to start"),
        Option("cert-expiry", "", "duration", "How long certificates of nodes count"),
        Option("data-path-port", "", "uint32", "Port of the containers' traffic, 1024 to 49151"),
        Option("default-addr-pool", "", "ipNetSlice", "Pool of addresses, as CIDR"),
        Option(
            "default-addr-pool-mask-length", "", "uint32", "Length of the masks of its parts", 24
        ),
        Option("dispatcher-heartbeat", "", "duration", "Time between two signs of life"),
        Option("force-new-cluster", "", "bool", "Form a new swarm of what this node knows"),
        Option("max-snapshots", "", "uint", "Snapshots to keep besides the newest"),
        Option("snapshot-interval", "", "uint", "Entries of the log between snapshots", 10000),
        Option("task-history-limit", "", "int", "Ended tasks to remember", 5),
    ),
)

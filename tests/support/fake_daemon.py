"""A daemon that starts containers under the root it is given, and is then killed by ``kill -9``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from moorage.runtime.contract import ProcessIO
from support.bundles import bench


async def main(root: Path) -> None:
    """Start one container of each kind, and die."""
    async with bench(root) as b:

        async def create(name: str, script: str, **io: object) -> None:
            streams = ProcessIO(**io)  # type: ignore[arg-type]
            task = await b.runtime.create(name, spec=b.spec("sh", "-c", script), io=streams)
            if name != "created":
                await task.start()

        log = {"log_driver": "json-file", "log_path": b.log("flood.log")}
        await create("ended", "sleep 0.2; exit 9")
        await create("flood", "seq 100000; exit 3", **log)
        await create("reader", "read x; echo got $x; exit 5", open_stdin=True)
        await create("orphan", "trap 'exit 6' TERM; while :; do sleep 0.05; done")
        await create("lost", "sleep 1000")
        await create("created", "true")
        os.write(1, b"ready\n")
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

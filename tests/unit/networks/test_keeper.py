"""Changes of the firewall are never forgotten, whatever becomes of who waits for them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from moorage.lib import offload
from moorage.lib.tasks import Supervisor
from moorage.networks.firewall.keeper import Keeper
from moorage.networks.firewall.rules import Published


class SlowNft:
    """As much of ``Nft`` as is asked; the first transaction waits."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.ran: list[str] = []

    def run(self, commands: str, *, json: bool = False) -> str:
        del json
        self.begun.set()
        assert self.go.wait(20)
        self.ran.append(commands)
        return ""

    def rest(self) -> None: ...


async def test_what_a_cancelled_caller_took_along_is_applied_by_the_next() -> None:
    supervisor = Supervisor("test")
    keeper = Keeper("test", supervisor)
    nft = SlowNft()
    keeper._nft = nft  # type: ignore[assignment]  # noqa: SLF001
    keeper.publish(
        [Published(protocol="tcp", host="0.0.0.0", host_port=8, container="10.9.0.2",
                   container_port=80)]
    )  # fmt: skip
    one = asyncio.get_running_loop().create_task(keeper.settle())
    await offload.run("net", nft.begun.wait)
    one.cancel()
    other = asyncio.get_running_loop().create_task(keeper.settle())
    await asyncio.sleep(0)
    assert not other.done()  # two transactions at once would come in any order
    nft.go.set()
    with pytest.raises(asyncio.CancelledError):
        await one
    await other
    await keeper.settle()
    assert "10.9.0.2" in nft.ran[-1]
    assert len(nft.ran) == 2
    await keeper.settle()
    assert len(nft.ran) == 2
    await supervisor.close()

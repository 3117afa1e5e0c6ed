"""The end of an exec's stream, and what a client is told that asks at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from moorage.api.exec import exec_start
from moorage.containers.exec_session import ExecSession
from moorage.spec.engine.exec import ExecConfig, ExecStartConfig

_TURNS = 50  # of the loop, between the end of the output and the news of the process's end


class _Ended:
    """Streams whose process has ended: the monitor has closed them."""

    async def read(self) -> None:
        return None

    async def close_stdin(self) -> None:
        pass

    async def close(self) -> None:
        pass


class _Client:
    """A hijacked connection; keeps the exit code there was when it was closed."""

    def __init__(self, session: ExecSession) -> None:
        self._session = session
        self.seen: list[int | None] = []

    async def read(self) -> bytes:
        return b""

    async def write_eof(self) -> None:
        self.seen.append(self._session.exit_code)


async def _serve() -> list[int | None]:
    container: Any = SimpleNamespace(active=True, state=None)
    session = ExecSession("e" * 64, container, ExecConfig(cmd=["false"], attach_stdout=True))
    client = _Client(session)

    async def end() -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        session.exit_code = 3
        session.end_noted.set()

    async def start(*_: object, **__: object) -> _Ended:
        session.watcher = asyncio.create_task(end())
        return _Ended()

    async def hijack(**_: object) -> _Client:
        return client

    execs = SimpleNamespace(get=lambda _id: session, start=start)
    containers: Any = SimpleNamespace(execs=execs)
    request: Any = SimpleNamespace(hijack=hijack, version=(1, 44))
    await exec_start(containers, session.id, ExecStartConfig(), request)
    return client.seen


def test_the_stream_ends_when_the_exit_code_is_known() -> None:
    assert asyncio.run(_serve()) == [3]

"""How the daemon, the zygote and the monitors talk; shared with the daemon, stdlib only.

::

    moord ──kind+fd──► zygote            one SEQPACKET pair, each message carries one socket
      │                  └─fork─► monitor      that socket is the monitor's first control connection
      ├──{"op":"create",…}+fds──► │            JSON lines; requests carry "id", answers repeat it
      │ ◄─{"id":1,"pid":…}+fds────┤
      ├──{"op":"start"}─────────► │
      │ ◄─{"event":"exit",…}──────┤            events carry no "id"
      └──{"op":"delete"}────────► ┘

With ``create`` come a sealed copy of the OCI runtime (if ``"sealed"``) and, for an exec, the socket
of its first attachment (if ``"attach"``). An exec is started by it too: one round trip.

The answer carries a descriptor of the process and those of its output, whose streams it names in
their order. Should the monitor be killed, they go to another with ``adopt``, which is ``create``
for a process that is there: the daemon adds ``pid``, ``state`` and ``streams``. That monitor tells
of an end without its code (null), which the daemon asks the kernel for.

Later connections come in by ``monitor.sock`` in the task's directory: a control connection begins
with ``hello`` (answered like ``create``), an attachment with ``attach``, after whose answer both
sides send frames only. A frame is the header of Docker's multiplexed streams and its bytes.

Files of a task's directory::

    config.json | process.json   what the OCI runtime is to run
    runtime.log                  what the OCI runtime said; monitor.err: why a monitor died

and for a later daemon (of an exec: if it lasts a moment, or as soon as its own has gone)::

    monitor.sock                 control and attach connections; the directory is 0700
    task.json                    pid and start time of the process, once it exists
    exit.json                    how it ended; appears whole (rename)
"""

from __future__ import annotations

from moor_shim.bare import TYPE_CHECKING, Struct, from_json, to_json

if TYPE_CHECKING:
    from typing import Any, Final, TypeAlias

    Message: TypeAlias = dict[str, Any]  # one JSON object

CONTAINER: Final = b"container"  # requests to the zygote: what the monitor will be for
EXEC: Final = b"exec"

REQUEST_FD: Final = 3  # of the zygote: the socket to the daemon
MEMBERS_FD: Final = 4  # ``cgroup.procs`` of the daemon's own group, or /dev/null
PLACE_FD: Final = 5  # a directory for the rehearsal

SOCKET: Final = "monitor.sock"
CONSOLE: Final = "console.sock"
TASK_FILE: Final = "task.json"
EXIT_FILE: Final = "exit.json"
PID_FILE: Final = "init.pid"
RUNTIME_LOG: Final = "runtime.log"
ERROR_FILE: Final = "monitor.err"

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
HEADER: Final = Struct(">BxxxI")  # stream, length; a stdin frame of length 0: no more input
MAX_LINE: Final = 16 << 20  # bytes of one control message


def encode(message: Message) -> bytes:
    """Make a control message."""
    return to_json(message).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Read a control message.

    Raises: ValueError.
    """
    message = from_json(line.decode())
    if not isinstance(message, dict):
        raise ValueError("control message is no object")  # noqa: TRY004 - bad value, not type
    return message


def frame(stream: int, payload: bytes) -> bytes:
    """Make a frame of an attachment."""
    return HEADER.pack(stream, len(payload)) + payload


class LineReader:
    """Cut control messages out of a byte stream."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""  # what came after the last whole message

    def feed(self, chunk: bytes) -> list[Message]:
        """Return the messages that *chunk* completes.

        Raises: ValueError (not JSON objects, or a message without end).
        """
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        if len(self.rest) > MAX_LINE:
            raise ValueError("control message too long")
        return [decode(line) for line in lines if line]

    def first(self, chunk: bytes) -> Message | None:
        """Return the next message only, keeping the rest: frames may follow it."""
        self.rest += chunk
        line, newline, rest = self.rest.partition(b"\n")
        if not newline:
            if len(self.rest) > MAX_LINE:
                raise ValueError("control message too long")
            return None
        self.rest = rest
        return decode(line)


class FrameReader:
    """Cut frames out of a byte stream."""

    __slots__ = ("_rest",)

    def __init__(self, rest: bytes = b"") -> None:
        self._rest = rest

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """Return the frames that *chunk* completes."""
        buffer = self._rest + chunk if self._rest else chunk
        frames = []
        at = 0
        while len(buffer) - at >= HEADER.size:
            stream, length = HEADER.unpack_from(buffer, at)
            if len(buffer) - at - HEADER.size < length:
                break
            start = at + HEADER.size
            frames.append((stream, buffer[start : start + length]))
            at = start + length
        self._rest = buffer[at:]
        return frames

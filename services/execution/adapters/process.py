"""A tool server as a child process: started from the operator's profile alone, with an environment of its own, and
ended together with all that it started.

Standard input is a pipe that we write ourselves, without a buffer of the event loop between us and it: the call to
`write` is the moment at which the first byte leaves, and the last look at the lease must come right before it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from libs.runtime.logs import logger
from services.execution.adapters.pace import Pace

log = logger(__name__)

STDERR_LINES_KEPT = 20
STDERR_LINE_MAX = 500
READ_CHUNK = 65_536
EXIT_POLL_S = 0.01
KILL_S = 3.0  # only a process that the kernel holds takes longer


@dataclass(frozen=True)
class Profile:
    """One entry of the operator's file. `argv[0]` is an absolute path, so that nobody's search path decides what runs.
    `env` holds literal values, `env_from` names of our own variables that are handed on; there is nothing else."""

    name: str
    argv: tuple[str, ...]
    cwd: str = ""
    env: dict[str, str] = field(default_factory=dict)
    env_from: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """The whole environment of the server."""
        return {name: os.environ[name] for name in self.env_from if name in os.environ} | self.env


class ServerProcess:
    """The child, its three pipes and its end. Not restarted: a new one is made."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._child: subprocess.Popen[bytes] | None = None
        self._stdin = -1
        self._room: asyncio.Future[None] | None = None
        self._reader = asyncio.StreamReader(limit=READ_CHUNK)
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES_KEPT)
        self._drain: asyncio.Task[None] | None = None
        self._pipes: list[asyncio.ReadTransport] = []

    async def start(self) -> None:
        """Raises OSError when the command cannot be run."""
        child = subprocess.Popen(  # noqa: ASYNC220  as asyncio does it too: it waits for exec, not for the program
            self.profile.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.profile.cwd or None,
            env=self.profile.environment(),
            start_new_session=True,
        )
        self._child = child
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        self._stdin = os.dup(child.stdin.fileno())  # a descriptor of ours: nobody else closes or writes it
        child.stdin.close()
        os.set_blocking(self._stdin, False)
        loop = asyncio.get_running_loop()
        errors = asyncio.StreamReader(limit=READ_CHUNK)
        for reader, pipe in ((self._reader, child.stdout), (errors, child.stderr)):
            transport, _ = await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, reader), pipe)
            self._pipes.append(transport)
        self._drain = asyncio.create_task(self._keep_last_errors(errors))

    @property
    def pid(self) -> int:
        return self._child.pid if self._child is not None else 0

    @property
    def alive(self) -> bool:
        return self._child is not None and self._stdin >= 0 and not _has_exited(self._child.pid)

    def last_errors(self) -> list[str]:
        """The last lines that the server wrote to standard error, for the log of its failure only."""
        return list(self._stderr)

    async def read(self) -> bytes:
        """Some bytes of standard output; b'' at its end."""
        return await self._reader.read(READ_CHUNK)

    def write_now(self, data: memoryview) -> int:
        """Write what the pipe takes at once and return how much that was (0: it is full). Raises OSError."""
        if self._stdin < 0:
            raise BrokenPipeError("the server was stopped")
        try:
            return os.write(self._stdin, data)
        except BlockingIOError:
            return 0

    async def writable(self) -> None:
        """Wait until the pipe takes bytes again, or is broken or closed. One waiter at a time."""
        if self._stdin < 0:
            return
        loop = asyncio.get_running_loop()
        self._room = loop.create_future()
        loop.add_writer(self._stdin, self._wake)
        try:
            await self._room
        finally:
            self._wake()

    async def stop(self, grace_s: float = 1.0) -> None:
        """End of input, a moment to leave, then the whole process group is killed. Safe to call twice."""
        child, self._child = self._child, None
        if child is None:
            return
        self.close_input()
        await _exited(child.pid, grace_s)
        _kill_group(child.pid)
        await _exited(child.pid, KILL_S)
        if child.poll() is None:
            log.error("a killed tool server does not end", server=self.profile.name, pid=child.pid)
        if self._drain is not None:
            self._drain.cancel()
        for transport in self._pipes:
            transport.close()

    def close_input(self) -> None:
        """A server of this protocol ends when its input ends."""
        self._wake()  # before the descriptor is closed: its number may be given to another file at once
        descriptor, self._stdin = self._stdin, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _wake(self) -> None:
        room, self._room = self._room, None
        if room is None:
            return
        asyncio.get_running_loop().remove_writer(self._stdin)
        if not room.done():
            room.set_result(None)

    async def _keep_last_errors(self, errors: asyncio.StreamReader) -> None:
        """Read for ever, so that a server that talks much is not blocked; keep little, since it may hold anything."""
        rest = b""
        pace = Pace()
        while chunk := await errors.read(READ_CHUNK):
            await pace.breathe()
            *lines, rest = (rest + chunk).split(b"\n")
            rest, lines = rest[:STDERR_LINE_MAX], lines[-STDERR_LINES_KEPT:]
            self._stderr.extend(printable(line[:STDERR_LINE_MAX].decode(errors="replace")) for line in lines)
        if rest:
            self._stderr.append(printable(rest.decode(errors="replace")))


def printable(text: str) -> str:
    """Without control, format and other characters that could deceive who reads it in a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


async def _exited(pid: int, seconds: float) -> None:
    for _ in range(int(seconds / EXIT_POLL_S)):
        if _has_exited(pid):
            return
        await asyncio.sleep(EXIT_POLL_S)


def _has_exited(pid: int) -> bool:
    """Looked at without reaping: the number stays ours until the group is killed, so that no stranger is."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)

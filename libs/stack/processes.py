"""Who a process is, and how it is started and stopped.

A pid alone says nothing: after a crash it may belong to somebody else. So each process that we start is written down
with its pid, its start time and words of its command line, and only what fits all three is ours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

LOG_BYTES_MAX = 16_777_216  # at a start, a longer log gives way to a new one


@dataclass(frozen=True)
class Identity:
    """A process: `started` is its start time, `words` must all be in its command line."""

    name: str
    pid: int
    started: str
    words: tuple[str, ...]

    def is_alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE or _started(process) != self.started:
                return False
            line = process.cmdline()
        except psutil.NoSuchProcess:
            return False
        # Just after its start the command line can be empty for a moment.
        return not line or set(self.words) <= set(line)

    def send(self, number: int) -> None:
        """Sends a signal if the process is still the same one."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def end(self, first: int = signal.SIGTERM, patience_s: float = 10.0) -> None:
        """Asks the process to end, and kills it when it does not within `patience_s`."""
        self.send(first)
        if not self.wait_gone(patience_s):
            self.send(signal.SIGKILL)
            self.wait_gone(5.0)

    def wait_gone(self, patience_s: float) -> bool:
        """Whether the process ended within the time."""
        deadline = time.monotonic() + patience_s
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


class Child:
    """A program that this process starts, and starts again, under one name; its identity is written to `run`."""

    def __init__(self, name: str, run: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self._run = run
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The pid while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def status(self) -> int | None:
        """The exit status once it has ended (negative: the signal that ended it)."""
        return None if self._process is None else self._process.poll()

    def spawn(
        self,
        argv: Sequence[str],
        words: Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> int:
        """Starts it in a session of its own: a Ctrl-C reaches only us, and we stop things in order. Returns the pid.

        Raises OSError when it cannot be started or written down; it does not run then."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        try:
            started = _started(psutil.Process(self._process.pid))
        except psutil.NoSuchProcess:
            return self._process.pid
        try:
            write(self._run, Identity(self.name, self._process.pid, started, tuple(words)))
        except OSError:  # nobody would find it after our death
            self._process.kill()
            self._process.wait()
            raise
        return self._process.pid

    def send(self, number: int) -> None:
        """Sends a signal while it runs. Its pid cannot be somebody else's before we have waited for it."""
        if self.pid is not None and self._process is not None:
            self._process.send_signal(number)

    def end(self, first: int = signal.SIGTERM, patience_s: float = 10.0) -> None:
        """Asks it to end, kills it when it does not within `patience_s`, and forgets it."""
        if self._process is not None:
            self.send(first)
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        forget(self._run, self.name)


def described(name: str, pid: int, words: Sequence[str]) -> Identity | None:
    """The running process `pid`, if it is one with these words in its command line."""
    try:
        identity = Identity(name, pid, _started(psutil.Process(pid)), tuple(words))
    except psutil.NoSuchProcess:
        return None
    return identity if identity.is_alive() else None


def remembered(run: Path, name: str) -> Identity | None:
    """The process of that name, alive or not."""
    try:
        found = json.loads((run / f"{name}.json").read_text())
        return Identity(found["name"], found["pid"], found["started"], tuple(found["words"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        return None


def myself(name: str) -> Identity:
    """The calling process."""
    return Identity(name, os.getpid(), _started(psutil.Process()), ())


def write(run: Path, identity: Identity) -> None:
    """Writes a process down, whole or not at all."""
    run.mkdir(parents=True, exist_ok=True)
    fresh = run / f"{identity.name}.new"
    fresh.write_text(json.dumps(asdict(identity)))
    fresh.replace(run / f"{identity.name}.json")


def forget(run: Path, name: str) -> None:
    """Removes what was written down under that name."""
    (run / f"{name}.json").unlink(missing_ok=True)


def alive(run: Path) -> list[Identity]:
    """All written-down processes that still run; what is stale is forgotten."""
    living: list[Identity] = []
    for file in sorted(run.glob("*.json")):
        identity = remembered(run, file.stem)
        if identity is not None and identity.is_alive():
            living.append(identity)
        else:
            file.unlink(missing_ok=True)
    return living


def _started(process: psutil.Process) -> str:
    """The start time in the kernel's own count where there is one: the wall clock may be set, this may not."""
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{stat.rpartition(')')[2].split()[19]}"
    except ProcessLookupError:
        raise psutil.NoSuchProcess(process.pid) from None
    except FileNotFoundError:
        return f"{process.create_time():.2f}"

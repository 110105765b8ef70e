"""Where the local stack keeps its things. Each checkout has a folder of its own, so two of them do not meet."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.stack.errors import Busy, StackError


def checkout() -> Path:
    """The root of this checkout."""
    return Path(__file__).resolve().parents[2]


def home() -> Path:
    """The data folder: DEED_HOME, or `.deedbook` of the checkout."""
    chosen = os.environ.get("DEED_HOME", "")
    return Path(chosen).expanduser().resolve() if chosen else checkout() / ".deedbook"


def cache() -> Path:
    """What can be fetched again and is the same for every checkout: DEED_CACHE, or the user's cache folder."""
    chosen = os.environ.get("DEED_CACHE", "")
    if chosen:
        return Path(chosen).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deedbook"


@dataclass(frozen=True)
class Folder:
    """The parts of one data folder."""

    root: Path

    @property
    def kafka(self) -> Path:
        """Kafka's log segments and its configuration."""
        return self.root / "kafka"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's cluster and password."""
        return self.root / "postgres"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """One file per running process: who it is (see processes.py)."""
        return self.root / "run"

    @property
    def ports(self) -> Path:
        """The remembered ports."""
        return self.root / "ports.json"

    @property
    def state(self) -> Path:
        """What the supervisor last said about its processes."""
        return self.root / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the process that owns the servers of this folder."""
        return self.root / "lock"

    @property
    def keys(self) -> Path:
        """The signing key of local tokens and the secret of effect keys."""
        return self.root / "keys"

    def create(self) -> None:
        """Makes the folders; nobody else may look into them, since passwords are there. Raises StackError."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in (self.kafka, self.postgres, self.logs, self.run):
                part.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            text = f"The data folder {self.root} cannot be made ({error.strerror}): name another one in DEED_HOME."
            raise StackError(text) from None


@contextmanager
def held(lock: Path, busy: str) -> Iterator[None]:
    """Holds a lock file for as long as this process lives; the kernel frees it even after kill -9."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(busy) from None
        yield


@contextmanager
def turn(lock: Path) -> Iterator[None]:
    """Waits until nobody else is in here."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_held(lock: Path) -> bool:
    """Whether a living process holds the lock."""
    if not os.path.lexists(lock):  # unlike Path.exists it does not raise where one may not look
        return False
    try:
        with held(lock, ""):
            return False
    except Busy:
        return True

"""The two servers as one thing: what tests, benchmarks and the supervisor start."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from libs.stack import processes
from libs.stack.folders import Folder, held, home
from libs.stack.kafka import Kafka
from libs.stack.ports import Ports
from libs.stack.postgres import Postgres

SERVERS = ("kafka", "postgres")


@dataclass(frozen=True)
class Endpoints:
    """Where the servers are."""

    kafka_bootstrap: str
    postgres_dsn: str


class Stack:
    """A Kafka and a PostgreSQL in one data folder, held by this process. Blocking; from a loop use a thread."""

    def __init__(self, data_dir: Path | None = None) -> None:
        self.folder = Folder((data_dir or home()).resolve())
        ports = Ports(self.folder.ports)
        self.kafka = Kafka(self.folder, ports)
        self.postgres = Postgres(self.folder, ports)
        self._held = ExitStack()

    def start(self) -> Endpoints:
        """Cleans up what a crash left behind, starts both servers (side by side) and waits until they answer."""
        self.folder.create()
        self._held.enter_context(held(self.folder.root / "lock", f"A stack already runs in {self.folder.root}."))
        try:
            stop_orphans(self.folder)
            self.kafka.begin()
            dsn = self.postgres.start()
            self.kafka.ready()
        except BaseException:
            self.stop()
            raise
        return Endpoints(self.kafka.bootstrap, dsn)

    def stop(self) -> None:
        """Stops both servers. Never raises for one that is gone already."""
        self.kafka.stop()
        self.postgres.stop()
        self._held.close()

    def __enter__(self) -> Endpoints:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def stop_orphans(folder: Folder) -> list[str]:
    """Stops what an earlier owner of this folder left running: our processes first, then the servers.
    Only the holder of the folder's lock may call this. Returns the names."""
    left = processes.alive(folder.run)
    for identity in sorted(left, key=lambda found: found.name in SERVERS):
        # Each in its own gentle way: SIGINT is PostgreSQL's fast shutdown, SIGTERM everybody else's.
        identity.end(signal.SIGINT if identity.name == "postgres" else signal.SIGTERM)
        processes.forget(folder.run, identity.name)
    return [identity.name for identity in left]

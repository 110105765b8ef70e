"""The two servers as one thing: what tests, benchmarks and the supervisor start."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from libs.stack import archive, processes
from libs.stack.folders import Folder, held, home
from libs.stack.kafka import Kafka
from libs.stack.ports import Ports
from libs.stack.postgres import Postgres

SERVERS = ("kafka", "postgres")
OWNER = "owner"


@dataclass(frozen=True)
class Endpoints:
    """Where the servers are."""

    kafka_bootstrap: str
    postgres_dsn: str


class Stack:
    """A Kafka and a PostgreSQL in one data folder, held by this process. Blocking; from a loop use a thread.

    A server whose address is given is somebody else's: it is neither started nor stopped."""

    def __init__(self, data_dir: Path | None = None, kafka_bootstrap: str = "", postgres_dsn: str = "") -> None:
        self.folder = Folder((data_dir or home()).resolve())
        self._given = Endpoints(kafka_bootstrap, postgres_dsn)
        ports = Ports(self.folder.ports)
        self.kafka = Kafka(self.folder, ports, archive.options)
        self.postgres = Postgres(self.folder, ports)
        self._held = ExitStack()
        self._owns = False

    @property
    def ours(self) -> list[Kafka | Postgres]:
        """The servers that are started here."""
        kafka: list[Kafka | Postgres] = [] if self._given.kafka_bootstrap else [self.kafka]
        return kafka + ([] if self._given.postgres_dsn else [self.postgres])

    def hold(self) -> None:
        """Makes this process the owner of the data folder and cleans up what a dead owner left running.

        Raises Busy, with nothing touched, when a living process owns it."""
        self.folder.create()
        self._held.enter_context(held(self.folder.lock, f"A stack already runs in {self.folder.root}: `deed down`."))
        self._owns = True
        stop_orphans(self.folder)
        processes.write(self.folder.root, processes.myself(OWNER))

    def start(self) -> Endpoints:
        """Starts both servers (side by side) and waits until they answer."""
        if not self._owns:
            self.hold()
        try:
            if self.kafka in self.ours:
                self.kafka.begin()
            dsn = self.postgres.start() if self.postgres in self.ours else self._given.postgres_dsn
            if self.kafka in self.ours:
                self.kafka.ready()
        except BaseException:
            self.stop()
            raise
        return Endpoints(self._given.kafka_bootstrap or self.kafka.bootstrap, dsn)

    def stop(self) -> None:
        """Stops both servers and gives the folder free. Never raises for one that is gone already."""
        if not self._owns:
            return
        self.kafka.stop()
        self.postgres.stop()
        processes.forget(self.folder.root, OWNER)
        self._owns = False
        self._held.close()

    def __enter__(self) -> Endpoints:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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

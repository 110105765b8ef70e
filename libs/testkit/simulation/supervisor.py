"""Starts and restarts the processes of a simulation, in one shape or the other."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from libs.ledger.hosted import Hosted
from libs.ledger.service import Service
from libs.ledger.worker import Functions, Limits, Worker
from libs.testkit.simulation.process import Process

if TYPE_CHECKING:
    from libs.testkit.simulation.world import World

LEASE_MS = 800
EFFECTS_MAX = {"READ_ONLY": 4, "OPAQUE": 2}
LIMITS = {
    "lease_ms": LEASE_MS, "margin_ms": 80, "batch_max": 8, "queue_max": 12, "sides_max": 4, "flush_ms": 300,
    "call_timeout_max_ms": 400, "survey_ms": 150, "worker_ttl_ms": 700, "backoff_ms": 60, "backoff_max_ms": 500,
    "release_after_ms": 1_500, "mend_wait_ms": 60_000, "shun_ms": 500, "gap_wait_ms": 400, "drain_ms": 700,
    "look_again_ms": 900, "control_stale_ms": 500, "shun_max_ms": 4_000,
}  # fmt: skip


class Supervisor:
    """All processes, dead ones too. `kind` is what it starts."""

    def __init__(self, world: World, shape: str, kind: type[Process]) -> None:
        self.world, self.clock, self.cast = world, world.clock, world.cast
        self.shape, self._kind = shape, kind
        self.processes: list[Process] = []
        self.groups = self._groups()
        self.deaths: dict[str, int] = {}
        self.switching = False  # the shape is about to change: nothing is started
        self._count = 0

    @property
    def alive(self) -> list[Process]:
        """Those that run."""
        return [process for process in self.processes if process.alive]

    def _groups(self) -> list[tuple[Service, ...]]:
        services = self.cast.services
        return [services] if self.shape == "colocated" else [(service,) for service in services]

    def start(self, group: tuple[Service, ...]) -> Process:
        """A new process that hosts these services."""
        self._count += 1
        name = f"w{self._count}" if self.shape == "colocated" else f"{group[0].name}{self._count}"
        token = hashlib.md5(f"{self.clock.random.random()}".encode()).digest()
        hosted = Hosted.of(group, self.cast.encode, self.cast.dead_letter, "sim")
        limits = Limits(lanes=self.world.lanes, effects_max=EFFECTS_MAX, **LIMITS)
        functions = Functions(
            decode=self.cast.decode,
            decode_unpark=self.cast.read_unpark,
            owned=self.cast.owned,
            stopped_by=self.cast.stops,
        )
        process = self._kind(self.world, name, Worker(hosted, limits, functions, token), self.shape)
        self.processes.append(process)
        self.clock.note(f"{name} starts")
        return process

    def restart(self, process: Process, delay_ms: float) -> None:
        """The supervisor starts the same program again."""
        group = process.worker.hosted.services
        self.clock.after(delay_ms, lambda: self._again(group))

    def _again(self, group: tuple[Service, ...]) -> None:
        if not self.switching and group in self.groups:
            self.start(group)

    def reshape(self) -> None:
        """The system is stopped, and started in the other shape once it is drained."""
        self.clock.note("the shape is to change")
        self.switching = True
        for process in self.alive:
            process.leave()
        self.clock.after(50.0, self._reshape)

    def _reshape(self) -> None:
        if self.alive:
            self.clock.after(50.0, self._reshape)
            return
        drained = self.world.database.close()
        self.switching = False
        if drained:
            self.shape = "separate" if self.shape == "colocated" else "colocated"
            self.clock.note(f"the shape is {self.shape} now")
        self.groups = self._groups()
        for group in self.groups:
            self.start(group)
        if not drained:
            self.clock.after(500.0, self.reshape)

    def died(self, process: Process) -> None:
        """A decider ended it."""
        self.deaths[process.name] = self.deaths.get(process.name, 0) + 1
        process.kill()
        self.restart(process, 20.0)

    def gone(self, process: Process) -> None:
        """It left politely; it is started again."""
        self.restart(process, 50.0 + 200.0 * self.clock.random.random())

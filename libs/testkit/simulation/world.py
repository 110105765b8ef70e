"""The simulated world: servers, processes, a workload and the faults that befall it, all from one seed."""

from __future__ import annotations

from typing import Any

from libs.ledger.partition import lane_of
from libs.ledger.protocol import Alarm, TailRecord
from libs.testkit.simulation.cast import Cast, SmallCast, Wish
from libs.testkit.simulation.clock import Clock, Violated
from libs.testkit.simulation.database import Database
from libs.testkit.simulation.history import History
from libs.testkit.simulation.invariants import Invariants
from libs.testkit.simulation.log import Log, Partition
from libs.testkit.simulation.network import Network, Weather
from libs.testkit.simulation.process import Process
from libs.testkit.simulation.supervisor import LEASE_MS, Supervisor
from libs.testkit.simulation.tool import Tool


class World:
    """Everything there is."""

    def __init__(
        self,
        seed: int,
        shape: str,
        lanes: int,
        kind: type[Process] = Process,
        cast: Cast | None = None,
    ) -> None:
        self.clock, self.lanes, self.cast = Clock(seed), lanes, cast or SmallCast()
        self.weather = Weather()
        self.network = Network(self.clock, self.weather)
        self.log = Log(self.clock, self._head)
        self.database = Database(self.clock, LEASE_MS, [s.name for s in self.cast.services], lanes)
        self.tool = Tool(self)
        self.supervisor = Supervisor(self, shape, kind)
        self.history, self.invariants = History(), Invariants(self)
        self.poison = self.cast.poison
        self.control_seq, self.stopped = 1, frozenset[str]()
        self.control, self.control_fresh = self.cast.view(1, self.stopped), True
        self.timeout_ms = 250.0
        self.submitted: dict[bytes, None] = {}
        self.alarms: list[tuple[str, str]] = []
        self.pause_chance = 0.0
        self.barred: frozenset[str] = frozenset()  # topics that the broker lets nobody write to
        self._commands = 0
        self.log.watch = self._appended
        self.log.tell = self._heard
        self.database.watch = self.invariants.committing

    # -- what people do

    def submit(self, wish: Wish, other: bool = False, partition: int | None = None) -> None:
        """Somebody publishes an intent; perhaps not where it belongs, perhaps its key with other content."""
        number = lane_of(wish.key, self.lanes) if partition is None else partition
        self.submitted[wish.key] = None
        self.append(wish.topic, number, wish.key, wish.other if other else wish.value)

    def tell(self, kind: type[Any], key: bytes, **fields: Any) -> None:
        """Somebody gives a command."""
        self._commands += 1
        given = {"principal": self.cast.operator, "reason": "because", "issued_at": self.clock.now_at} | fields
        body = kind(command_id=self._commands.to_bytes(16), intent_id=key, **given)
        self.append("commands", lane_of(key, self.lanes), key, self.cast.message(body))

    def append(self, topic: str, number: int, key: bytes, value: bytes) -> None:
        """A record by somebody else."""
        self.log.append(topic, number, [(key, value)])

    def flip(self, stopped: frozenset[str]) -> None:
        """A kill switch."""
        self.clock.note(f"switches: {sorted(stopped)}")
        self.control_seq, self.stopped = self.control_seq + 1, stopped
        self.control = self.cast.view(self.control_seq, stopped)
        for process in self.supervisor.alive:
            process.see_control()

    # -- faults

    def stops_here(self, process: Process) -> bool:
        """Is it stopped right before it sends something?"""
        if self.pause_chance and self.clock.chance(self.pause_chance):
            process.pause(self._pause_ms())
            return True
        return False

    def stops_between(self, process: Process) -> bool:
        """Is it stopped between the last look and the first byte?"""
        if self.pause_chance and self.clock.chance(0.1):
            process.pause(self._pause_ms())
            return True
        return False

    def age(self, fresh: bool) -> None:
        """The control view can(not) be confirmed."""
        self.clock.note(f"control view fresh: {fresh}")
        self.control_fresh = fresh

    def answers_control(self) -> bool:
        """Can a control tail find out whether it has read all?"""
        return self.control_fresh and self.clock.now_ms >= self.network.away_until["broker"]

    def forget_producers(self) -> None:
        """The broker no longer knows any producer: it refuses none for what is missing before its batch, so that a gap
        may come to be; readers read on until its owner has mended it."""
        for process in self.supervisor.processes:
            process.shell.broker.renew_producers()

    def lose_tail(self, topic: str, number: int, count: int) -> None:
        """The broker comes back without its last records."""
        partition = self.log.partition(topic, number)
        count = min(count, len(partition.records) - 1)
        if count > 0:
            self.clock.note(f"{topic}/{number} loses its last {count} records")
            self.log.lose_tail(topic, number, count)

    # -- what the world hears

    def alarm(self, process: Process, alarm: Alarm) -> None:
        """What an operator would see."""
        self.alarms.append((alarm.code, alarm.text))
        self.clock.note(f"{process.name} ALARM lane {alarm.lane} {alarm.code}: {alarm.text}")
        if alarm.code == "HALTED" and self.invariants.strict:
            raise Violated(f"lane {alarm.lane} is halted by {process.name}: {alarm.text}")

    def _head(self, topic: str, value: bytes) -> TailRecord:
        fact = self.cast.decode(topic, value)
        return TailRecord(-1, fact.envelope.seq, fact.envelope.prev_hash, fact.hash)

    def _heard(self, topic: str, number: int) -> None:
        for process in self.supervisor.alive:
            process.shell.broker.poll(topic, number)

    def _appended(self, partition: Partition, head: TailRecord, value: bytes) -> None:
        key = self.invariants.published(partition, head)
        self.history.add(key, self.cast.decode(partition.topic, value).body)

    def _pause_ms(self) -> float:
        return float(20.0 * 100.0 ** self.clock.random.random())

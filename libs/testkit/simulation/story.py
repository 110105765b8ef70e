"""One schedule: a workload, faults, then calm; and what must be true at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from libs.contracts import events as e
from libs.ledger.partition import lane_of
from libs.ledger.service import Fact, Service
from libs.testkit.simulation.clock import START_AT, Violated
from libs.testkit.simulation.deciders import Order
from libs.testkit.simulation.executing import DONE
from libs.testkit.simulation.world import SERVICES, World

FAULTS_MS = 2_500.0
FAULTS = (
    "kill", "kill", "pause", "pause", "leave", "join", "tail", "broker", "database", "flip", "stale", "clock",
)  # fmt: skip
PATIENCE_MS = 20_000.0
STEPS_MAX = 200_000


@dataclass
class Report:
    """What became of a schedule. `violated` "" = all invariants held."""

    seed: int
    violated: str
    steps: int
    events: int
    trace: list[str]
    windows: int = 0
    in_doubt: int = 0
    alarms: frozenset[str] = frozenset()


class Story:
    """Everything about a schedule follows from its seed."""

    def __init__(self, seed: int, tracing: bool = False) -> None:
        rng = _rng(seed)
        self.seed, self.rng = seed, rng
        shape = "separate" if rng.random() < 0.3 else "colocated"
        self.world = World(seed, shape, 2, tracing)
        self.in_doubt = 0

    def play(self) -> Report:
        """Run it to its end."""
        world, steps = self.world, 0
        violated = ""
        try:
            self._prepare()
            while world.clock.now_ms < FAULTS_MS and world.clock.step():
                steps += 1
            self._calm()
            deadline = world.clock.now_ms + PATIENCE_MS
            while not self._is_over():
                for _ in range(40):
                    world.clock.step()
                steps += 40
                if world.clock.now_ms > deadline or steps > STEPS_MAX:
                    raise Violated(f"no end: {self._missing()}")
            self._check_end()
        except (Violated, AssertionError) as error:
            violated = f"{type(error).__name__}: {error}"
        codes = frozenset(code for code, _ in world.alarms)
        events = sum(len(p.first) for p in world.log.partitions.values())
        return Report(self.seed, violated, steps, events, world.clock.trace, world.tool.windows, self.in_doubt, codes)

    # -- the beginning

    def _prepare(self) -> None:
        world, rng = self.world, self.rng
        for group in world.groups:
            for _ in range(2 if world.shape == "colocated" or rng.random() < 0.4 else 1):
                world.start(group)
        burst = rng.choice((FAULTS_MS * 0.8, 300.0))  # spread out, or all at once
        for n in range(rng.randrange(3, 9)):
            self._one_intent(n, rng.random() * burst)
        harsh = rng.random()
        if harsh < 0.9:
            w = world.weather
            w.slow, w.lost_request, w.lost_answer, w.late = (rng.choice((0.0, 0.02, 0.1)) * harsh for _ in range(4))
            world.pause_chance = rng.choice((0.0, 0.0, 0.005, 0.02))
            for _ in range(rng.randrange(0, 5)):
                world.clock.after(rng.random() * FAULTS_MS, self._fault)

    def _one_intent(self, n: int, at: float) -> None:
        world, rng = self.world, self.rng
        key = hashlib.md5(f"{self.seed}/{n}".encode()).digest()
        world.keys.append(key)
        expires = START_AT + int((2e6 if rng.random() < 0.1 else 60e6) * rng.uniform(0.2, 1.0))
        order = Order(key, rng.choice((50, 100, 400)), rng.choice(("READ_ONLY", "OPAQUE")), expires, "content")
        partition = rng.randrange(world.lanes) if rng.random() < 0.2 else None
        world.clock.after(at, lambda: world.submit(order, partition))
        if rng.random() < 0.3:
            again = Order(key, order.amount, order.effect_class, expires, rng.choice(("content", "other")))
            world.clock.after(at + rng.random() * 1_000, lambda: world.submit(again))
        if rng.random() < 0.2:
            world.clock.after(rng.random() * FAULTS_MS, lambda: world.tell(e.Cancel, key))
        if rng.random() < 0.1:
            world.clock.after(at, lambda: world.append("intents", rng.randrange(world.lanes), key, b"\xc1 garbage"))
        if n >= 100:
            return
        if rng.random() < 0.08:
            world.poison.raises[(rng.choice(("intake", "budget", "execution", "outcome")), key)] = True
        elif rng.random() < 0.05:
            world.poison.kills[(rng.choice(("intake", "budget", "execution", "outcome")), key)] = True

    def _fault(self) -> None:
        world, rng = self.world, self.rng
        alive = [p for p in world.processes if p.alive and not p.leaving]
        victim = rng.choice(alive) if alive else None
        match rng.choice(FAULTS):
            case "kill" if victim is not None:
                victim.kill()
                world.restart(victim, rng.random() * 500)
            case "pause" if victim is not None and not victim.paused:
                victim.pause(rng.uniform(50, 2_000))
            case "leave" if victim is not None:
                victim.leave()
            case "join":
                world.start(rng.choice(world.groups))
            case "tail":
                for topic, number in [p for p in world.log.partitions if p[0].startswith("ledger.")]:
                    if rng.random() < 0.4:
                        world.lose_tail(topic, number, rng.randrange(1, 4))
            case "clock":
                world.clock.set_by_ms += rng.choice((-900.0, -100.0, 300.0, 3_000.0))
            case "broker" | "database" as server:
                world.clock.note(f"{server} is away")
                world.network.away_until[server] = world.clock.now_ms + rng.uniform(50, 1_200)
            case "flip":
                world.flip(frozenset((rng.choice(("READ_ONLY", "OPAQUE")),)))
                world.clock.after(rng.uniform(100, 1_000), lambda: world.flip(frozenset()))
            case "stale":
                world.age(False)
                world.clock.after(rng.uniform(100, 1_000), lambda: world.age(True))
            case _:
                pass

    # -- the end

    def _calm(self) -> None:
        world = self.world
        world.clock.note("from now on everything works")
        world.weather.calm()
        world.pause_chance = 0.0
        world.network.away_until = {"database": 0.0, "broker": 0.0}
        world.poison.raises.clear()
        world.poison.kills.clear()
        world.control_fresh = True
        world.flip(frozenset())
        world.clock.after(200.0, self._tend)
        if self.rng.random() < 0.2:
            world.reshape()
            for n in range(100, 103):
                self._one_intent(n, self.rng.random() * 800)

    def _tend(self) -> None:
        """An operator takes parked keys up, resolves what is in doubt, and submits again what became a dead letter."""
        world = self.world
        for name, schema in world.database.schemas.items():
            for parked in schema.parked.values():
                for key in parked:
                    world.tell(e.Unpark, key, service=name)
        for key, deed in world.database.schemas["execution"].states.items():
            if deed.phase == "DOUBT":
                self.in_doubt += 1
                world.tell(e.Resolve, key, applied=bool(world.tool.calls.get(key)), evidence="asked")
        for key in world.keys:
            if key not in world.database.schemas["intake"].states and self._is_dead(key):
                world.submit(Order(key, 50, "OPAQUE", START_AT + int(90e6), "content"))
        world.clock.after(1_500.0, self._tend)

    def _is_dead(self, key: bytes) -> bool:
        letters = [p for (topic, _), p in self.world.log.partitions.items() if topic == "dead.intake"]
        return any(key in record.value for partition in letters for record in partition.records)

    def _is_over(self) -> bool:
        return not self._missing()

    def _missing(self) -> str:
        world = self.world
        schemas = world.database.schemas
        submitted = {
            key for key in world.keys
            if any(key in r.value for (t, _), p in world.log.partitions.items() if t == "intents" for r in p.records)
        }  # fmt: skip
        for key in world.keys:
            outcome = schemas["outcome"].states.get(key)
            if key in submitted and (outcome is None or not outcome.status):
                return f"no outcome of {key.hex()[:6]} (execution: {schemas['execution'].states.get(key)})"
        for name, schema in schemas.items():
            for lane, row in schema.rows.items():
                if row.published.seq != row.out_seq:
                    return f"{name}/{lane}: {row.out_seq - row.published.seq} events are not published"
                if schema.sides.get(lane):
                    return f"{name}/{lane}: forwards wait"
                if schema.parked.get(lane):
                    return f"{name}/{lane}: a key is parked"
                if not any(p.alive and p.worker.token == row.token for p in world.processes):
                    return f"{name}/{lane} has no owner"
        return self._unread()

    def _unread(self) -> str:
        for service in SERVICES:
            for lane in range(self.world.lanes):
                cursors = self.world.database.schemas[service.name].rows[lane].cursors
                for topic in service.reads:
                    writer = self.world.database.schemas[topic.removeprefix("ledger.")].rows[lane]
                    read = cursors[topic].last_seq if topic in cursors else 0
                    if read != writer.out_seq:
                        return f"{service.name}/{lane} has not read {topic} to its end"
        return ""

    def _check_end(self) -> None:
        world = self.world
        for service in SERVICES:
            self._check_replay(service)
        for key in world.keys:
            self._check_certainty(key)
        pending = sum(r.pending_micros for r in world.database.schemas["budget"].scopes.values())
        if pending:
            raise Violated(f"{pending} micros are still pending though everything has ended")
        for (topic, number), partition in world.log.partitions.items():
            if topic.startswith("ledger.") and sorted({h.seq for h in partition.heads}) != list(
                range(1, partition.last_seq + 1)
            ):
                raise Violated(f"{topic}/{number} has gaps")

    def _facts(self, topic: str) -> Iterable[Fact]:
        outboxes = self.world.database.schemas[topic.removeprefix("ledger.")].outbox
        for records in outboxes.values():
            for record in records:
                yield self.world.codec.decode(topic, record.value)

    def _check_replay(self, service: Service) -> None:
        """Tables equal a replay of the ledger, in another order of the topics."""
        states: dict[bytes, Any] = {}
        topics = [*service.reads, service.writes or ""]
        for topic in topics:
            for fact in self._facts(topic):
                key = fact.envelope.intent_id
                states[key] = service.evolve(states.get(key, service.initial), fact)
        kept = self.world.database.schemas[service.name].states
        for key in states.keys() | kept.keys():
            if states.get(key, service.initial) != kept.get(key, service.initial):
                raise Violated(f"{service.name}: {key.hex()[:6]} is {kept.get(key)}, a replay says {states.get(key)}")

    def _check_certainty(self, key: bytes) -> None:
        """No false certainty (guarantees.md invariant 5)."""
        deed = self.world.database.schemas["execution"].states.get(key)
        calls = self.world.tool.calls.get(key, [])
        if deed is None:
            return
        if deed.phase in ("CANCELLED", "EXPIRED") and deed.effect_class == "OPAQUE" and calls:
            raise Violated(f"{key.hex()[:6]} is {deed.phase}, but its tool was called")
        if deed.phase in ("SUCCEEDED", "FAILED") and not calls:
            raise Violated(f"{key.hex()[:6]} is {deed.phase}, but its tool was never called")
        if deed.phase and deed.phase not in DONE:
            raise Violated(f"{key.hex()[:6]} is still {deed.phase}")


def _rng(seed: int) -> Any:
    import random

    return random.Random(f"story/{seed}")


def play(seed: int, tracing: bool = False) -> Report:
    """One schedule."""
    return Story(seed, tracing).play()


__all__ = ["Report", "Story", "lane_of", "play"]

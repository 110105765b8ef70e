"""One schedule: a workload, faults, then calm; and what must be true at the end."""

from __future__ import annotations

import random
from dataclasses import dataclass

from libs.contracts import events as e
from libs.testkit.simulation.cast import CLASSES, Cast, SmallCast, Wish
from libs.testkit.simulation.clock import Violated
from libs.testkit.simulation.ending import check_end
from libs.testkit.simulation.world import World

VOTER = e.Principal("acme", "alice", e.ActorKind.HUMAN, ("main",), ("approver",))
ENDINGS = frozenset(("ApprovalGranted", "ApprovalDenied", "ApprovalExpired", "ApprovalCancelled", "OutcomeRecorded"))
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
    """Everything about a schedule follows from its seed. `real`: with the real deciding services."""

    def __init__(self, seed: int, tracing: bool = False, real: bool = False) -> None:
        self.seed, self.rng = seed, random.Random(f"story/{seed}")
        shape = "separate" if self.rng.random() < 0.3 else "colocated"
        self.world = World(seed, shape, 2, cast=_real() if real else SmallCast())
        self.world.clock.tracing = tracing
        self.in_doubt = 0
        self.wishes: dict[bytes, Wish] = {}

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
            while missing := self._missing():
                for _ in range(40):
                    world.clock.step()
                steps += 40
                if world.clock.now_ms > deadline or steps > STEPS_MAX:
                    raise Violated(f"no end: {missing}")
            check_end(world)
        except (Violated, AssertionError) as error:
            violated = f"{type(error).__name__}: {error}"
        codes = frozenset(code for code, _ in world.alarms)
        events = sum(len(p.first) for p in world.log.partitions.values())
        return Report(self.seed, violated, steps, events, world.clock.trace, world.tool.windows, self.in_doubt, codes)

    # -- the beginning

    def _prepare(self) -> None:
        world, rng = self.world, self.rng
        for group in world.supervisor.groups:
            for _ in range(2 if world.supervisor.shape == "colocated" or rng.random() < 0.4 else 1):
                world.supervisor.start(group)
        burst = rng.choice((FAULTS_MS * 0.8, 300.0))  # spread out, or all at once
        for n in range(rng.randrange(3, 9)):
            self._one_intent(n, rng.random() * burst)
            self._stumble(rng.choice(list(self.wishes)))
        harsh = rng.random()
        if harsh < 0.9:
            w = world.weather
            w.slow, w.lost_request, w.lost_answer, w.late = (rng.choice((0.0, 0.02, 0.1)) * harsh for _ in range(4))
            world.pause_chance = rng.choice((0.0, 0.0, 0.005, 0.02))
            for _ in range(rng.randrange(0, 5)):
                world.clock.after(rng.random() * FAULTS_MS, self._fault)

    def _one_intent(self, n: int, at: float) -> None:
        world, rng = self.world, self.rng
        wish = world.cast.wish(f"{self.seed}/{n}", rng)
        self.wishes[wish.key] = wish
        partition = rng.randrange(world.lanes) if rng.random() < 0.2 else None
        world.clock.after(at, lambda: world.submit(wish, partition=partition))
        if rng.random() < 0.3:
            other = rng.random() < 0.5
            world.clock.after(at + rng.random() * 1_000, lambda: world.submit(wish, other))
        if rng.random() < 0.2:
            world.clock.after(rng.random() * FAULTS_MS, lambda: world.tell(e.Cancel, wish.key))
        if rng.random() < 0.2:  # too early, or by chance not
            world.clock.after(rng.random() * FAULTS_MS, lambda: self._resolve(wish.key))
        if rng.random() < 0.1:
            world.clock.after(
                at, lambda: world.append(wish.topic, rng.randrange(world.lanes), wish.key, b"\xc1 garbage")
            )

    def _stumble(self, key: bytes) -> None:
        world, rng = self.world, self.rng
        place = (rng.choice([service.name for service in world.cast.services]), key)
        if rng.random() < 0.08:
            world.poison.raises[place] = True
        elif rng.random() < 0.05:
            world.poison.kills[place] = True

    def _fault(self) -> None:
        world, rng = self.world, self.rng
        alive = [p for p in world.supervisor.processes if p.alive and not p.leaving]
        victim = rng.choice(alive) if alive else None
        match rng.choice(FAULTS):
            case "kill" if victim is not None:
                victim.kill()
                world.supervisor.restart(victim, rng.random() * 500)
            case "pause" if victim is not None and not victim.paused:
                victim.pause(rng.uniform(50, 2_000))
            case "leave" if victim is not None:
                victim.leave()
            case "join":
                world.supervisor.start(rng.choice(world.supervisor.groups))
            case "tail":
                self._lose_tails()
            case "clock":
                world.clock.set_by_ms += rng.choice((-900.0, -100.0, 300.0, 3_000.0))
            case "broker" | "database" as server:
                world.clock.note(f"{server} is away")
                world.network.away_until[server] = world.clock.now_ms + rng.uniform(50, 1_200)
            case "flip":
                world.flip(frozenset((rng.choice(CLASSES),)))
                world.clock.after(rng.uniform(100, 1_000), lambda: world.flip(frozenset()))
            case "stale":
                world.age(False)
                world.clock.after(rng.uniform(100, 1_000), lambda: world.age(True))
            case _:
                pass

    def _lose_tails(self) -> None:
        world, rng = self.world, self.rng
        if rng.random() < 0.4:
            world.forget_producers()
        for topic, number in [place for place in world.log.partitions if place[0].startswith("ledger.")]:
            if rng.random() < 0.4:
                world.lose_tail(topic, number, rng.randrange(1, 4))

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
            world.supervisor.reshape()
            for n in range(100, 103):
                self._one_intent(n, self.rng.random() * 800)

    def _tend(self) -> None:
        """Operators take parked keys up, resolve what is in doubt and submit again what became a dead letter; people
        vote."""
        world = self.world
        for name, schema in world.database.schemas.items():
            for parked in schema.parked.values():
                for key in parked:
                    world.tell(e.Unpark, key, service=name)
        for key in list(world.history.doubts):
            self.in_doubt += 1
            self._resolve(key)
        for key, digest in world.history.requests.items():
            if not world.history.happened[key] & ENDINGS:
                world.tell(e.ApprovalVote, key, principal=VOTER, vote=e.Vote.APPROVE, action_digest=digest)
        for key in world.submitted:
            if "IntentAccepted" not in world.history.happened.get(key, ()) and self._is_dead(key):
                world.submit(self.wishes[key])
        world.clock.after(1_500.0, self._tend)

    def _resolve(self, key: bytes) -> None:
        self.world.tell(e.Resolve, key, applied=bool(self.world.tool.calls.get(key)), evidence="asked")

    def _is_dead(self, key: bytes) -> bool:
        letters = [p for (topic, _), p in self.world.log.partitions.items() if topic == "dead.intake"]
        return any(key in record.value for partition in letters for record in partition.records)

    def _missing(self) -> str:
        """What is not as it must be in the end: everything decided, published and read, all lanes owned."""
        world = self.world
        for key in world.submitted:
            happened = world.history.happened.get(key, set())
            refused = "IntentAccepted" not in happened and self.wishes[key].name in world.history.rejected
            if "OutcomeRecorded" not in happened and not refused:
                return f"no outcome of {key.hex()[:6]}: {sorted(world.history.happened.get(key, ()))}"
        for name, schema in world.database.schemas.items():
            for lane, row in schema.rows.items():
                if row.published.seq != row.out_seq:
                    return f"{name}/{lane}: {row.out_seq - row.published.seq} events are not published"
                if schema.sides.get(lane):
                    return f"{name}/{lane}: forwards wait"
                if schema.parked.get(lane):
                    return f"{name}/{lane}: a key is parked"
                if not any(p.alive and p.worker.token == row.token for p in world.supervisor.processes):
                    return f"{name}/{lane} has no owner"
        return self._unread()

    def _unread(self) -> str:
        schemas = self.world.database.schemas
        for service in self.world.cast.services:
            for lane in range(self.world.lanes):
                cursors = schemas[service.name].rows[lane].cursors
                for topic in service.reads:
                    read = cursors[topic].last_seq if topic in cursors else 0
                    if read != schemas[topic.removeprefix("ledger.")].rows[lane].out_seq:
                        return f"{service.name}/{lane} has not read {topic} to its end"
        return ""


def _real() -> Cast:
    from libs.testkit.simulation.real import RealCast

    return RealCast()


def play(seed: int, tracing: bool = False, real: bool = False) -> Report:
    """One schedule."""
    return Story(seed, tracing, real).play()

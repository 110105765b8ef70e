"""One worker on a bench: everything answers at once, except what a test holds back to answer by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from libs.ledger.lane import Lane
from libs.ledger.protocol import Action, Alarm, Answer
from libs.ledger.service import Fact, Record, Service
from libs.testkit.simulation.cast import SmallCast, Wish
from libs.testkit.simulation.clock import START_AT
from libs.testkit.simulation.deciders import Order
from libs.testkit.simulation.process import Process
from libs.testkit.simulation.world import World

A = TypeVar("A")
SERVICES = SmallCast.services
EXPIRES = START_AT + 60_000_000


class BenchProcess(Process):
    """A process whose actions can be held back."""

    holding: tuple[type, ...] = ()

    def __init__(self, *given: Any) -> None:
        self.seen: list[Action] = []
        self.held: list[Action] = []
        super().__init__(*given)

    def do(self, action: Action) -> None:
        self.seen.append(action)
        if isinstance(action, self.holding):
            self.held.append(action)
        else:
            super().do(action)


class Bench:
    """A world without faults, and one process in it that tests look into."""

    def __init__(self, services: Sequence[Service] = SERVICES, lanes: int = 1, shape: str = "colocated") -> None:
        self.world = World(1, shape, lanes, BenchProcess)
        self.group = tuple(services)
        self.process = self.start()

    def start(self) -> BenchProcess:
        """One more process."""
        process = self.world.supervisor.start(self.group)
        assert isinstance(process, BenchProcess)
        return process

    @property
    def worker(self) -> Any:
        """The protocol under test."""
        return self.process.worker

    @property
    def lane(self) -> Lane:
        """Its first lane."""
        lane: Lane = self.process.worker.lanes[0]
        return lane

    # -- time

    def run(self, for_ms: float = 100.0) -> Bench:
        """Let time pass."""
        until = self.world.clock.now_ms + for_ms
        self.world.clock.after(for_ms, lambda: None)
        while self.world.clock.now_ms < until:
            self.world.clock.step()
        return self

    def open(self) -> Bench:
        """Until its lanes are open."""
        return self.until(lambda: all(lane.phase == "OPEN" for lane in self.worker.lanes.values()))

    def until(self, true: Callable[[], Any], within_ms: float = 5_000.0) -> Bench:
        """Let time pass until something is true."""
        deadline = self.world.clock.now_ms + within_ms
        while not true():
            assert self.world.clock.now_ms < deadline, f"not within {within_ms} ms"
            self.world.clock.step()
        return self

    # -- actions and answers

    def hold(self, *kinds: type) -> Bench:
        """Do not carry these actions out; `held` gives them."""
        self.process.holding = kinds
        return self

    def held(self, kind: type[A]) -> A:
        """Wait for an action that is held back, and take it."""
        self.until(lambda: any(isinstance(action, kind) for action in self.process.held))
        found = next(action for action in self.process.held if isinstance(action, kind))
        self.process.held.remove(found)
        return found

    def has_held(self, kind: type) -> bool:
        """Was one held back?"""
        return any(isinstance(action, kind) for action in self.process.held)

    def seen(self, kind: type[A]) -> list[A]:
        """All actions of a kind so far."""
        return [action for action in self.process.seen if isinstance(action, kind)]

    def let(self, action: Any) -> Bench:
        """Carry a held action out after all."""
        self.process.shell.do(action)
        return self

    def answer(self, answer: Answer) -> Bench:
        """Answer by hand."""
        self.process.take(answer)
        return self

    def alarms(self) -> list[str]:
        """Codes of all alarms."""
        return [action.code for action in self.seen(Alarm)]

    # -- the world around

    def order(
        self, n: int = 0, amount: int = 50, effect_class: str = "READ_ONLY", lane: int = 0, **given: Any
    ) -> bytes:
        """Submit an intent of this lane; gives its key."""
        key = key_of(n, lane, self.world.lanes)
        order = Order(key, amount, effect_class, given.pop("expires_at", EXPIRES), "content")
        self.world.submit(Wish(key, "", "intents", msgspec.msgpack.encode(order), b""), **given)
        return key

    def row(self, name: str, lane: int = 0) -> Any:
        """A lane row."""
        return self.world.database.schemas[name].rows[lane]

    def state(self, name: str, key: bytes) -> Any:
        """A state as it is stored."""
        return self.world.database.schemas[name].states.get(key)

    def log(self, topic: str, lane: int = 0) -> list[Record]:
        """The records of a partition."""
        return self.world.log.partition(topic, lane).records

    def facts(self, name: str, lane: int = 0) -> list[Fact]:
        """What a service has decided: its outbox."""
        records = self.world.database.schemas[name].outbox.get(lane, [])
        return [self.world.cast.decode(f"ledger.{name}", record.value) for record in records]

    def names(self, name: str, lane: int = 0) -> list[str]:
        """Types of the events that a service has decided."""
        return [type(fact.body).__name__ for fact in self.facts(name, lane)]


def key_of(n: int, lane: int = 0, lanes: int = 1) -> bytes:
    """The n-th key at home in a lane."""
    digest = hashlib.sha256(f"{n}".encode()).digest()
    return (int.from_bytes(digest[:7]) // lanes * lanes + lane).to_bytes(8) + digest[8:16]


def raw(order: Order) -> bytes:
    """The record value of an order."""
    return msgspec.msgpack.encode(order)

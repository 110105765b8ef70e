"""Who plays: the services of a simulation, their records, and what the world around them needs to know of them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from libs.contracts import events as e
from libs.ledger.service import Fact, Record, Service
from libs.testkit.simulation import wire
from libs.testkit.simulation.clock import START_AT
from libs.testkit.simulation.deciders import BUDGET, HARD_MICROS, INTAKE, OUTCOME, Order, Poison
from libs.testkit.simulation.executing import EXECUTION

CLASSES = ("READ_ONLY", "OPAQUE")


@dataclass(frozen=True)
class Wish:
    """One intent: its key and name, what is put on which topic for it, and the same key with other content."""

    key: bytes
    name: str
    topic: str
    value: bytes
    other: bytes


class Cast(Protocol):
    """The services of a simulation."""

    @property
    def services(self) -> tuple[Service, ...]:
        """In the order of the routing table."""
        ...

    @property
    def operator(self) -> e.Principal:
        """Somebody who may do everything."""
        ...

    @property
    def poison(self) -> Poison:
        """What the deciders stumble over."""
        ...

    def encode(self, envelope: e.Envelope, body: Any) -> bytes:
        """The record value of an event."""
        ...

    def decode(self, topic: str, value: bytes) -> Fact:
        """The event in a record."""
        ...

    def message(self, body: Any) -> bytes:
        """The record value of a command."""
        ...

    def read_unpark(self, record: Record) -> e.Unpark | None:
        """The Unpark in a record, if it is one."""
        ...

    def dead_letter(self, service: str, code: str, reason: str, record: Record) -> bytes:
        """A record of `dead.<service>`."""
        ...

    @property
    def owned(self) -> Mapping[str, Any]:
        """What the deciders look at besides states and switches."""
        ...

    def view(self, seq: int, stopped: frozenset[str]) -> Any:
        """The control view under which these effect classes are stopped."""
        ...

    def stops(self, view: Any, effect: Any) -> str:
        """The switch that stops an effect, or ''."""
        ...

    def hard_micros(self, scope: str) -> int:
        """What may be pending and posted in a scope."""
        ...

    def wish(self, name: str, chance: random.Random) -> Wish:
        """A new intent."""
        ...


@dataclass(frozen=True)
class View:
    """The control view of the small services: which effect classes a kill switch stops."""

    seq: int = 1
    stopped: frozenset[str] = frozenset()


class SmallCast:
    """The four small services: cheap, so that thousands of schedules can be played."""

    services: tuple[Service, ...] = (INTAKE, BUDGET, EXECUTION, OUTCOME)
    operator = e.Principal("acme", "operator", e.ActorKind.HUMAN, (), ("operator",))
    message = staticmethod(wire.message)
    read_unpark = staticmethod(wire.read_unpark)
    dead_letter = staticmethod(wire.dead_letter)

    def __init__(self) -> None:
        codec = wire.Codec()
        self.encode, self.decode = codec.encode, codec.decode
        self.poison = Poison({}, {})

    @property
    def owned(self) -> Mapping[str, Any]:
        return {"poison": self.poison}

    def view(self, seq: int, stopped: frozenset[str]) -> View:
        return View(seq, stopped)

    def stops(self, view: View, effect: Any) -> str:
        return "switch" if effect.effect_class in view.stopped else ""

    def hard_micros(self, scope: str) -> int:
        return HARD_MICROS

    def wish(self, name: str, chance: random.Random) -> Wish:
        key = hashlib.md5(name.encode()).digest()
        expires = START_AT + int((2e6 if chance.random() < 0.1 else 60e6) * chance.uniform(0.2, 1.0))
        order = Order(key, chance.choice((50, 100, 400)), chance.choice(CLASSES), expires, "content")
        other = Order(key, order.amount, order.effect_class, expires, "other")
        return Wish(key, name, "intents", msgspec.msgpack.encode(order), msgspec.msgpack.encode(other))


def poisoned(service: Service, poison: Poison) -> Callable[[Any, Any, Any], Sequence[Any]]:
    """A decider that stumbles over its poison."""

    def decide(item: Any, state: Any, world: Any) -> Sequence[Any]:
        if isinstance(item, Fact):
            poison.check(service.name, item.envelope.intent_id)
        return service.decide(item, state, world)

    return decide

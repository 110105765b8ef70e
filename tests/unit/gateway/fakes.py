"""A log that keeps what it was given, for tests of handlers."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.contracts.events import ActorKind, Principal
from libs.runtime.rpc import Refusal

AGENT = Principal(tenant="acme", subject="agent-1", kind=ActorKind.MACHINE, accounts=("a1", "a2"), roles=())
OPERATOR = Principal(tenant="acme", subject="otto", kind=ActorKind.HUMAN, accounts=(), roles=("operator",))
PLATFORM = Principal(tenant="acme", subject="olga", kind=ActorKind.HUMAN, accounts=(), roles=("platform",))


@dataclass
class Sent:
    """One record."""

    topic: str
    partition: int
    key: bytes
    value: bytes


@dataclass
class FakeLog:
    """`Outbound` in memory; `refusal` is raised by the next send."""

    sent: list[Sent] = field(default_factory=list)
    refusal: Refusal | None = None

    async def send(self, topic: str, partition: int, key: bytes, value: bytes) -> int:
        if self.refusal is not None:
            raise self.refusal
        self.sent.append(Sent(topic, partition, key, value))
        return len(self.sent) - 1

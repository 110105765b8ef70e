"""What must be true when a schedule has come to its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from libs.ledger.service import Fact, Service
from libs.testkit.simulation.clock import Violated
from libs.testkit.simulation.world import World

NOT_SENT = {"ExecutionCancelled", "ExecutionExpired", "ExecutionRefused"}


def check_end(world: World) -> None:
    """Tables equal a replay, no false certainty, no money held, no gaps. Raises Violated."""
    for service in world.cast.services:
        _check_replay(world, service)
    for key in world.submitted:
        _check_certainty(world, key)
    pending = sum(row.pending_micros for row in world.database.schemas["budget"].scopes.values())
    if pending:
        raise Violated(f"{pending} micros are still pending though everything has ended")
    for (topic, number), partition in world.log.partitions.items():
        seqs = {head.seq for head in partition.heads}
        if topic.startswith("ledger.") and seqs != set(range(1, partition.last_seq + 1)):
            raise Violated(f"{topic}/{number} has gaps")


def _facts(world: World, topic: str) -> Iterable[Fact]:
    for records in world.database.schemas[topic.removeprefix("ledger.")].outbox.values():
        for record in records:
            yield world.cast.decode(topic, record.value)


def _check_replay(world: World, service: Service) -> None:
    """Tables equal a replay of the ledger, topic by topic: in another order than they were folded live."""
    states: dict[bytes, Any] = {}
    for topic in (*service.reads, service.writes or ""):
        for fact in _facts(world, topic):
            key = fact.envelope.intent_id
            states[key] = service.evolve(states.get(key, service.initial), fact)
    kept = world.database.schemas[service.name].states
    for key in states.keys() | kept.keys():
        if states.get(key, service.initial) != kept.get(key, service.initial):
            raise Violated(f"{service.name}: {key.hex()[:6]} is {kept.get(key)}, a replay says {states.get(key)}")


def _check_certainty(world: World, key: bytes) -> None:
    """No false certainty (guarantees.md invariant 5)."""
    happened, calls = world.history.happened.get(key, set()), world.tool.calls.get(key, [])
    place = key.hex()[:6]
    if happened & NOT_SENT and calls and world.history.classes.get(key) == "OPAQUE":
        raise Violated(f"{place} ended as not sent, but its tool was called")
    if "ExecutionSucceeded" in happened and not calls:
        raise Violated(f"{place} succeeded, but its tool was never called")

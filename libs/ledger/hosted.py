"""The services of one process as one table, with the look-ups that the lane needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.contracts.events import Envelope
from libs.ledger.service import Record, Service


@dataclass(frozen=True)
class Hosted:
    """The services of this process in the order of the routing table, and how their records are written."""

    services: tuple[Service, ...]
    encode: Callable[[Envelope, Any], bytes]
    dead_letter: Callable[[str, str, str, Record], bytes]
    producer: str
    readers: Mapping[str, tuple[Service, ...]] = field(default_factory=dict)
    by_name: Mapping[str, Service] = field(default_factory=dict)
    downstream: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    chained: frozenset[str] = frozenset()  # topics with seq and prev_hash that are read here
    effects: Service | None = None  # the one that asks for effects

    @staticmethod
    def of(
        services: Sequence[Service],
        encode: Callable[[Envelope, Any], bytes],
        dead_letter: Callable[[str, str, str, Record], bytes],
        producer: str,
    ) -> Hosted:
        """Build the look-up tables: who reads a topic, who may be reached from a service."""
        readers: dict[str, tuple[Service, ...]] = {}
        for service in services:
            for topic in service.reads + service.commands:
                readers[topic] = (*readers.get(topic, ()), service)
        downstream = {s.name: _reach(s, readers) for s in services}
        by_name = {s.name: s for s in services}
        written = frozenset(s.writes for s in services if s.writes)
        chained = frozenset(topic for s in services for topic in s.reads)
        effects = next((s for s in services if s.react is not None), None)
        return Hosted(
            tuple(services), encode, dead_letter, producer, readers, by_name, downstream, written, chained, effects
        )


def _reach(service: Service, readers: Mapping[str, tuple[Service, ...]]) -> tuple[str, ...]:
    found, todo = {service.name}, [service]
    while todo:
        for reader in readers.get(todo.pop().writes or "", ()):
            if reader.name not in found:
                found.add(reader.name)
                todo.append(reader)
    return tuple(sorted(found))

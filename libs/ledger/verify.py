"""Reads a ledger back and proves it: the chain of every partition, and tables against a replay.

A change, drop, swap, insertion or differing repeat is found and located; an identical repeat is legal (flow.md
decision 5). Readers outside accept an effect before its cause, so partitions are read one after the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import TopicPartition

from libs.ledger.chain import Cursor, Seen, event_hash, look
from libs.ledger.codec import CATALOGUE, CodecError, frame
from libs.ledger.service import Fact, Service
from libs.runtime import kafka
from libs.runtime.clock import boottime_ms
from libs.runtime.settings import KafkaSettings, StartRefused

LEDGER_TOPICS = tuple(
    f"ledger.{name}" for name in ("intake", "validation", "approval", "budget", "execution", "outcome", "control")
)
FETCH_BYTES = 4 << 20


@dataclass
class PartitionReport:
    """What one partition holds. `broken` "" = the chain is intact; otherwise what is wrong, and at which offset."""

    topic: str
    partition: int
    events: int = 0
    repeats: int = 0
    early: int = 0  # events that stand before their predecessors: a lost tail was published again behind them
    last_seq: int = 0
    last_hash: bytes = bytes(32)
    broken: str = ""


@dataclass
class LedgerReport:
    """The whole ledger."""

    partitions: list[PartitionReport] = field(default_factory=list)

    @property
    def events(self) -> int:
        """Events applied, repeats not counted."""
        return sum(p.events for p in self.partitions)

    @property
    def broken(self) -> list[str]:
        """Everything that is wrong, located."""
        return [f"{p.topic}/{p.partition}: {p.broken}" for p in self.partitions if p.broken]


class ChainReader:
    """Applies one partition's records by the reader's rule and gives the facts that are new: what comes too early is
    passed over until its predecessors are there, for then it comes again (lane_rules 8, 11)."""

    def __init__(self, topic: str, partition: int) -> None:
        self.report = PartitionReport(topic, partition)
        self._cursor = Cursor()
        self._hashes: list[bytes] = []  # of every seq, to compare repeats with the first copy
        self._early: dict[int, tuple[int, bytes]] = {}  # offset and hash by seq, while their predecessors are missing

    @property
    def missing(self) -> str:
        """'' when no event is missing so far, else which. At the end of a partition that means loss."""
        if not self._early:
            return ""
        seq = min(self._early)
        return f"offset {self._early[seq][0]}: seq {seq} follows {self._cursor.last_seq}: events are missing"

    def take(self, offset: int, value: bytes) -> bytes | None:
        """The hash of an event that is new; None for a repeat, or when the chain is broken (see `report`)."""
        report = self.report
        if report.broken:
            return None
        try:
            _, seq, prev_hash = frame(value)
        except CodecError as error:
            report.broken = f"offset {offset}: {error.code}: {error}"
            return None
        digest = event_hash(value)
        match look(self._cursor, seq, prev_hash):
            case Seen.APPLY:
                if self._early.pop(seq, (0, digest))[1] != digest:
                    report.broken = f"offset {offset}: other bytes under seq {seq} than before: tampering or a fork"
                    return None
                self._cursor = Cursor(seq, digest)
                self._hashes.append(digest)
                report.events, report.last_seq, report.last_hash = report.events + 1, seq, digest
                return digest
            case Seen.DROP:
                report.repeats += 1
                if self._hashes[seq - 1] != digest:
                    report.broken = f"offset {offset}: other bytes under seq {seq} than before: tampering or a fork"
            case Seen.GAP:
                report.early += 1
                if self._early.setdefault(seq, (offset, digest))[1] != digest:
                    report.broken = f"offset {offset}: other bytes under seq {seq} than before: tampering or a fork"
            case Seen.HALT:
                report.broken = f"offset {offset}: seq {seq} does not continue the chain: its predecessor was changed"
        return None


async def read_partition(
    settings: KafkaSettings, topic: str, partition: int, client: Any | None = None
) -> AsyncIterator[tuple[int, bytes]]:
    """Every record of a partition from its start to the end that it has now: (offset, value). Raises StartRefused when
    the log says nothing more."""
    own = client is None
    reader = client or await _client(settings)
    try:
        place = TopicPartition(topic, partition)
        reader.assign([place])
        start = (await reader.beginning_offsets([place]))[place]
        end = (await reader.end_offsets([place]))[place]
        reader.seek(place, start)
        at, moved_ms = start, boottime_ms()
        while at < end:
            batch = (await reader.getmany(place, timeout_ms=500, max_records=5_000)).get(place, ())
            for record in batch:
                if record.offset < end:
                    yield record.offset, record.value or b""
            before, at = at, await reader.position(place)  # moves over marks of transactions too, which are no records
            if at > before:
                moved_ms = boottime_ms()
            elif boottime_ms() - moved_ms > settings.kafka_timeout_ms:
                raise StartRefused(f"Kafka does not go on at offset {at} of {topic}/{partition}, which ends at {end}.")
    finally:
        if own:
            await kafka.stop(reader)


async def verify_ledger(
    settings: KafkaSettings, lanes: int, each: Callable[[Fact], None] | None = None,
    topics: Sequence[str] = LEDGER_TOPICS, done: Callable[[PartitionReport], None] | None = None,
) -> LedgerReport:  # fmt: skip
    """Check the chain of every partition; give every new event, decoded, to `each`, and each partition to `done`."""
    report = LedgerReport()
    client = await _client(settings)
    try:
        for topic in topics:
            for partition in range(1 if topic == "ledger.control" else lanes):
                reader = ChainReader(topic, partition)
                async for offset, value in read_partition(settings, topic, partition, client):
                    digest = reader.take(offset, value)
                    if digest is not None and each is not None:
                        _decode(reader, topic, offset, value, each)
                reader.report.broken = reader.report.broken or reader.missing
                report.partitions.append(reader.report)
                if done is not None:
                    done(reader.report)
    finally:
        await kafka.stop(client)
    return report


def _decode(reader: ChainReader, topic: str, offset: int, value: bytes, each: Callable[[Fact], None]) -> None:
    try:
        fact = CATALOGUE.decode_event(value, topic)
    except CodecError as error:
        reader.report.broken = f"offset {offset}: {error.code}: {error}"
        return
    each(fact)


class Replay:
    """Folds facts into the states that a service must have: the same `evolve` as live (invariant 11)."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.topics = frozenset((*service.reads, *((service.writes,) if service.writes else ())))
        self.states: dict[bytes, Any] = {}

    def take(self, fact: Fact) -> None:
        """Fold one fact, if the service reads or writes its topic."""
        if fact.topic in self.topics:
            key = fact.envelope.intent_id
            self.states[key] = self.service.evolve(self.states.get(key, self.service.initial), fact)

    def differences(self, rows: Mapping[bytes, bytes]) -> list[str]:
        """Keys whose table row is not what the replay gives. `rows`: the table's states, msgpack."""
        encode = msgspec.msgpack.Encoder().encode
        initial = self.service.initial
        wanted = {key: encode(state) for key, state in self.states.items() if state != initial}
        found = dict(rows)
        return [
            f"{self.service.name} {key.hex()}: "
            + ("no row" if key not in found else "a row without events" if key not in wanted else "row differs")
            for key in sorted(wanted.keys() | found.keys())
            if wanted.get(key) != found.get(key)
        ]


async def _client(settings: KafkaSettings) -> Any:
    client = kafka.consumer(
        settings, "deedbook-verify", max_partition_fetch_bytes=FETCH_BYTES, fetch_max_bytes=FETCH_BYTES * 4
    )
    await kafka.start(client, settings)
    return client

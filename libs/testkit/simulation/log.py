"""A log that misbehaves: partitions with offsets, appends that land late or never, a tail that is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from libs.ledger.chain import ZERO
from libs.ledger.protocol import TailRecord
from libs.ledger.service import Record
from libs.testkit.simulation.clock import Clock, Violated


@dataclass
class Partition:
    """One partition of a topic. `heads`: seq, prev_hash, hash of the records of a chained topic."""

    topic: str
    number: int
    records: list[Record] = field(default_factory=list)
    heads: list[TailRecord] = field(default_factory=list)
    first: dict[int, bytes] = field(default_factory=dict)  # seq -> hash, of everything that ever was on it
    last_seq: int = 0  # up to here the chain has no gap; after the loss of a tail there may be records beyond
    generation: int = 0  # grows when the tail is lost: producers that wrote before are refused, appends under way too


class Log:
    """All partitions. `head`: gives seq, prev_hash and hash of a chained record."""

    def __init__(self, clock: Clock, head: Callable[[str, bytes], TailRecord]) -> None:
        self._clock, self._head = clock, head
        self.partitions: dict[tuple[str, int], Partition] = {}
        self.watch: Callable[[Partition, TailRecord, bytes], None] = lambda partition, head, value: None
        self.tell: Callable[[str, int], None] = lambda topic, number: None  # readers hear of what is new

    def partition(self, topic: str, number: int) -> Partition:
        """A partition, made when it is first asked for."""
        place = (topic, number)
        found = self.partitions.get(place)
        if found is None:
            found = self.partitions[place] = Partition(topic, number)
        return found

    def append(self, topic: str, number: int, batch: Sequence[tuple[bytes, bytes]]) -> int:
        """Keys and values go to the end of a partition; gives the first offset."""
        partition = self.partition(topic, number)
        start = len(partition.records)
        for key, value in batch:
            offset = len(partition.records)
            if topic.startswith("ledger."):
                self._chain(partition, offset, value)
            partition.records.append(Record(topic, number, offset, self._clock.now_at, key, value))
        self.tell(topic, number)
        return start

    def _chain(self, partition: Partition, offset: int, value: bytes) -> None:
        head = self._head(partition.topic, value)
        place = f"{partition.topic}/{partition.number} offset {offset} seq {head.seq}"
        if head.seq > partition.last_seq + 1 and not partition.generation:
            raise Violated(f"gap: {place} after {partition.last_seq}")
        if partition.first.setdefault(head.seq, head.hash) != head.hash:
            raise Violated(f"fork: other bytes at {place}")
        if head.prev_hash != partition.first.get(head.seq - 1, ZERO):
            raise Violated(f"chain: prev_hash does not fit at {place}")
        if head.seq == partition.last_seq + 1:
            partition.last_seq = head.seq
        partition.heads.append(TailRecord(offset, head.seq, head.prev_hash, head.hash))
        self.watch(partition, head, value)

    def lose_tail(self, topic: str, number: int, count: int) -> None:
        """The last records are gone, though they were acknowledged."""
        partition = self.partition(topic, number)
        del partition.records[len(partition.records) - count :]
        del partition.heads[len(partition.heads) - count :]
        partition.last_seq = 0
        for head in partition.heads:
            if head.seq == partition.last_seq + 1:
                partition.last_seq = head.seq
        partition.generation += 1

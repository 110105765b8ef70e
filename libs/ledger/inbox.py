"""What waits to be decided in a lane: fetched records, per topic in offset order, and inputs that are no records."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from libs.contracts.events import Unpark
from libs.ledger.service import Command, Due, Fact, Input, Record, Service, key_of


class RecordItem(msgspec.Struct, frozen=True):
    """A fetched record, decoded and prepared once."""

    record: Record
    fact: Fact | None = None
    commands: tuple[tuple[Service, Command | None], ...] = ()
    unpark: tuple[Unpark, Command] | None = None
    errors: tuple[tuple[Service, str], ...] = ()  # services whose `prepare` raised

    @property
    def is_patient(self) -> bool:
        """May it wait a moment?"""
        if self.fact is not None or self.unpark is not None or self.errors:
            return False
        return all(command is None or command.patient for _, command in self.commands)


class DirectItem(msgspec.Struct, frozen=True):
    """An input that is not a record: a timer, a result, a recovery, a stop at the gate."""

    service: Service
    item: Input

    @property
    def mark(self) -> tuple[str, bytes, str]:
        """The same for inputs that would say the same."""
        item = self.item
        kind = item.kind if isinstance(item, Due) else getattr(item, "attempt", "")
        return self.service.name, key_of(item), f"{type(item).__name__}/{kind}"


@dataclass
class Taken:
    """What a round has taken from a lane; it stays queued until the commit is known (rule 6). `raw`: records that are
    prepared only after their mark is written."""

    direct: list[DirectItem] = field(default_factory=list)
    records: list[RecordItem] = field(default_factory=list)
    raw: list[Record] = field(default_factory=list)


class Inbox:
    """Records that wait. Each topic has a queue of its own, so that one that must wait holds up no other."""

    def __init__(self) -> None:
        self._topics: dict[str, deque[Record]] = {}
        self._bytes: dict[str, int] = {}
        self._prepared: dict[tuple[str, int], RecordItem] = {}
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def extend(self, topic: str, records: Iterable[Record]) -> None:
        """Add what was fetched."""
        queue = self._topics.setdefault(topic, deque())
        for record in records:
            queue.append(record)
            self._waiting += 1
            self._bytes[topic] = self._bytes.get(topic, 0) + len(record.value)

    def waiting(self, topic: str) -> int:
        """How many records of a topic wait."""
        return len(self._topics.get(topic, ()))

    def size(self, topic: str) -> int:
        """How many bytes their values have."""
        return self._bytes.get(topic, 0)

    def shares(self, limit: int, only: frozenset[str] | None) -> Iterator[tuple[str, Sequence[Record]]]:
        """Up to `limit` records, in even shares of the topics that have any; `only` these topics if given."""
        names = [n for n, queue in self._topics.items() if queue and (only is None or n in only)]
        names.sort(key=lambda n: len(self._topics[n]))
        for left, name in zip(range(len(names), 0, -1), names, strict=True):
            queue = self._topics[name]
            count = min(len(queue), max(1, limit // left)) if limit > 0 else 0
            limit -= count
            yield name, list(islice(queue, count))

    def prepared(self, record: Record) -> RecordItem | None:
        """The record as it was prepared before, if it was."""
        return self._prepared.get((record.topic, record.offset))

    def keep(self, item: RecordItem) -> None:
        """Remember a prepared record until it is dropped."""
        self._prepared[(item.record.topic, item.record.offset)] = item

    def drop(self, items: Iterable[RecordItem]) -> None:
        """These were decided: they are the first of their topics."""
        for item in items:
            record = self._topics[item.record.topic].popleft()
            self._waiting -= 1
            assert record.offset == item.record.offset, "taken records are the first of their topic"
            self._bytes[record.topic] -= len(record.value)
            self._prepared.pop((record.topic, record.offset), None)


class DirectQueue:
    """Inputs that are no records, each at most once, in order. One that comes again while a round decides on it is
    kept for after the round: it may have come because of something that the round does not know."""

    def __init__(self) -> None:
        self._items: deque[DirectItem] = deque()
        self._marks: set[tuple[str, bytes, str]] = set()
        self._taken = 0
        self._again: dict[tuple[str, bytes, str], DirectItem] = {}

    def __len__(self) -> int:
        return len(self._items)

    def push(self, service: Service, item: Input) -> None:
        """Add an input unless it waits already."""
        entry = DirectItem(service, item)
        if entry.mark not in self._marks:
            self._marks.add(entry.mark)
            self._items.append(entry)
        elif self._taken:
            self._again[entry.mark] = entry

    def first(self, limit: int) -> list[DirectItem]:
        """The first ones."""
        return list(islice(self._items, limit))

    def take(self, entries: Sequence[DirectItem]) -> None:
        """These are decided now; they stay until `settle`."""
        if entries and self._items[0] is not entries[0]:
            self._items.remove(entries[0])  # one alone, out of turn
            self._items.appendleft(entries[0])
        self._taken, self._again = len(entries), {}

    def settle(self) -> None:
        """What was taken is decided: let it go, and queue anew what came again meanwhile."""
        for _ in range(self._taken):
            entry = self._items.popleft()
            again = self._again.pop(entry.mark, None)
            if again is None:
                self._marks.discard(entry.mark)
            else:
                self._items.append(again)
        self._taken, self._again = 0, {}

    def untake(self) -> None:
        """The round came to nothing: what was taken is decided later."""
        self._taken, self._again = 0, {}

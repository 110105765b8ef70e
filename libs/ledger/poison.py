"""Poison (flow.md decision 17): an input that kills the process costs at most three deaths, and then only its own key.

    death 1  nobody saw it coming. The next owner finds a lane that was not given back: it marks each batch first.
    death 2  the mark names the inputs of the batch: until these have passed, all inputs are decided one at a time.
    death 3  the mark names one input: the next owner puts it aside without deciding it.

A marked lane is alone in its round, so a death cannot be blamed on an innocent input of another lane. A commit
or a release takes the mark away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from libs.ledger.inbox import DirectItem, Taken
from libs.ledger.service import Record

if TYPE_CHECKING:
    from libs.ledger.protocol import LaneRow


LEDGER = "ledger."  # topics that only we write: a record's key is that of its event


class Mark(msgspec.Struct, frozen=True):
    """What is about to be decided: the last offset per topic, and inputs that are no records, as `service/key/kind`.
    `poison`: what is known to kill and was not put aside yet, as `topic@offset`, `service/key` or `*/key`: whatever
    comes for such a key is put aside, since a result that killed comes back as a recovery, and an event of one topic
    is followed by those of others. `about`: the key of a single event; of a record that anybody may have written the
    key is not believed."""

    single: bool = False
    records: dict[str, int] = {}
    keys: list[str] = []
    poison: list[str] = []
    about: str = ""


@dataclass
class Care:
    """How careful a lane is: `left` inputs are still decided in marked batches; while there are `suspects`, one at a
    time; those in `poison` not at all."""

    left: int = 0
    suspects: Mark = field(default_factory=Mark)
    poison: list[str] = field(default_factory=list)
    marked: bool = False  # a mark of ours stands in the row: nothing else is decided before it is gone

    @property
    def suspicious(self) -> bool:
        """Is somebody of the last batch still unproven?"""
        return bool(self.suspects.records or self.suspects.keys)


def care_at_claim(rows: Sequence[LaneRow], token: bytes, inputs_max: int) -> Care:
    """What the last owner's end says. Its own re-claims are no deaths, and neither is a release. `inputs_max`: as many
    inputs may come before the one that it died of."""
    died = any(row.previous_token not in (b"", token) for row in rows)
    text = next((row.suspect for row in rows if row.suspect), "")
    if not text:
        return Care(inputs_max if died else 0)
    mark = msgspec.json.decode(text, type=Mark)
    if mark.single and died:
        known = [f"{topic}@{offset}" for topic, offset in mark.records.items()]
        known += [place.rpartition("/")[0] for place in mark.keys] + ([f"*/{mark.about}"] if mark.about else [])
        return Care(inputs_max, poison=[*mark.poison, *known])
    return Care(inputs_max, mark if mark.single or died else Mark(), list(mark.poison))


def pick(care: Care, offered: Taken) -> tuple[Taken, Mark | None]:
    """Of what could be taken: what is decided now, and the mark to be written before (None: it is put aside)."""
    for entry in offered.direct:
        if _kills(care, _key(entry)):
            return Taken(direct=[entry]), None
    heads = {record.topic: record for record in reversed(offered.raw)}
    for record in heads.values():
        if _kills(care, _place(record), _about(record)):
            return Taken(raw=[record]), None
    if care.suspicious:
        return _one(care, offered, heads)
    raw, stopped = [], set()
    for record in offered.raw:
        if _kills(care, _place(record), _about(record)):
            stopped.add(record.topic)
        if record.topic not in stopped:
            raw.append(record)
    last = {record.topic: record.offset for record in raw}
    return Taken(offered.direct, raw=raw), Mark(False, last, [_input(entry) for entry in offered.direct], care.poison)


def _one(care: Care, offered: Taken, heads: Mapping[str, Record]) -> tuple[Taken, Mark | None]:
    """One input alone, those of the batch that a process died of first."""
    direct = sorted(offered.direct, key=lambda entry: _input(entry) not in care.suspects.keys)
    records = sorted(heads.values(), key=lambda record: record.offset > care.suspects.records.get(record.topic, -1))
    if direct and (_input(direct[0]) in care.suspects.keys or not records):
        return Taken(direct=direct[:1]), Mark(True, {}, [_input(direct[0])], care.poison)
    if not records:
        return Taken(), None
    first = records[0]
    return Taken(raw=[first]), Mark(True, {first.topic: first.offset}, [], care.poison, _about(first))


def is_poison(care: Care, taken: Taken) -> bool:
    """Is this an input that killed its process?"""
    return any(_kills(care, _key(entry)) for entry in taken.direct) or any(
        _kills(care, _place(record), _about(record)) for record in taken.raw
    )


def passed(care: Care, taken: Taken) -> None:
    """A marked batch is committed, and the mark gone: its inputs are innocent, or put aside."""
    care.marked = False
    care.left = max(0, care.left - len(taken.direct) - len(taken.records))
    gone = {_key(entry) for entry in taken.direct}
    seen = {_place(item.record) for item in taken.records}
    last = {item.record.topic: item.record.offset for item in taken.records}
    care.poison = [place for place in care.poison if place not in gone and place not in seen]
    if care.left == 0:
        care.suspects, care.poison = Mark(), []  # they have not come again
        return
    records = {t: upto for t, upto in care.suspects.records.items() if last.get(t, -1) < upto}
    decided = {_input(entry) for entry in taken.direct}
    care.suspects = Mark(False, records, [place for place in care.suspects.keys if place not in decided])


def taken_up(care: Care, keys: Collection[bytes]) -> None:
    """People have taken these keys up again: they are tried once more."""
    names = {key.hex() for key in keys}
    care.poison = [place for place in care.poison if "@" in place or place.rpartition("/")[2] not in names]


def mark_text(mark: Mark) -> str:
    """As the lane row keeps it."""
    return msgspec.json.encode(mark).decode()


def _key(entry: DirectItem) -> str:
    service, key, _ = entry.mark
    return f"{service}/{key.hex()}"


def _input(entry: DirectItem) -> str:
    return f"{_key(entry)}/{type(entry.item).__name__}"


def _place(record: Record) -> str:
    return f"{record.topic}@{record.offset}"


def _about(record: Record) -> str:
    return record.key.hex() if record.key is not None and record.topic.startswith(LEDGER) else ""


def _kills(care: Care, place: str, key: str = "") -> bool:
    """Is it known to kill: this input, or whatever is about this key?"""
    if not care.poison:
        return False
    key = key or (place.rpartition("/")[2] if "@" not in place else "")
    return place in care.poison or (bool(key) and f"*/{key}" in care.poison)

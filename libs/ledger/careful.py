"""Poison (flow.md decision 17): an input that kills the process costs at most three deaths, and then only its own key.

    death 1  nobody saw it coming. The next owner finds a lane that was not given back: it marks each batch first.
    death 2  the mark names the inputs of the batch: the next owner decides these one at a time, each marked.
    death 3  the mark names one input: the next owner puts it aside without deciding it.

A marked lane is alone in its round, so a death cannot be blamed on an innocent input of another lane. A commit
or a release takes the mark away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from libs.ledger.inbox import DirectItem, Taken
from libs.ledger.service import Record

if TYPE_CHECKING:
    from libs.ledger.protocol import LaneRow


class Mark(msgspec.Struct, frozen=True):
    """What is about to be decided: the last offset per topic, and inputs that are no records, as `service/key`."""

    single: bool = False
    records: dict[str, int] = {}
    keys: list[str] = []

    def names(self, record: Record) -> bool:
        """Is this record meant (or, in a batch, may it be)?"""
        last = self.records.get(record.topic)
        return last is not None and (record.offset == last if self.single else record.offset <= last)

    def names_key(self, entry: DirectItem) -> bool:
        """Is this input meant?"""
        return _place(entry) in self.keys


@dataclass
class Care:
    """How careful a lane is: `left` inputs are still decided in marked batches; those in `suspects` one at a time;
    the one in `poison` not at all."""

    left: int = 0
    suspects: Mark = field(default_factory=Mark)
    poison: Mark = field(default_factory=Mark)
    marked: bool = False  # a mark of ours stands in the row: nothing else is decided before it is gone


def care_at_claim(rows: Sequence[LaneRow], token: bytes, inputs_max: int) -> Care:
    """What the last owner's end says. Its own re-claims are no deaths, and neither is a release. `inputs_max`: as many
    inputs may come before the one that it died of."""
    died = any(row.previous_token not in (b"", token) for row in rows)
    text = next((row.suspect for row in rows if row.suspect), "")
    if not text:
        return Care(inputs_max if died else 0)
    mark = msgspec.json.decode(text, type=Mark)
    if mark.single and died:
        return Care(inputs_max, poison=mark)
    return Care(inputs_max, suspects=mark if mark.single or died else Mark())


def pick(care: Care, offered: Taken) -> tuple[Taken, Mark | None]:
    """Of what could be taken: what is decided now, and the mark to be written before (None: it is put aside)."""
    heads = {record.topic: record for record in reversed(offered.raw)}
    for entry in offered.direct:
        if care.poison.names_key(entry):
            return Taken(direct=[entry]), None
    for record in heads.values():
        if care.poison.names(record):
            return Taken(raw=[record]), None
    for entry in offered.direct:
        if care.suspects.names_key(entry):
            return Taken(direct=[entry]), Mark(True, keys=[_place(entry)])
    for record in heads.values():
        if care.suspects.names(record):
            return Taken(raw=[record]), Mark(True, {record.topic: record.offset})
    raw = [r for r in offered.raw if r.offset < care.poison.records.get(r.topic, r.offset + 1)]
    last = {record.topic: record.offset for record in raw}
    return Taken(offered.direct, raw=raw), Mark(False, last, [_place(entry) for entry in offered.direct])


def is_poison(care: Care, taken: Taken) -> bool:
    """Is this the input that killed its process?"""
    return any(map(care.poison.names_key, taken.direct)) or any(map(care.poison.names, taken.raw))


def passed(care: Care, taken: Taken) -> None:
    """A marked batch is committed, and the mark gone: its inputs are innocent, or put aside."""
    care.marked = False
    if is_poison(care, taken):
        care.poison = Mark()
    care.left = max(0, care.left - len(taken.direct) - len(taken.records))
    gone = {_place(entry) for entry in taken.direct}
    last = {item.record.topic: item.record.offset for item in taken.records}
    care.suspects = Mark(
        False,
        {t: upto for t, upto in care.suspects.records.items() if last.get(t, -1) < upto},
        [key for key in care.suspects.keys if key not in gone],
    )


def mark_text(mark: Mark) -> str:
    """As the lane row keeps it."""
    return msgspec.json.encode(mark).decode()


def _place(entry: DirectItem) -> str:
    service, key, _ = entry.mark
    return f"{service}/{key.hex()}"

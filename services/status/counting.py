"""Which facts count for an intent's owner, and how far all of them were read.

Anybody may say something about an id, and it is recorded under that id. So facts that name another tenant change
nothing that the owner is shown: no entry, no version, no position. As long as it is not known whose an intent is, what
counts is kept apart by the tenant that each fact names.
"""

from __future__ import annotations

from typing import Any

import msgspec

from libs.contracts.events import ProgressReported
from libs.ledger.service import Fact
from services.status.timeline import TOPICS, added, entry_of, moved
from services.status.view import IntentView, Tally

Fields = dict[str, Any]
_NONE = Tally()
_TOPICS = frozenset(TOPICS)


def is_new(view: IntentView, topic: str, seq: int) -> bool:
    """Is it a topic of ours that was not read this far before?"""
    if topic not in _TOPICS or _read(view.positions, topic) >= seq:
        return False
    if view.foreign and _read(view.foreign, topic) >= seq:
        return False
    return not view.early or all(_read(tally.positions, topic) < seq for tally in view.early.values())


def counted(view: IntentView, fact: Fact, tenant: str) -> Fields:
    """What one more fact changes of version, times, positions and timeline. `tenant`: whose the intent is, "" = not
    known yet."""
    said = fact.envelope.tenant
    if not tenant:
        waited = view.early.get(said, _NONE)
        mine = msgspec.structs.replace(waited, **_one_more(waited, fact))
        return {"early": dict(sorted({**view.early, said: mine}.items()))}
    fields = _settled(view, tenant) if view.early else {}
    if said in ("", tenant):
        return fields | _one_more(msgspec.structs.replace(view, **fields) if fields else view, fact)
    foreign = fields.get("foreign", view.foreign)
    return fields | {"foreign": moved(foreign, fact.topic, fact.envelope.seq)}


def _settled(view: IntentView, tenant: str) -> Fields:
    """It is known now whose the intent is."""
    own, foreign = _NONE, view.foreign
    for name, waited in view.early.items():
        if name in ("", tenant):
            own = _joined(own, waited)
        else:
            foreign = _farther(foreign, waited.positions)
    return msgspec.structs.asdict(own) | {"foreign": foreign, "early": {}}


def _one_more(told: IntentView | Tally, fact: Fact) -> Fields:
    """Of progress only the latest is kept, so it is no entry."""
    envelope = fact.envelope
    fields: Fields = {
        "version": told.version + 1,
        "updated_at": envelope.occurred_at if envelope.occurred_at > told.updated_at else told.updated_at,
        "positions": moved(told.positions, fact.topic, envelope.seq),
    }
    if not isinstance(fact.body, ProgressReported):
        fields["entries"], fields["dropped"] = added(told.entries, [entry_of(fact)], told.dropped)
    return fields


def _read(positions: tuple[tuple[str, int], ...], topic: str) -> int:
    for name, seq in positions:
        if name == topic:
            return seq
    return 0


def _joined(one: Tally, two: Tally) -> Tally:
    entries, dropped = added(one.entries, two.entries, one.dropped + two.dropped)
    return Tally(
        one.version + two.version,
        max(one.updated_at, two.updated_at),
        _farther(one.positions, two.positions),
        entries,
        dropped,
    )


def _farther(one: tuple[tuple[str, int], ...], two: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    for topic, seq in two:
        one = moved(one, topic, seq)
    return one

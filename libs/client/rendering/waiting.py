"""What waits: for whom, until when, and what is done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.client.rendering.explaining import explain
from libs.client.rendering.page import Grid, Page, Words, heading
from libs.client.rendering.words import STYLES, far, moment
from libs.client.results import Deed, State
from libs.ledger.lanes import Lane, Parked


@dataclass(frozen=True)
class Stuck:
    """One deed that has not ended. `who`: whose turn it is, "" = no person has to act; `until` None = no deadline."""

    intent_id: str
    state: State
    tool: str
    requester: str
    what: str
    who: str
    since: datetime | None
    until: datetime | None
    overdue: bool
    next: str


def of_deed(deed: Deed) -> Stuck:
    """A deed that has not ended."""
    found = explain(deed)
    waiting = deed.waiting
    return Stuck(
        intent_id=deed.intent_id,
        state=deed.state,
        tool=deed.tool,
        requester=deed.requester,
        what=waiting.what if waiting else "",
        who=waiting.owner_role if waiting else "",
        since=deed.updated_at,
        until=waiting.due_at if waiting else None,
        overdue=deed.overdue,
        next=f"deed explain {deed.intent_id}" if waiting and "repair" in waiting.what else next(iter(found.next), ""),
    )


def page(waiting: Sequence[Stuck], halted: Sequence[Lane], parked: Sequence[Parked], now: datetime) -> Page:
    """All of it."""
    return [*_deeds(waiting, now), *_lanes(halted), *_keys(parked)]


def _deeds(waiting: Sequence[Stuck], now: datetime) -> Page:
    if not waiting:
        return []
    rows = tuple(
        (
            one.intent_id,
            one.tool,
            Words(one.what, STYLES.get(one.state, "")),
            Words(one.who or "-", "bold" if one.who else ""),
            _until(one, now),
        )
        for one in waiting
    )
    return [Grid(("INTENT", "TOOL", "WAITS FOR", "WHOSE TURN", "UNTIL"), rows)]


def _until(one: Stuck, now: datetime) -> Words:
    deadline = far(one.until, now) if one.until else "no end"
    return Words(f"{deadline}{', overdue' if one.overdue else ''}", "red" if one.overdue else "")


def _lanes(halted: Sequence[Lane]) -> Page:
    if not halted:
        return []
    rows = tuple((one.service, str(one.lane), one.halted, f"deed lanes clear {one.lane} --reason") for one in halted)
    return [*heading("Lanes that were halted"), Grid(("SERVICE", "LANE", "WHY", "WHEN IT IS MENDED"), rows)]


def _keys(parked: Sequence[Parked]) -> Page:
    if not parked:
        return []
    rows = tuple(
        (one.service, one.key, str(one.inputs), moment(one.since), f"deed unpark {one.key} --service {one.service}")
        for one in parked
    )
    return [
        *heading("Keys that were set aside"),
        Grid(("SERVICE", "KEY", "INPUTS", "SINCE", "WHEN IT IS MENDED"), rows),
    ]

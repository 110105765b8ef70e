"""Why a deed is where it is, what it waits for, who must act until when, and what to do next. Pure: a deed and the time
in, an explanation out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from libs.client.rendering.page import Cell, Grid, Page, Words, line
from libs.client.rendering.words import moment, state, until
from libs.client.results import Deed, Finding, State
from libs.contracts.events import EffectClass, FailureCategory, Verdict
from libs.governance.remedies import PAYING, remedy

PARKED = "KeyParked"
UNPARKED = "KeyUnparked"


@dataclass(frozen=True)
class Explanation:
    """`who`: whose turn it is, "" = nobody has to act; `until` None = none that is known. `reasons`: (code, reason,
    target, remedy) of all that stands against it; `next`: what can be done now, in order."""

    intent_id: str
    state: State
    where: str
    who: str
    until: datetime | None
    reasons: tuple[tuple[str, str, str, str], ...]
    next: tuple[str, ...]


def explain(deed: Deed) -> Explanation:
    """The explanation of a deed with its details."""
    parked = parked_in(deed)
    if parked:
        where = f"it is set aside in {', '.join(parked)}: deciding about it failed"
        steps = tuple(
            f"When the cause is mended: deed unpark {deed.intent_id} --service {name} --reason TEXT" for name in parked
        )
        return Explanation(deed.intent_id, deed.state, where, "operator", None, _why_parked(deed), steps)
    where, who, following = _STATES[deed.state](deed)
    due_at = deed.waiting.due_at if deed.waiting else None
    return Explanation(deed.intent_id, deed.state, where, who, due_at, _reasons(deed), tuple(following))


def explained(given: Explanation, deed: Deed, now: datetime) -> Page:
    """The explanation as a page."""
    rows: list[tuple[Cell, ...]] = [("tool", f"{deed.tool}, asked by {deed.requester}")]
    if given.who:
        rows.append(("whose turn", Words(given.who, "bold")))
    if not deed.ended:
        rows.append(("until", _until(given, deed, now)))
    for code, reason, target, _ in given.reasons:
        rows.append(("why", f"{code}: {reason}{f' ({target})' if target and target not in reason else ''}"))
    remedies = dict.fromkeys(told for *_, told in given.reasons if told)
    rows += [("to do", Words(told, "bold")) for told in remedies]
    rows += [("next", step) for step in given.next]
    return [line(given.intent_id, " is ", state(given.state), f": {given.where}."), Grid((), tuple(rows))]


def turn(deed: Deed) -> list[str]:
    """Who must act and what they type, a line each; [] = it goes on without anybody."""
    found = explain(deed)
    told = f"It is {found.state.value}. Whose turn it is: {found.who}."
    return [told, *(f"  {step}" for step in found.next)] if found.who else []


def _until(given: Explanation, deed: Deed, now: datetime) -> str:
    """Until when. How long a call may take stands in the registry, not in the deed."""
    if deed.state is State.RUNNING and given.until is None and not given.who:
        return f"the time-out of the call is over (timeout_ms in `deed tool show {deed.tool}`)"
    return until(given.until, now)


def parked_in(deed: Deed) -> tuple[str, ...]:
    """Services that have set the deed aside, by its timeline."""
    parked: dict[str, bool] = {}
    for entry in deed.timeline:
        if entry.event in (PARKED, UNPARKED):
            parked[entry.position.topic.removeprefix("ledger.")] = entry.event == PARKED
    return tuple(sorted(name for name, waits in parked.items() if waits))


def _why_parked(deed: Deed) -> tuple[tuple[str, str, str, str], ...]:
    entries = {entry.position.topic: entry for entry in deed.timeline if entry.event == PARKED}
    return tuple((entry.code, entry.reason, "", remedy(entry.code)) for entry in entries.values())


def _reasons(deed: Deed) -> tuple[tuple[str, str, str, str], ...]:
    """Every finding against it; else the reason that it carries."""
    last: tuple[Finding, ...] = deed.rechecks or deed.findings
    against = [one for one in last if one.verdict is Verdict.BLOCK]
    if deed.state in (State.BLOCKED, State.REFUSED) and any(one.code == deed.code for one in against):
        return tuple((one.code, one.reason, one.target, remedy(one.code)) for one in against)
    if deed.code or deed.reason:
        return ((deed.code or deed.state.value, deed.reason, "", deed.remedy),)
    return ()


# -- state by state: (where it is, whose turn it is, next steps)

_Told = tuple[str, str, Iterator[str]]


def _pending(deed: Deed) -> _Told:
    return "it was accepted and the validators have not spoken", "", _stands_still(deed)


def _asking(deed: Deed) -> _Told:
    asked = deed.approval
    if asked is None:
        return "people must agree, and are being asked", "", _stands_still(deed)
    have = f"; {', '.join(asked.approvers)} did already" if asked.approvers else ""
    where = f"{asked.needed} of {', '.join(asked.roles)} must agree{have}; silence is a refusal"
    who = f"{' or '.join(asked.roles)}, but not {deed.requester}, who asked"

    def steps() -> Iterator[str]:
        key = deed.intent_id
        yield f"deed approve {key}  # as somebody who did not ask; at a local system: deed --as NAME approve {key}"
        yield f"deed deny {key} --reason TEXT  # likewise"
        yield f"deed cancel {deed.intent_id} --reason TEXT"

    return where, who, steps()


def _ready(deed: Deed) -> _Told:
    what = deed.waiting.what if deed.waiting else "its turn"
    return f"it is allowed and waits for {what}", "", _stands_still(deed)


def _running(deed: Deed) -> _Told:
    last = deed.tries[-1] if deed.tries else None
    what = deed.waiting.what if deed.waiting else "the tool's answer"
    at = f" at {last.server} since {moment(last.started_at or last.dispatched_at)}" if last else ""
    told = f"; it says {deed.progress.percent} % {deed.progress.message}".rstrip() if deed.progress else ""
    return f"attempt {deed.attempts}{at}; it waits for {what}{told}", "", _stands_still(deed)


def _in_doubt(deed: Deed) -> _Told:
    doubt = deed.doubt
    where = "the tool may or may not have acted; its money is held and nothing is tried again"
    if deed.tries and deed.tries[-1].effect_class == EffectClass.QUERYABLE:
        where += "; the tool is asked what became of the call, and a person has to find out if it cannot say"

    def steps() -> Iterator[str]:
        key = deed.intent_id
        yield f"Look in the outside system; the call carried the intent id {key.replace('-', '')}"
        yield f"deed resolve {key} --applied --evidence TEXT --reason TEXT"
        quiet = f" (believed after {moment(doubt.quiet_until)})" if doubt and doubt.quiet_until else ""
        yield f"deed resolve {key} --not-applied --evidence TEXT --reason TEXT{quiet}"

    return where, doubt.owner_role if doubt else "resolver", steps()


def _succeeded(deed: Deed) -> _Told:
    made = ", ".join(f"{ref.type} {ref.id}" for ref in deed.refs)
    return f"it was carried out{f' and made {made}' if made else ''}", "", iter(())


def _denied(deed: Deed) -> _Told:
    if deed.code in PAYING:
        why = "there was no budget for it"
    elif deed.code == "NO_APPROVERS":
        why = "the policy names nobody who may agree to it"
    else:
        why = "a person refused it" if deed.code == "DENIED" else "there was no consent, or no budget"
    return f"{why}; the tool was not called", "", _after_an_end(deed)


def _ended(where: str) -> Callable[[Deed], _Told]:
    def told(deed: Deed) -> _Told:
        return where, "", _after_an_end(deed)

    return told


def _after_an_end(deed: Deed) -> Iterator[str]:
    if deed.category is FailureCategory.TRANSIENT or deed.state in (State.CANCELLED, State.EXPIRED):
        yield f"deed retry {deed.intent_id} FILE"
    elif deed.code == "DENIED":  # by a person; without budget the same may be asked again
        yield f"deed submit FILE --edited-from {deed.intent_id}"


def _stands_still(deed: Deed) -> Iterator[str]:
    """Nobody has to act; if it does not go on, this is where to look."""
    if deed.overdue:
        yield "It is past its expiry, and who owns it has not said so: deed lanes, deed doctor"
    else:
        yield f"deed watch {deed.intent_id}"


_STATES: Mapping[State, Callable[[Deed], _Told]] = {
    State.PENDING: _pending,
    State.AWAITING_APPROVAL: _asking,
    State.READY: _ready,
    State.RUNNING: _running,
    State.IN_DOUBT: _in_doubt,
    State.SUCCEEDED: _succeeded,
    State.FAILED: _ended("the tool definitely did not do it"),
    State.BLOCKED: _ended("a validator said no; the tool was not called"),
    State.DENIED: _denied,
    State.CANCELLED: _ended("it was called off in time; nothing took effect"),
    State.EXPIRED: _ended("it was too late; nothing took effect"),
    State.REFUSED: _ended("what had been decided did not hold any more at the last look; the tool was not called"),
}

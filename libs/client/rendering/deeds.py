"""One deed, or many, as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from libs.client.rendering.page import Cell, Grid, Line, Page, Words, heading, line
from libs.client.rendering.words import clock, duration, micros, moment, state, until
from libs.client.results import Attempt, Deed, Entry, Finding, State
from libs.contracts.events import Verdict

_VERDICTS = {Verdict.BLOCK: "red", Verdict.WARN: "yellow", Verdict.ALLOW: "green"}
CALLED = "ExecutionDispatched"
LISTED = ("INTENT", "STATE", "TOOL", "BY", "CREATED", "COST", "")


def brief(deed: Deed, now: datetime) -> Page:
    """Where it is and why, in a few lines."""
    return [line(deed.intent_id, "  ", state(deed.state), *_late(deed)), Grid((), tuple(_facts(deed, now)))]


def full(deed: Deed, now: datetime) -> Page:
    """All that is known of it: what was decided, by whom and why, what it cost, and the time in each stage."""
    return [
        *brief(deed, now),
        *_stages(deed, now),
        *_timeline(deed),
        *_findings("What the validators said", deed.findings),
        *_findings("What they said right before the call", deed.rechecks),
        *_votes(deed),
        *_tries(deed.tries),
        *_doubt(deed, now),
    ]


def listed(deeds: Iterable[Deed]) -> Grid:
    """Many, a row each."""
    return Grid(LISTED, tuple(_row(deed) for deed in deeds))


def news(deed: Deed, after: Sequence[Entry]) -> list[Line]:
    """The entries of a timeline that were not there before, a line each."""
    known = {entry.event_id for entry in after}
    return [entry_line(deed, entry) for entry in deed.timeline if entry.event_id not in known]


def ended(deed: Deed) -> Page:
    """How it ended, as the last word of a stream."""
    why = ": ".join(text for text in (deed.code, deed.reason) if text)
    told = [line("To do: ", Words(deed.remedy, "bold"))] if deed.remedy else []
    return [line(state(deed.state), f"  {why}" if why else "", f"  {_cost(deed)}"), *told]


def entry_line(deed: Deed, entry: Entry) -> Line:
    """One decision as it comes."""
    at = entry.decided_at
    since = f"+{duration(at - deed.created_at)}" if at and deed.created_at else ""
    said = f"{entry.code}: {entry.reason}" if entry.code and entry.reason else entry.code or entry.reason
    return line(f"{clock(at)}  {since:>8}  {entry.event:<24}  ", Words(f"{entry.actor:<20}", "dim"), f"  {said}")


# -- parts of the brief


def _late(deed: Deed) -> tuple[Cell, ...]:
    return ("  ", Words("overdue", "bold red")) if deed.overdue else ()


def _facts(deed: Deed, now: datetime) -> Iterator[tuple[Cell, ...]]:
    yield "tool", f"{deed.tool}{f' ({deed.capability})' if deed.capability else ''}"
    yield "asked by", f"{deed.requester}{f' for account {deed.account}' if deed.account else ''}"
    yield "key", deed.key
    yield "accepted", f"{moment(deed.created_at)}{_took(deed)}"
    if not deed.ended:
        yield "expires", until(deed.expires_at, now)
    if why := ": ".join(text for text in (deed.code, deed.reason) if text):
        yield "why", why
    if deed.remedy:
        yield "to do", Words(deed.remedy, "bold")
    if waiting := deed.waiting:
        role = f", by a person with role {waiting.owner_role}" if waiting.owner_role else ""
        yield "waits for", f"{waiting.what}{role}, until {until(waiting.due_at, now)}"
    if deed.state is State.RUNNING and (lanes := [e.position.partition for e in deed.timeline if e.event == CALLED]):
        yield "runs in", f"lane {lanes[-1]} of execution; `deed lanes` says which worker has it"
    if deed.progress:
        yield "progress", f"{deed.progress.percent} % {deed.progress.message}".strip()
    yield "cost", _cost(deed)
    for ref in deed.refs:
        yield "made", f"{ref.type} {ref.id}"


def _took(deed: Deed) -> str:
    if not deed.ended_at or not deed.created_at:
        return ""
    return f", ended {duration(deed.ended_at - deed.created_at)} later"


def _cost(deed: Deed) -> str:
    money = deed.money
    if money is None:
        return micros(deed.cost_micros) if deed.ended else f"{micros(deed.price_micros)} at most"
    parts = [f"{micros(money.set_aside_micros)} set aside"]
    for amount, word in (
        (money.settled_micros, "spent"),
        (money.released_micros, "given back"),
        (money.corrected_micros, "after correction"),
    ):
        parts += [f"{micros(amount)} {word}"] if amount is not None else []
    held = [f"{micros(deed.reserved_micros)} still held"] if deed.reserved_micros else []
    return ", ".join((*parts, *held))


# -- parts of the whole


def _stages(deed: Deed, now: datetime) -> Iterator[Line | Grid]:
    if not deed.stages:
        return
    yield from heading("Time in each stage")
    reached = [(stage.name, stage.reached_at) for stage in deed.stages if stage.reached_at]
    rows: list[tuple[Cell, ...]] = []
    for n, (name, at) in enumerate(reached):
        left = reached[n + 1][1] if n + 1 < len(reached) else None if deed.ended else now
        rows.append((name, clock(at), duration(left - at) if left else ""))
    yield Grid(("STAGE", "SINCE", "STAYED"), tuple(rows))


def _timeline(deed: Deed) -> Iterator[Line | Grid]:
    if not deed.timeline:
        return
    yield from heading("What was decided")
    rows = tuple(
        (clock(entry.decided_at), entry.event, entry.actor, entry.code, entry.reason) for entry in deed.timeline
    )
    yield Grid(("AT", "EVENT", "BY", "CODE", "REASON"), rows)
    if deed.timeline_dropped:
        yield line(f"{deed.timeline_dropped} more in between are on the ledger.")


def _findings(title: str, findings: Sequence[Finding]) -> Iterator[Line | Grid]:
    if not findings:
        return
    yield from heading(title)
    rows = tuple(
        (
            one.validator,
            one.choke_point,
            Words(one.verdict.value if one.verdict else "?", _VERDICTS.get(one.verdict, "") if one.verdict else ""),
            one.code,
            one.reason,
            one.target,
        )
        for one in findings
    )
    yield Grid(("VALIDATOR", "WHERE", "VERDICT", "CODE", "REASON", "LOOKED AT"), rows)


def _votes(deed: Deed) -> Iterator[Line | Grid]:
    asked = deed.approval
    if asked is None:
        return
    yield from heading("What people said")
    became = asked.consent.value if asked.consent else f"open until {moment(asked.expires_at)}"
    yield line(f"{asked.needed} of {', '.join(asked.roles)} must agree: ", Words(became, "bold"))
    if asked.ballots:
        rows = tuple(
            (clock(one.voted_at), one.voter, "agreed" if one.approve else "refused", one.reason)
            for one in asked.ballots
        )
        yield Grid(("AT", "WHO", "SAID", "WHY"), rows)


def _tries(tries: Sequence[Attempt]) -> Iterator[Line | Grid]:
    if not tries:
        return
    yield from heading("Calls of the tool")
    rows = tuple(
        (
            str(one.attempt),
            one.status.value if one.status else "?",
            one.server,
            one.effect_class,
            clock(one.started_at or one.dispatched_at),
            duration(timedelta(milliseconds=one.duration_ms)) if one.duration_ms else "",
            ": ".join(text for text in (one.code, one.reason) if text),
            one.artifact,
        )
        for one in tries
    )
    yield Grid(("NO", "STATUS", "SERVER", "CLASS", "AT", "TOOK", "ANSWER", "ARTIFACT"), rows)


def _doubt(deed: Deed, now: datetime) -> Iterator[Line | Grid]:
    doubt = deed.doubt
    if doubt is None:
        return
    yield from heading("Doubt")
    if doubt.applied is None:
        yield line(f"Nobody knows since {moment(doubt.began_at)}: {doubt.code}: {doubt.reason}")
        yield line(f"'It is not there' proves nothing before {until(doubt.quiet_until, now)}.")
        return
    found = "it took effect" if doubt.applied else "it did not take effect"
    yield line(f"{doubt.by} found at {moment(doubt.resolved_at)} that {found}: {doubt.evidence}")


def _row(deed: Deed) -> tuple[Cell, ...]:
    note = f"waits for {deed.waiting.what}" if deed.waiting else deed.code
    return (
        deed.intent_id,
        state(deed.state),
        deed.tool,
        deed.requester,
        moment(deed.created_at),
        str(deed.cost_micros or ""),
        f"{note}{', overdue' if deed.overdue else ''}",
    )

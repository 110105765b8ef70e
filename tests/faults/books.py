"""The money, from the ledger alone: every version of every stripe, and what was granted, spent and given back
(guarantees.md, invariants 3 and 4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from libs.contracts.events import BudgetCorrected, BudgetReleased, BudgetReserved, BudgetSettled, ScopeLine
from libs.ledger.service import Fact

Stripe = tuple[str, int]


def problems(facts: Iterable[Fact], table: Iterable[tuple[Any, ...]]) -> list[str]:
    """What does not add up. `table`: (scope, stripe, version, share, pending, posted) as the scope table has it."""
    lines: dict[Stripe, dict[int, ScopeLine]] = defaultdict(dict)
    told: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    scopes: dict[bytes, tuple[str, ...]] = {}
    wrong: list[str] = []
    facts = list(facts)
    for fact in facts:  # a late answer's correction names no scopes: they are those of its reservation
        if isinstance(fact.body, BudgetReserved):
            scopes[fact.envelope.intent_id] = fact.body.scopes
    for fact in facts:
        pending, posted = _change(fact.body)
        for scope in scopes.get(fact.envelope.intent_id, ()) if pending or posted else ():
            told[scope][0] += pending
            told[scope][1] += posted
        for line in fact.body.lines if (pending or posted) else ():
            if line.version in lines[line.scope, line.stripe]:
                wrong.append(f"{line.scope}/{line.stripe}: version {line.version} was written twice")
            lines[line.scope, line.stripe][line.version] = line
    for stripe, versions in lines.items():
        wrong += _history(stripe, versions)
    last = {stripe: versions[max(versions)] for stripe, versions in lines.items()}
    return wrong + _sums(last, told) + _table(last, table)


def _change(body: Any) -> tuple[int, int]:
    """What an event does to (pending, posted) of each of its scopes."""
    match body:
        case BudgetReserved(amount_micros=amount):
            return amount, 0
        case BudgetSettled(reserved_micros=reserved, actual_micros=actual):
            return -reserved, actual
        case BudgetReleased(amount_micros=amount):
            return -amount, 0
        case BudgetCorrected(from_micros=before, to_micros=after):
            return 0, after - before
        case _:
            return 0, 0


def _history(stripe: Stripe, versions: Mapping[int, ScopeLine]) -> list[str]:
    """No version is missing, and no grant is above the share."""
    name = f"{stripe[0]}/{stripe[1]}"
    missing = set(range(1, max(versions) + 1)) - versions.keys()
    wrong = [f"{name}: versions {sorted(missing)[:5]} are missing"] if missing else []
    for version, line in versions.items():
        if not line.frozen and line.pending_micros + line.posted_micros > line.share_micros:
            wrong.append(f"{name} version {version}: {line} is above its share")
    return wrong


def _sums(last: Mapping[Stripe, ScopeLine], told: Mapping[str, list[int]]) -> list[str]:
    """Stripes together: within the cap, and exactly what the events granted, spent and gave back."""
    wrong = []
    for scope, (pending, posted) in told.items():
        stripes = [line for (name, _), line in last.items() if name == scope]
        hard = max(line.hard_micros for line in stripes)
        found = (sum(line.pending_micros for line in stripes), sum(line.posted_micros for line in stripes))
        if found != (pending, posted):
            wrong.append(f"{scope}: the stripes say {found}, the events {(pending, posted)}")
        if sum(found) > hard or sum(line.share_micros for line in stripes) > hard:
            wrong.append(f"{scope}: {found} or its shares are above the cap {hard}")
    return wrong


def _table(last: Mapping[Stripe, ScopeLine], table: Iterable[tuple[Any, ...]]) -> list[str]:
    wanted = {
        stripe: (line.version, line.share_micros, line.pending_micros, line.posted_micros)
        for stripe, line in last.items()
    }
    found = {(row[0], row[1]): tuple(row[2:]) for row in table if row[2]}
    differ = [stripe for stripe in wanted.keys() | found.keys() if wanted.get(stripe) != found.get(stripe)]
    return [f"scope {s}: the table has {found.get(s)}, the ledger {wanted.get(s)}" for s in sorted(differ)]

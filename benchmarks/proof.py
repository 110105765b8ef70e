"""What must hold after a run before its figure counts: the chain, the books, the effects as the journal has them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from benchmarks.books import Books, scope_rows
from benchmarks.stages import Stages
from libs.contracts.events import (
    BudgetCorrected,
    BudgetDenied,
    BudgetReleased,
    BudgetReserved,
    BudgetSettled,
    IntentAccepted,
    OutcomeAmended,
    OutcomeRecorded,
    OutcomeStatus,
    SubmissionRejected,
)
from libs.ledger.service import Fact
from libs.ledger.verify import verify_ledger
from libs.runtime.settings import KafkaSettings

SHOWN = 4
MONEY = (BudgetReserved, BudgetSettled, BudgetReleased, BudgetDenied, BudgetCorrected)


@dataclass
class Proof:
    """`failures` empty: everything holds."""

    events: int
    seconds: float
    failures: list[str]
    stages: Stages
    by_status: Counter[str] = field(default_factory=Counter)


class Witness:
    """Takes every event of the ledger once."""

    def __init__(self, lanes: int, sampled: int) -> None:
        self.books, self.stages = Books(lanes), Stages(sampled)
        self.accepted: set[bytes] = set()
        self.succeeded: set[bytes] = set()
        self.ended: set[bytes] = set()
        self.by_status: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()

    def take(self, fact: Fact) -> None:
        """One event."""
        self.stages.take(fact)
        body, key = fact.body, fact.envelope.intent_id
        if isinstance(body, MONEY):
            self.books.take(fact)
        elif isinstance(body, IntentAccepted):
            if key in self.accepted:
                self.wrong["an intent was accepted twice"] += 1
            self.accepted.add(key)
        elif isinstance(body, OutcomeRecorded):
            self._ended(body, key)
        elif isinstance(body, SubmissionRejected):
            self.rejected[f"{body.code}: {body.reason}"] += 1
        elif isinstance(body, OutcomeAmended):
            self.wrong["an outcome was amended"] += 1

    def _ended(self, body: OutcomeRecorded, key: bytes) -> None:
        if key in self.ended:
            self.wrong["an intent has two outcomes"] += 1
        self.ended.add(key)
        self.by_status[body.status.value] += 1
        if body.status is OutcomeStatus.SUCCEEDED:
            self.succeeded.add(key)
        else:
            self.wrong[f"an outcome is {body.status}: {body.code}: {body.reason}"] += 1


async def prove(
    settings: KafkaSettings, submitted: set[bytes], journal: Path, budget_url: str, sampled: int = 1, bad: int = 0
) -> Proof:
    """Read the whole ledger back and compare it with what was submitted, with the journal and with the tables. `bad`:
    how many submissions must have been rejected."""
    began = perf_counter()
    witness = Witness(settings.lanes, sampled)
    report = await verify_ledger(settings, settings.lanes, witness.take)
    failures = list(report.broken)
    failures += [f"{number} times: {text}" for text, number in witness.wrong.most_common(SHOWN)]
    if witness.rejected.total() != bad:
        often = "; ".join(f"{number} times {text}" for text, number in witness.rejected.most_common(SHOWN))
        failures.append(f"{witness.rejected.total()} submissions were rejected, not {bad}: {often}")
    failures += _same("submitted intents", submitted, "accepted intents", witness.accepted)
    failures += _same("accepted intents", witness.accepted, "intents with an outcome", witness.ended)
    failures += _effects(journal, witness.succeeded)
    failures += witness.books.problems()[:SHOWN]
    failures += witness.books.against(await scope_rows(budget_url))[:SHOWN]
    return Proof(report.events, perf_counter() - began, failures, witness.stages, witness.by_status)


def _effects(journal: Path, succeeded: set[bytes]) -> list[str]:
    """Each success happened exactly once, and nothing else happened at all."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    called = Counter(bytes.fromhex(line.split(" ", 1)[0]) for line in lines)
    twice = [key for key, number in called.items() if number > 1]
    failures = [f"{len(twice)} intents were called more than once, such as {twice[0].hex()}"] if twice else []
    return failures + _same("effects in the journal", set(called), "SUCCEEDED outcomes", succeeded)


def _same(left: str, a: set[bytes], right: str, b: set[bytes]) -> list[str]:
    if a == b:
        return []
    some = next(iter(a ^ b)).hex()
    return [f"{len(a)} {left} and {len(b)} {right}: {len(a - b)} and {len(b - a)} are not in the other, such as {some}"]

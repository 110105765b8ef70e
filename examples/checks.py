"""What must hold after the story, from the ledger alone and against the tables and git."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.books import scope_rows
from examples.stage import Stage
from libs.contracts.events import BudgetReserved, ExecutionDispatched, OutcomeRecorded, OutcomeStatus
from libs.governance.audit import audit
from libs.ledger.service import Fact
from libs.ledger.verify import verify_ledger

COMMIT = "git/git_commit"


@dataclass
class Checked:
    """`problems` empty: everything holds."""

    events: int = 0
    chains: int = 0
    grants: int = 0
    spent_micros: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Witness:
    """Takes every event of the ledger once."""

    def __init__(self) -> None:
        self.money: list[Fact] = []
        self.outcomes: dict[bytes, OutcomeRecorded] = {}
        self.dispatches: Counter[bytes] = Counter()
        self.twice: list[str] = []

    def take(self, fact: Fact) -> None:
        key, body = fact.envelope.intent_id, fact.body
        if fact.topic == "ledger.budget":
            self.money.append(fact)
        elif isinstance(body, ExecutionDispatched):
            self.dispatches[key] += 1
        elif isinstance(body, OutcomeRecorded):
            if key in self.outcomes:
                self.twice.append(f"{key.hex()} has two outcomes")
            self.outcomes[key] = body


async def check(stage: Stage) -> Checked:
    """Read the whole ledger back: chains, one outcome per deed, the books against the tables, commits against git."""
    witness = Witness()
    report = await verify_ledger(stage.system.kafka, stage.system.plan.lanes, witness.take)
    chains = sum(1 for partition in report.partitions if partition.events)
    books = audit(witness.money, stage.system.plan.lanes)
    found = Checked(report.events, chains, sum(isinstance(fact.body, BudgetReserved) for fact in witness.money))
    found.outcomes = Counter(str(body.status) for body in witness.outcomes.values())
    found.problems = report.broken + witness.twice + [f"{fault.code}: {fault.text}" for fault in books.faults]
    tables: dict[str, tuple[int, int]] = {}
    for (scope, _), (_, _, pending, posted) in (await scope_rows(stage.system.database_url)).items():
        before = tables.get(scope, (0, 0))
        tables[scope] = before[0] + pending, before[1] + posted
    found.spent_micros = max((totals.posted_micros for totals in books.scopes.values()), default=0)
    for scope, totals in books.scopes.items():
        if tables.get(scope) != (totals.pending_micros, totals.posted_micros):
            found.problems.append(f"{scope}: the tables say {tables.get(scope)}, the ledger {totals}")
    done = [
        body for body in witness.outcomes.values() if body.tool == COMMIT and body.status is OutcomeStatus.SUCCEEDED
    ]
    made = stage.git("log", "--format=%H").splitlines()
    if len(made) != len(done) + 1:
        found.problems.append(f"git has {len(made) - 1} commits, the ledger {len(done)} successful ones")
    unknown = [ref.id for body in done for ref in body.object_refs if ref.id not in made]
    found.problems += [f"the ledger names a commit that git does not have: {commit}" for commit in unknown]
    return found

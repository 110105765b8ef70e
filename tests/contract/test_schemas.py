"""What `schemas/` as it stands promises: safe to read, in sync with the generated code, readable by every release."""

from __future__ import annotations

import json
from pathlib import Path

import fastavro

from libs.contracts import compat, export, generate, lint, lock
from libs.contracts.schemas import ROOT, bare, inline, is_event, load
from libs.contracts.table import TYPES

# flow.md section 1: who may write what
EVENTS_OF_TOPIC = {
    "intents": "Intent",
    "intake.home": "HomeSubmission",
    "commands": "ApprovalVote WithdrawApproval Cancel Resolve LateResult Unpark",
    "ledger.intake": "IntentAccepted SubmissionRejected",
    "ledger.validation": "IntentAllowed IntentBlocked",
    "ledger.approval": "ApprovalRequested ApprovalVoted ApprovalGranted ApprovalDenied ApprovalExpired "
    "ApprovalCancelled ApprovalWithdrawn",
    "ledger.budget": "BudgetReserved BudgetDenied BudgetSettled BudgetReleased BudgetCorrected",
    "ledger.execution": "CancelRequested ExecutionDispatched ExecutionRetryScheduled ExecutionSucceeded "
    "ExecutionFailed ExecutionRefused ExecutionCancelled ExecutionExpired ExecutionInDoubt ExecutionResolved "
    "LateAnswerRecorded ProgressReported",
    "ledger.outcome": "OutcomeRecorded OutcomeAmended",
    "control.commands": "FlipSwitch RegisterTool RemoveTool AcceptTool QuarantineTool RegisterServer RemoveServer "
    "DefineBudget RemoveBudget PublishPolicy SetRateLimit SetFlag ReportBreaker",
    "ledger.control": "SwitchFlipped ToolRegistered ToolRemoved ToolAccepted ToolQuarantined ServerRegistered "
    "ServerRemoved BudgetDefined BudgetRemoved PolicyPublished RateLimitSet FlagSet BreakerChanged",
    "signals": "SignalEmitted",
} | {
    f"dead.{service}": "DeadLetter"
    for service in ("intake", "validation", "approval", "budget", "execution", "control")
}
ON_EVERY_LEDGER = {"CommandRejected", "KeyParked", "KeyUnparked"}


def test_all_schemas_are_restricted_avro() -> None:
    assert lint.violations(load()) == []


def test_generated_code_is_what_a_fresh_generation_gives() -> None:
    assert generate.main(["--check"]) == 0


def test_everything_is_released_under_a_pinned_id() -> None:
    assert lock.unreleased() == {}


def test_no_id_is_used_twice() -> None:
    ids = [row.id for row in lock.rows()]
    assert len(set(ids)) == len(ids)


def test_pinned_topics_are_those_of_the_folders() -> None:
    schemas = load()
    pinned = lock.read()
    assert {name: entry["topics"] for name, entry in pinned.items()} == {
        name: list(lock.topics_of(schemas[name])) for name in pinned
    }


def test_each_topic_carries_what_the_flow_says() -> None:
    found: dict[str, set[str]] = {}
    for row in TYPES:
        for topic in row.topics:
            found.setdefault(topic, set()).add(row.struct.__name__)
    assert found == {
        topic: set(names.split()) | (ON_EVERY_LEDGER if topic.startswith("ledger.") else set())
        for topic, names in EVENTS_OF_TOPIC.items()
    }


def test_ledger_topics_carry_events_and_all_others_messages() -> None:
    for row in TYPES:
        assert {topic.startswith("ledger.") for topic in row.topics} == {row.read_envelope is not None}


def test_exactly_one_version_of_each_type_is_written() -> None:
    written = [row.name for row in TYPES if row.written]
    assert sorted(written) == sorted(lock.read())


def test_every_version_ever_released_can_be_read_by_every_other() -> None:
    assert compat.violations() == []


def test_the_registered_forms_stand_alone(tmp_path: Path) -> None:
    count = export.export(tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    assert count == len(index) == len(TYPES)
    for entry in index:
        schema = json.loads((tmp_path / f"{entry['id']}.avsc").read_text())
        assert fastavro.parse_schema(schema)
        assert entry["subjects"] == [f"{topic}-{entry['name']}" for topic in lock.read()[entry["name"]]["topics"]]


def test_the_registered_form_of_the_latest_version_is_the_present_one() -> None:
    schemas, latest = load(), {row.name: row.schema for row in lock.rows()}
    assert {name: bare(form) for name, form in latest.items()} == {name: bare(inline(name, schemas)) for name in latest}


def test_events_and_messages_are_all_pinned() -> None:
    folders = {name for name, schema in load().items() if schema["namespace"] != "deedbook" or is_event(schema)}
    assert folders == set(lock.read())
    assert (ROOT / "ids.lock.json").exists()

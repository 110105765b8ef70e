"""Why a deed is where it is, and what to do next: an answer for each state."""

from __future__ import annotations

import pytest

from libs.client.commands.asking import Teller
from libs.client.rendering.explaining import explain, explained, parked_in
from libs.client.rendering.page import plain
from libs.client.results import Attempt, AttemptStatus, Doubt, ObjectRef, Progress, State, Waiting
from libs.contracts.events import FailureCategory, Verdict
from tests.unit.client.given import AT, ID, asking, deed, entry, finding, later


@pytest.mark.parametrize("state", State)
def test_every_state_has_an_explanation(state: State) -> None:
    found = explain(deed(state=state))
    assert found.where
    assert found.state is state


def test_an_approval_names_who_may_act_who_did_and_until_when() -> None:
    found = explain(asking())
    assert found.where == "2 of approver, lead must agree; ann did already; silence is a refusal"
    assert found.who == "approver or lead, but not agent-7, who asked"
    assert found.until == later(600)
    told = "as somebody who did not ask; at a local system: deed --as NAME approve"
    assert found.next[0] == f"deed approve {ID}  # {told} {ID}"
    assert found.next[1] == f"deed deny {ID} --reason TEXT  # likewise"
    assert found.next[2] == f"deed cancel {ID} --reason TEXT", "who asked may call it off"
    said = list(plain(explained(found, asking(), later(0))))
    assert said[0] == f"{ID} is AWAITING_APPROVAL: {found.where}."
    assert "until       2026-11-21 22:10:00Z (in 10 min 0 s)" in said


@pytest.mark.requirement("G4")
def test_a_block_names_every_finding_and_what_to_do_about_each() -> None:
    findings = (
        finding("FIELD_DENIED", target="amount"),
        finding("FRESHNESS_STALE", validator="freshness"),
        finding("FRESHNESS_AGING", Verdict.WARN, validator="freshness"),
    )
    found = explain(deed(state=State.BLOCKED, code="FIELD_DENIED", reason="not allowed", findings=findings))
    assert [(code, target) for code, _, target, _ in found.reasons] == [
        ("FIELD_DENIED", "amount"),
        ("FRESHNESS_STALE", ""),
    ]
    assert all(told for *_, told in found.reasons)


def test_the_last_look_before_the_call_counts_when_it_refused() -> None:
    refused = deed(
        state=State.REFUSED, code="FRESHNESS_STALE", findings=(finding("X", Verdict.WARN),),
        rechecks=(finding("FRESHNESS_STALE", reason="too old by now"),),
    )  # fmt: skip
    assert [reason for _, reason, *_ in explain(refused).reasons] == ["too old by now"]


def test_a_refusal_that_no_validator_gave_is_told_by_its_own_code() -> None:
    refused = deed(state=State.REFUSED, code="TOOL_CHANGED", reason="another one", rechecks=(finding("TOOL_DENIED"),))
    assert [code for code, *_ in explain(refused).reasons] == ["TOOL_CHANGED"]


def test_who_watches_is_told_once_whose_turn_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    tell = Teller()
    doubt = Doubt(1, AT, "TIMEOUT", "no answer came", None, "resolver", None, None, "", "")
    agreed = (entry("IntentAccepted"), entry("ApprovalVoted", "ledger.approval"))
    versions = (deed(), asking(), asking(timeline=agreed), deed(state=State.IN_DOUBT, doubt=doubt))
    for version in versions:
        tell(version)
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("It is ")] == [
        "It is AWAITING_APPROVAL. Whose turn it is: approver or lead, but not agent-7, who asked.",
        "It is IN_DOUBT. Whose turn it is: resolver.",
    ]
    for command in (f"  deed approve {ID}", f"  deed resolve {ID} --applied --evidence TEXT --reason TEXT"):
        assert sum(line.startswith(command) for line in said) == 1


def test_a_doubt_belongs_to_a_role_and_ends_by_evidence() -> None:
    doubt = Doubt(1, AT, "OWNER_LOST", "the worker was lost", later(60), "resolver", None, None, "", "")
    found = explain(deed(state=State.IN_DOUBT, doubt=doubt, code="OWNER_LOST", reason="the worker was lost"))
    assert found.who == "resolver"
    assert ID.replace("-", "") in found.next[0]
    assert found.next[2].startswith(f"deed resolve {ID} --not-applied")
    assert "after 2026-11-21 22:01:00Z" in found.next[2]


@pytest.mark.parametrize(("effect_class", "asked"), [("QUERYABLE", True), ("OPAQUE", False)])
def test_a_doubt_says_whether_the_tool_itself_is_asked(effect_class: str, asked: bool) -> None:
    call = Attempt(1, AT, AT, None, "git", effect_class, AttemptStatus.IN_DOUBT, 0, "TIMEOUT", None, "", "", "")
    assert ("the tool is asked" in explain(deed(state=State.IN_DOUBT, tries=(call,))).where) is asked


def test_a_parked_deed_is_explained_by_what_failed_and_goes_on_by_unpark() -> None:
    parked = entry("KeyParked", "ledger.validation", 5, code="DECIDE_FAILED", reason="validation: KeyError: 'x'")
    found = explain(deed(timeline=(entry("IntentAccepted"), parked)))
    assert found.who == "operator"
    assert found.reasons[0][:2] == ("DECIDE_FAILED", "validation: KeyError: 'x'")
    assert found.next == (f"When the cause is mended: deed unpark {ID} --service validation --reason TEXT",)


def test_what_was_taken_up_again_is_not_parked() -> None:
    timeline = (
        entry("KeyParked", "ledger.validation", 5),
        entry("KeyParked", "ledger.budget", 2),
        entry("KeyUnparked", "ledger.validation", 6),
    )
    assert parked_in(deed(timeline=timeline)) == ("budget",)


def test_a_call_says_where_since_when_and_how_far_it_is() -> None:
    call = Attempt(2, AT, later(1), None, "git", "READ_ONLY", AttemptStatus.OPEN, 0, "", None, "", "", "")
    running = deed(
        state=State.RUNNING, attempts=2, tries=(call,), waiting=Waiting("the tool's answer", "", None),
        progress=Progress(2, 40, "half way", later(2)),
    )  # fmt: skip
    where = explain(running).where
    assert where == "attempt 2 at git since 2026-11-21 22:00:01Z; it waits for the tool's answer; it says 40 % half way"
    said = [" ".join(one.split()) for one in plain(explained(explain(running), running, later(3)))]
    assert "until the time-out of the call is over (timeout_ms in `deed tool show git/git_commit`)" in said


def test_success_says_what_was_made() -> None:
    made = deed(state=State.SUCCEEDED, refs=(ObjectRef("commit", "3f2a"),))
    assert explain(made).where == "it was carried out and made commit 3f2a"


def test_only_what_may_succeed_next_time_is_to_be_tried_again() -> None:
    failed = deed(state=State.FAILED, category=FailureCategory.TRANSIENT, code="SERVER_DOWN", reason="x")
    assert explain(failed).next == (f"deed retry {ID} FILE",)
    assert explain(deed(state=State.FAILED, category=FailureCategory.PERMANENT)).next == ()


def test_what_a_person_refused_may_come_back_corrected() -> None:
    assert explain(deed(state=State.DENIED, code="DENIED")).next == (f"deed submit FILE --edited-from {ID}",)
    assert explain(deed(state=State.DENIED, code="BUDGET_EXCEEDED")).next == ()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("DENIED", "a person refused it"),
        ("NO_APPROVERS", "the policy names nobody who may agree to it"),
        ("BUDGET_EXCEEDED", "there was no budget for it"),
        ("BUDGET_MISSING", "there was no budget for it"),
    ],
)
def test_a_denial_says_whether_a_person_or_the_budget_said_no(code: str, said: str) -> None:
    assert explain(deed(state=State.DENIED, code=code)).where == f"{said}; the tool was not called"


def test_a_deed_past_its_expiry_without_an_end_points_to_the_lanes() -> None:
    assert "deed lanes" in explain(deed(state=State.READY, overdue=True)).next[0]

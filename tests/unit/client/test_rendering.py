"""What people read about a deed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from libs.client.rendering import approvals, deeds, waiting
from libs.client.rendering.page import Grid, Page, line, plain
from libs.client.rendering.words import duration, until
from libs.client.results import Attempt, AttemptStatus, Ballot, Doubt, Money, ObjectRef, Stage, State
from libs.contracts.events import Verdict
from libs.ledger.lanes import Lane, Parked
from tests.unit.client.given import AT, DIGEST, ID, approval, asking, deed, entry, finding, later


def text(page: Page) -> str:
    return "\n".join(plain(page))


def rows(page: Page, heading: str) -> list[list[str]]:
    """The rows of the table under a heading, cut into words."""
    lines = list(plain(page))
    found = lines[lines.index(heading) + 2 :]
    return [one.split() for one in found[: found.index("")] if one] if "" in found else [one.split() for one in found]


SUCCEEDED = deed(
    state=State.SUCCEEDED,
    ended_at=later(2.5),
    cost_micros=1500,
    money=Money(2000, 1500, None, None),
    refs=(ObjectRef("commit", "3f2a"),),
    stages=(Stage("accepted", AT), Stage("dispatched", later(0.004)), Stage("ended", later(2.5))),
    timeline=(
        entry("IntentAccepted", actor="agent-7", reason="git/git_commit for main"),
        entry("OutcomeRecorded", "ledger.outcome", 4, decided_at=later(2.5), reason="SUCCEEDED"),
    ),
    findings=(finding("FRESHNESS_AGING", Verdict.WARN, validator="freshness", reason="61000 ms old", target="crm"),),
    tries=(
        Attempt(
            1, later(0.004), later(0.005), later(2.5), "git", "OPAQUE", AttemptStatus.SUCCEEDED, 2495, "", None,
            "committed", "artifacts/3f", "00",
        ),
    ),
)  # fmt: skip


def test_the_whole_story_has_reasons_costs_and_the_time_in_each_stage() -> None:
    page = deeds.full(SUCCEEDED, later(10))
    said = text(page)
    assert said.startswith(f"{ID}  SUCCEEDED\n")
    assert "cost      2,000 micros set aside, 1,500 micros spent" in said
    assert "made      commit 3f2a" in said
    assert "ended 2.5 s later" in said
    assert rows(page, "Time in each stage") == [
        ["accepted", "22:00:00.000", "4", "ms"],
        ["dispatched", "22:00:00.004", "2.5", "s"],
        ["ended", "22:00:02.500"],
    ]
    assert rows(page, "What was decided")[1] == ["22:00:02.500", "OutcomeRecorded", "deedbook/intake", "SUCCEEDED"]
    assert rows(page, "What the validators said")[0][:4] == ["freshness", "STEP_EXECUTION", "WARN", "FRESHNESS_AGING"]
    assert rows(page, "Calls of the tool")[0][:4] == ["1", "SUCCEEDED", "git", "OPAQUE"]


def test_a_call_that_runs_names_the_lane_that_it_runs_in() -> None:
    timeline = (entry("IntentAccepted"), entry("ExecutionDispatched", "ledger.execution", 2))
    running = deed(state=State.RUNNING, timeline=timeline)
    told = "runs in   lane 3 of execution; `deed lanes` says which worker has it"
    assert told in text(deeds.brief(running, later(1)))
    assert "runs in" not in text(deeds.brief(replace(running, state=State.SUCCEEDED), later(1)))


def test_a_deed_that_goes_on_shows_how_long_it_has_been_where_it_is() -> None:
    page = deeds.full(deed(stages=(Stage("accepted", AT),)), later(90))
    assert rows(page, "Time in each stage") == [["accepted", "22:00:00.000", "1", "min", "30", "s"]]


def test_a_doubt_says_since_when_and_when_absence_proves_something() -> None:
    doubt = Doubt(1, later(3), "TIMEOUT", "no answer came", later(60), "resolver", None, None, "", "")
    said = text(deeds.full(deed(state=State.IN_DOUBT, doubt=doubt), later(30)))
    assert "TIMEOUT: no answer came" in said
    assert "'It is not there' proves nothing before 2026-11-21 22:01:00Z (in 30.0 s)." in said
    found = replace(doubt, applied=True, resolved_at=later(90), by="rosa", evidence="commit 3f2a is on main")
    said = text(deeds.full(deed(state=State.SUCCEEDED, doubt=found), later(99)))
    assert "rosa found at 2026-11-21 22:01:30Z that it took effect: commit 3f2a is on main" in said


def test_votes_are_told_one_by_one() -> None:
    asked = approval(ballots=(Ballot("ann", True, "as agreed", later(5)), Ballot("bob", False, "no", later(6))))
    page = deeds.full(asking(approval=asked), later(10))
    lines = text(page).splitlines()
    assert "2 of approver, lead must agree: open until 2026-11-21 22:10:00Z" in lines
    assert [one.split()[1:3] for one in lines if "as agreed" in one or one.endswith("no")] == [
        ["ann", "agreed"],
        ["bob", "refused"],
    ]


def test_the_approver_sees_what_is_redacted_as_redacted_and_the_digest() -> None:
    said = text(approvals.request(asking(), approval(), later(0)))
    assert said.startswith("This is asked for\n")
    assert f"digest    {DIGEST}" in said
    assert '    "password": "[redacted]"' in said
    assert "needed    2 of approver, lead; so far ann" in said
    assert "until     2026-11-21 22:10:00Z (in 10 min 0 s)" in said


def test_a_display_that_is_no_json_is_shown_as_it_is() -> None:
    assert "  {cut" in text(approvals.request(asking(), approval(display="{cut"), AT)).splitlines()


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\r\ndigest 00", "\u202emoor", "\x07", "a\u2028b"])
def test_what_others_wrote_changes_nothing_around_it(hostile: str) -> None:
    display = json.dumps({"a": hostile})
    page: Page = [
        line("asked by ", hostile),
        Grid(("REASON",), ((hostile,),)),
        *approvals.request(asking(requester=hostile), approval(display=display), AT),
    ]
    lines = list(plain(page))
    assert all(one.isprintable() for one in lines)
    assert lines[0] == "asked by " + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in hostile)


def test_markup_is_no_markup(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from libs.client.rendering import page

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    page.put([line("[bold]why[/bold]"), Grid(("REASON",), (("[red]no[/red]",),))])
    said = capsys.readouterr().out
    assert "[bold]why[/bold]" in said
    assert "[red]no[/red]" in said


def test_an_id_is_never_broken_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from libs.client.rendering import page

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "70")
    page.put([Grid(("INTENT", "WHY"), ((ID, "a reason of many words that does not fit into what is left of it"),))])
    assert ID in capsys.readouterr().out


def test_a_stream_tells_each_decision_once() -> None:
    first = entry("IntentAccepted")
    second = entry("IntentBlocked", "ledger.validation", 2, decided_at=later(1), code="TOOL_DENIED", reason="denied")
    told = list(plain(deeds.news(deed(timeline=(first, second)), (first,))))
    assert len(told) == 1
    assert told[0].split() == [
        "22:00:01.000",
        "+1.0",
        "s",
        "IntentBlocked",
        "deedbook/intake",
        "TOOL_DENIED:",
        "denied",
    ]


def test_many_deeds_are_a_row_each() -> None:
    page = [deeds.listed([SUCCEEDED, asking(overdue=True)])]
    lines = list(plain(page))
    assert lines[0].split() == ["INTENT", "STATE", "TOOL", "BY", "CREATED", "COST"]
    assert lines[1].split()[1:5] == ["SUCCEEDED", "git/git_commit", "agent-7", "2026-11-21"]
    assert lines[2].endswith("waits for approval by people, overdue")


def test_what_waits_says_whose_turn_it_is_and_how_it_goes_on() -> None:
    stuck = waiting.of_deed(asking())
    assert (stuck.who, stuck.next.partition("  #")[0]) == ("approver, lead", f"deed approve {ID}")
    halted = Lane("budget", 3, "HALTED", "", 4, 0, "GAP: 7 is missing")
    parked = Parked("validation", ID, 1, 2, AT)
    said = text(waiting.page([stuck], [halted], [parked], later(60)))
    assert "approval by people" in said
    assert said.splitlines()[1].endswith("approver, lead  in 9 min 0 s")
    assert "deed lanes clear 3 --reason" in said
    assert f"deed unpark {ID} --service validation" in said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0042, "4 ms"), (1.25, "1.2 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (180_000, "2 d 2 h"), (-5, "-5.0 s")],
)
def test_lengths_of_time(seconds: float, said: str) -> None:
    assert duration(timedelta(seconds=seconds)) == said


def test_a_deadline_says_how_far_it_is() -> None:
    assert until(None, AT) == "no end"
    assert until(later(-90), AT) == "2026-11-21 21:58:30Z (1 min 30 s ago)"

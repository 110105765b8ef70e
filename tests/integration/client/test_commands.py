"""The program `deed` as agents' developers and people who decide use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.governance.remedies import remedy
from tests.integration.client.program import LANES, Program, local_program

pytestmark = pytest.mark.integration
READ = ("--capability", "builtin.journal", "--account", "main", "--source", "crm")
GUARDED = ("builtin/sleep", "ms=20", "--capability", "builtin.sleep", "--account", "main", "--source", "crm")
SLOW = ("builtin/sleep", "ms=3000", "--capability", "builtin.sleep", "--account", "main", "--source", "crm")


@pytest.fixture(scope="module")
def deed() -> Iterator[Program]:
    """The program, with a local system that it started."""
    with local_program() as program:
        yield program


def asked(deed: Program, *words: str) -> str:
    """An intent that waits for a person; its id."""
    said = deed("--as", "agent-7", "submit", *(words or GUARDED), "--wait")
    assert said.exit_code == 7, said
    return said.lines[0]


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.mark.requirement("G4")
def test_an_intent_is_submitted_followed_and_told_in_full(deed: Program) -> None:
    said = deed.alone("--as", "agent-7", "submit", "builtin/journal", "n=1", *READ, "--wait")
    assert said.exit_code == 0, said
    intent, *steps, last = said.lines
    assert [line.split()[3] for line in steps] == [
        "IntentAccepted", "IntentAllowed", "BudgetReserved", "ExecutionDispatched", "ExecutionSucceeded",
        "BudgetSettled", "OutcomeRecorded",
    ]  # fmt: skip
    assert last == "SUCCEEDED  1,000 micros set aside, 1,000 micros spent"
    assert deed("get", intent).lines[0] == f"{intent}  SUCCEEDED"
    whole = deed("show", intent).out
    for part in ("Time in each stage", "What was decided", "What the validators said", "Calls of the tool"):
        assert f"\n\n{part}\n" in whole
    found = deed("show", intent, "--json").object
    assert (found["state"], found["requester"], found["cost_micros"]) == ("SUCCEEDED", "agent-7", 1_000)
    assert found["refs"][0]["type"] == "journal_line"
    assert deed("explain", intent).lines[0].startswith(f"{intent} is SUCCEEDED: it was carried out and made")
    watched = deed("watch", intent, "--json")
    assert (json.loads(watched.lines[-1])["state"], watched.exit_code) == ("SUCCEEDED", 0)


def test_a_document_is_read_from_a_file_or_the_input_and_repeated_is_the_same_intent(
    deed: Program, tmp_path: Path
) -> None:
    document: dict[str, Any] = {
        "tool": "builtin/journal", "arguments": {"n": 2}, "key": "document-1", "account": "main",
        "capability": "builtin.journal", "expires_at": in_an_hour(),
    }  # fmt: skip
    file = tmp_path / "intent.json"
    file.write_text(json.dumps(document))
    first = deed("submit", str(file), "--wait", "--json").object
    again = deed("submit", "-", "--wait", "--json", given=json.dumps(document)).object
    assert first["state"] == again["state"] == "SUCCEEDED"
    assert first["intent_id"] == again["intent_id"]
    other = deed("submit", str(file), "n=3", "--wait")
    assert (other.exit_code, other.err.partition(":")[0]) == (1, "KEY_REUSED"), other
    assert remedy("KEY_REUSED") in other.err
    late = deed("submit", str(file), "--key", "document-2", "--expires", "2099-01-01T00:00:00Z")
    assert (late.exit_code, late.err.partition(":")[0]) == (1, "EXPIRY_TOO_FAR"), late


@pytest.mark.requirement("A1")
def test_where_kafka_is_named_intents_are_published_there_and_answered_alike(deed: Program) -> None:
    kafka = {"DEED_KAFKA_BOOTSTRAP": deed.bootstrap, "DEED_LANES": str(LANES)}
    said = deed("submit", "builtin/journal", "n=4", *READ, "--key", "by-kafka", "--json", **kafka)
    assert (said.exit_code, said.object["topic"]) == (0, "intents"), said
    assert deed("watch", said.object["intent_id"]).exit_code == 0
    other = deed("submit", "builtin/journal", "n=5", *READ, "--key", "by-kafka", "--wait", **kafka)
    assert (other.exit_code, other.err.partition(":")[0]) == (1, "KEY_REUSED"), other


@pytest.mark.requirement("A6")
def test_a_submission_is_told_of_by_its_id_or_its_place(deed: Program) -> None:
    kafka = {"DEED_KAFKA_BOOTSTRAP": deed.bootstrap, "DEED_LANES": str(LANES)}
    first = deed("submit", "builtin/journal", "n=6", *READ, "--key", "placed", "--json", **kafka).object
    deed("watch", first["intent_id"])
    accepted = deed("submission", first["submission_id"], "--intent", first["intent_id"], "--json")
    assert (accepted.object["state"], accepted.exit_code) == ("ACCEPTED", 0)
    other = deed("submit", "builtin/journal", "n=7", *READ, "--key", "placed", "--wait", **kafka)
    assert other.exit_code == 1
    document = json.dumps(
        {"tool": "builtin/journal", "arguments": {"n": 8}, "key": "twice", "expires_at": in_an_hour()}
    )
    deed("submit", "-", "--wait", given=document)
    hint = deed("submit", "-", given=document).err.partition("`deed ")[2].partition("`")[0]
    repeated = deed(*hint.split(), "--json")
    assert (repeated.object["state"], repeated.exit_code) == ("REPEATED", 0), hint
    place = f"intents/{first['partition']}/{first['offset'] + 1}"
    rejected = deed("submission", place)
    assert rejected.lines[0].endswith("  REJECTED"), rejected
    assert rejected.exit_code == 1
    assert remedy("KEY_REUSED") in rejected.out
    assert deed("submission", f"intents/{first['partition']}/{first['offset'] + 1000}").exit_code == 3


@pytest.mark.requirement("B7")
@pytest.mark.requirement("G4")
def test_what_was_blocked_says_all_that_stands_against_it_and_what_to_do(deed: Program) -> None:
    said = deed("submit", "builtin/journal", "salary=1", "--capability", "other", "--account", "main", "--wait")
    assert said.exit_code == 1
    intent = said.lines[0]
    found = deed("explain", intent, "--json").object
    codes = [reason[0] for reason in found["reasons"]]
    assert (found["state"], codes) == ("BLOCKED", ["CAPABILITY_MISMATCH", "FIELD_DENIED"])
    told = deed("explain", intent).out
    assert "FIELD_DENIED: the policy denies the field salary\n" in told
    assert "Leave out the field that the finding names, or have the policy changed." in told


@pytest.mark.requirement("E1")
@pytest.mark.requirement("E2")
def test_people_agree_to_exactly_what_they_saw(deed: Program) -> None:
    intent = asked(deed, *GUARDED, "password=geheim")
    mine = deed("--as", "agent-7", "approve", intent, "--yes")
    assert (mine.exit_code, mine.err.partition(":")[0]) == (4, "SELF_APPROVAL")
    assert deed("--as", "ann", "approve", intent).exit_code == 2, "in a script nobody can be asked"
    unseen = deed("--as", "ann", "approve", intent, "--json", given="y\n")
    assert (unseen.exit_code, unseen.object["error"]["code"]) == (2, "NOT_CONFIRMED")
    other = deed("--as", "ann", "approve", intent, "--yes", "--digest", "00" * 32)
    assert (other.exit_code, other.err.partition(":")[0]) == (1, "DIGEST_MISMATCH")
    digest = deed("get", intent, "--json").object["approval"]["action_digest"]
    said = deed("--as", "ann", "approve", intent, "--yes", "--digest", digest, "--reason", "as agreed")
    assert said.exit_code == 0, said
    assert f"digest    {digest}" in said.lines
    assert "may cost  1,000 micros" in said.lines
    assert '    "password": "[redacted]"' in said.lines
    assert "geheim" not in said.out
    assert said.lines[-1].startswith("Approved. The intent is ")
    assert deed("watch", intent).exit_code == 0
    assert deed("--as", "ann", "deny", intent, "--yes").err.startswith("NOT_ASKED: nobody is asked about it")


def test_a_person_at_a_terminal_is_asked_back(deed: Program) -> None:
    intent = asked(deed)
    shown, exit_code = deed.typed(b"n\n", "--as", "ann", "approve", intent)
    assert "Agree to exactly this? [y/N]" in shown
    assert ("NOT_CONFIRMED: nothing was sent" in shown, exit_code) == (True, 1)
    assert deed("get", intent, "--json").object["approval"]["ballots"] == []
    shown, exit_code = deed.typed(b"y\n", "--as", "ann", "deny", intent, "--reason", "not today")
    assert "\x1b[" in shown, "a terminal gets colours"
    assert ("Refused." in shown, exit_code) == (True, 0)
    found = deed("get", intent, "--json").object
    assert (found["code"], found["reason"]) == ("DENIED", "not today")


def test_withdrawals_cancellations_and_repairs_count_only_in_their_time(deed: Program) -> None:
    intent = asked(deed)
    whole = deed("unpark", intent, "--service", "approval", "--reason", "mended")
    assert (whole.exit_code, whole.err.partition(":")[0]) == (1, "NOT_PARKED")
    early = deed("--as", "ann", "withdraw", intent)
    assert (early.exit_code, early.err.partition(":")[0]) == (1, "NOT_GRANTED")
    said = deed("--as", "agent-7", "cancel", intent, "--reason", "the customer called", "--json")
    assert (said.exit_code, said.object["events"][0]["event"]) == (0, "CancelRequested"), said
    assert deed("watch", intent).exit_code == 1
    found = deed("get", intent, "--json").object
    assert (found["state"], found["reason"]) == ("CANCELLED", "the customer called")
    for word in ("cancel", "withdraw"):
        late = deed(word, intent)
        assert (late.exit_code, late.err.partition(":")[0]) == (1, "ALREADY_ENDED")


@pytest.mark.requirement("F5")
def test_a_doubt_is_seen_explained_and_resolved_on_evidence(deed: Program) -> None:
    intent = asked(deed, *SLOW)
    assert deed("--as", "ann", "approve", intent, "--yes").exit_code == 0
    seen = deed("--as", "agent-7", "get", intent)
    for _ in range(1000):  # each look takes some milliseconds
        if "IN_DOUBT" in seen.lines[0]:
            break
        seen = deed("get", intent)
    assert "IN_DOUBT" in seen.lines[0], seen
    waiting = [one for one in map(json.loads, deed("stuck", "--human", "--json").lines) if one["intent_id"] == intent]
    assert (waiting[0]["who"], waiting[0]["state"]) == ("resolver", "IN_DOUBT")
    told = deed("explain", intent).out
    assert f"deed resolve {intent} --applied --evidence TEXT --reason TEXT" in told
    quiet = deed("resolve", intent, "--not-applied", "--evidence", "nothing there", "--reason", "looked")
    assert (quiet.exit_code, quiet.err.partition(":")[0]) == (1, "QUIET_PERIOD")
    nothing = deed("retry", intent, "-", given='{"tool":"builtin/sleep"}')
    assert (nothing.exit_code, nothing.err.partition(":")[0]) == (6, "IN_DOUBT")
    said = deed("resolve", intent, "--applied", "--evidence", "a line in the journal", "--reason", "looked", "--json")
    assert (said.exit_code, said.object["events"][0]["event"]) == (0, "ExecutionResolved"), said
    assert "a line in the journal (looked)" in deed("show", intent).out


def test_what_definitely_did_not_happen_is_retried_once(deed: Program, tmp_path: Path) -> None:
    file = tmp_path / "intent.json"
    document = {"tool": "builtin/journal", "account": "main", "capability": "wrong"}
    file.write_text(json.dumps(document))
    before = deed("submit", str(file), "--wait", "--json").object["intent_id"]
    file.write_text(json.dumps({**document, "capability": "builtin.journal"}))
    first = deed("retry", before, str(file), "--wait", "--json")
    again = deed("retry", before.upper(), str(file), "--wait", "--json")
    assert (first.object["state"], first.exit_code) == ("SUCCEEDED", 0)
    assert first.object["intent_id"] == again.object["intent_id"] != before
    for wait in ((), ("--wait",)):
        other = deed("retry", before, "-", *wait, given=json.dumps(document))
        assert (other.exit_code, other.err.partition(":")[0]) == (1, "KEY_REUSED"), other
        assert f"It was retried already, with other content: `deed get {again.object['intent_id']}`" in other.err
    done = deed("retry", first.object["intent_id"], str(file))
    assert (done.exit_code, done.err.partition(":")[0]) == (1, "ALREADY_DONE")


def test_what_may_have_been_submitted_is_typed_again_without_being_done_twice(deed: Program) -> None:
    """The same words would be another intent: with another key, another expiry and other times."""
    away = {"DEED_GATEWAY": "127.0.0.1:9", "DEED_TOKEN": "mine-and-mine", "DEED_CALL_TIMEOUT_MS": "300"}
    lost = deed("submit", "builtin/journal", "line=it's \u20ac 5", *READ, **away)
    assert lost.exit_code == 5, lost
    *_, command, document, end = lost.err.splitlines()
    assert (command, end) == ("deed submit - <<'END'", "END")
    first = deed("submit", "-", "--wait", "--json", given=document).object
    again = deed("submit", "-", "--wait", "--json", given=document).object
    assert first["state"] == "SUCCEEDED"
    assert (again["intent_id"], again["ended_at"]) == (first["intent_id"], first["ended_at"])


def test_what_could_not_be_looked_for_is_not_said_to_be_well(deed: Program) -> None:
    said = deed("stuck", "--search", "1", DEED_DATABASE_URL="postgresql://x:y@127.0.0.1:9/none")
    assert (said.exit_code, "Nothing waits." in said.err, "DATABASE_AWAY" in said.err) == (5, False, True)


def test_lists_are_filtered_bounded_and_one_object_per_line_for_programs(deed: Program) -> None:
    said = deed("list", "--state", "succeeded", "--limit", "2", "--json")
    assert [json.loads(line)["state"] for line in said.lines] == ["SUCCEEDED", "SUCCEEDED"]
    assert "There may be more" in said.err
    table = deed("list", "--account", "main").lines
    assert table[0].split()[:3] == ["INTENT", "STATE", "TOOL"]
    assert len(table) > 2
    assert deed("list", "--state", "REFUSED").err == "There are none.\n"


@pytest.mark.parametrize(
    ("words", "env", "exit_code", "code"),
    [
        (("get", "0b8d1d1e-0000-5000-8000-000000000000"), {}, 3, "NOT_FOUND"),
        (("get", "no-id"), {}, 2, "BAD_REQUEST"),
        (("list", "--state", "LOST"), {}, 2, "STATE_UNKNOWN"),
        (("list", "--account", "not-mine"), {}, 4, "ACCOUNT_DENIED"),
        (("list",), {"DEED_TOKEN": "forged"}, 4, "UNAUTHENTICATED"),
        (("--as", "ann", "list"), {"DEED_TOKEN": "mine"}, 2, "SETTING_WRONG"),
        (("list",), {"DEED_STATUS": "127.0.0.1:9", "DEED_TOKEN": "x", "DEED_CALL_TIMEOUT_MS": "300"}, 5, ""),
        (("list",), {"DEED_CALL_TIMEOUT_MS": "soon"}, 2, "SETTING_WRONG"),
        (("submit", "builtin/journal", "nonsense"), {}, 2, "FIELD_INVALID"),
        (("submit", "missing.json"), {}, 2, "FILE_UNREADABLE"),
        (("submit", "builtin/journal", "n=1", "--expires", "999999999d"), {}, 2, "FIELD_INVALID"),
        (("submit", "builtin/journal", "--cost-cap-micros", "99999999999999999999"), {}, 2, ""),
        (("list",), {"DEED_TOKEN": "two words"}, 2, "MISCONFIGURED"),
        (("list",), {"DEED_STATUS": "localhost", "DEED_TOKEN": "x"}, 2, "SETTING_WRONG"),
        (("dead", "list", "--service", "intakes"), {}, 2, "SERVICE_UNKNOWN"),
        (("submission", "intents/99/-1"), {}, 2, "PLACE_INVALID"),
        (("up", "--shape", "separate"), {}, 1, "BUSY"),
        (("lanes",), {"DEED_DATABASE_URL": "postgresql://x:y@127.0.0.1:9/none"}, 5, "DATABASE_AWAY"),
        (("kill", "global", "--reason", "x"), {"DEED_GATEWAY": "127.0.0.1:9", "DEED_TOKEN": "x"}, 5, "AWAY"),
        (("verify",), {"DEED_KAFKA_BOOTSTRAP": "127.0.0.1:9", "DEED_KAFKA_TIMEOUT_MS": "300"}, 5, "AWAY"),
        (("dead", "list"), {"DEED_KAFKA_BOOTSTRAP": "127.0.0.1:9", "DEED_KAFKA_TIMEOUT_MS": "300"}, 5, "AWAY"),
        (("unpark", "0b8d1d1e-0000-5000-8000-000000000000", "--reason", "x"), {}, 3, "NOT_FOUND"),
    ],
)
def test_what_goes_wrong_has_a_code_a_reason_and_an_exit_code(
    deed: Program, words: tuple[str, ...], env: dict[str, str], exit_code: int, code: str
) -> None:
    said = deed(*words, **env)
    assert said.exit_code == exit_code, said
    assert said.err.startswith(f"{code}: " if code else ""), said
    assert said.out == ""


def test_the_help_lists_exit_codes_and_every_command_has_an_example(deed: Program) -> None:
    said = deed("--help").out
    assert "6  in doubt: nobody knows whether it happened" in said
    names = "submit retry submission get list watch show explain approve deny withdraw cancel resolve unpark stuck"
    for name in names.split():
        assert f" {name} " in said
        assert f" deed {name}" in deed(name, "--help").out or f"deed --as ann {name}" in deed(name, "--help").out


def test_commands_and_states_are_completed(deed: Program) -> None:
    def completed(*words: str) -> list[str]:
        asked = {"_DEED_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
        return deed.alone(**asked).out.split()

    assert completed("deed", "app") == ["approve"]
    assert completed("deed", "list", "--state", "IN_") == ["IN_DOUBT"]

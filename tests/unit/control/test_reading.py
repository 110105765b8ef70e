"""Who may change what (T10), and what is not a change at all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import events
from libs.contracts.events import CommandRejected
from libs.governance.identity import submission_id
from libs.ledger.codec import encode_message
from libs.ledger.service import Dead
from services.control.reading import check, key_of_change
from tests.unit.control.given import (
    ADAM,
    AGENT,
    CONTROL,
    OLGA,
    OTTO,
    POLICY,
    POLICY_HASH,
    WORKER,
    WORLD,
    Control,
    Kind,
    command_of,
    examples,
    head,
    record,
    refusal,
    replace,
)


@pytest.mark.parametrize("name", sorted(examples()))
def test_who_rules_the_platform_may_change_everything_and_agents_nothing(name: str) -> None:
    assert command_of(examples(1, OLGA)[name]).key != examples(1, OLGA)[name].command_id
    assert refusal(examples(1, AGENT)[name]) == "ROLE_MISSING"


def about(name: str, who: events.Principal) -> list[Any]:
    """What concerns the tenant or one of its accounts alone."""
    account = {"kind": "ACCOUNT", "id": f"{name}/a1/b"}
    scope: dict[str, Any] = {"kind": events.BudgetKind.TENANT, "id": name, "period": events.BudgetPeriod.DAY}
    policy: dict[str, Any] = {"policy": POLICY, "policy_hash": POLICY_HASH}
    return [
        events.FlipSwitch(**head(1, who), kind=Kind.TENANT, id=name, stopped=True),
        events.FlipSwitch(**head(1, who), kind=Kind.ACCOUNT, id=account["id"], stopped=False),
        events.DefineBudget(**head(1, who), **scope, hard_micros=5),
        events.DefineBudget(**head(1, who), **scope | account | {"kind": events.BudgetKind.ACCOUNT}, hard_micros=5),
        events.RemoveBudget(**head(1, who), **scope),
        events.PublishPolicy(**head(1, who), tenant=name, **policy),
        events.SetRateLimit(**head(1, who), kind=events.RateLimitKind.TENANT, id=name, window_ms=1_000, permits=5),
        events.SetFlag(**head(1, who), level=events.FlagLevel.TENANT, id=name, name="x", value="true"),
    ]


def of_all(who: events.Principal) -> list[Any]:
    """What all tenants share."""
    scope: dict[str, Any] = {"period": events.BudgetPeriod.DAY}
    found = [
        *[events.FlipSwitch(**head(1, who), kind=kind, id=name, stopped=stopped)
          for kind, name in ((Kind.GLOBAL, ""), (Kind.TOOL, "git/git_log"), (Kind.CAPABILITY, "acme"))
          for stopped in (True, False)],
        *[events.DefineBudget(**head(1, who), kind=kind, id=name, **scope, hard_micros=5)
          for kind, name in ((events.BudgetKind.GLOBAL, ""), (events.BudgetKind.TOOL, "acme/git_log"))],
        events.RemoveBudget(**head(1, who), kind=events.BudgetKind.GLOBAL, id="", **scope),
        events.PublishPolicy(**head(1, who), tenant="", policy=POLICY, policy_hash=POLICY_HASH),
    ]  # fmt: skip
    shared = ("RegisterTool", "RemoveTool", "AcceptTool", "QuarantineTool", "RegisterServer", "RemoveServer",
              "SetRateLimit", "SetFlag", "ReportBreaker")  # fmt: skip
    return found + [examples(1, who)[name] for name in shared]


@pytest.mark.requirement("T11")
@pytest.mark.parametrize("who", [OTTO, ADAM])
def test_operators_rule_their_own_tenant_and_nobody_elses(who: events.Principal) -> None:
    for change in about("acme", who):
        check(change)
    for change in [*about("rival", who), *about("acme2", who), *of_all(who)]:
        assert refusal(change) == "PLATFORM_ROLE_MISSING"
    for change in [*about("rival", OLGA), *of_all(OLGA)]:
        check(change)


def test_what_is_refused_before_its_name_is_looked_at_cannot_be_used_to_look() -> None:
    for name in ("", "/a1", "acme/", " acme"):
        change = events.FlipSwitch(**head(1, OTTO), kind=Kind.ACCOUNT, id=name, stopped=True)
        assert refusal(change) == ("ID_INVALID" if name == "acme/" else "PLATFORM_ROLE_MISSING")
    nobody = msgspec.structs.replace(OTTO, tenant="")
    assert (
        refusal(events.FlipSwitch(**head(1, nobody), kind=Kind.TENANT, id="", stopped=True)) == "PLATFORM_ROLE_MISSING"
    )


@pytest.mark.parametrize("name", sorted(examples()))
def test_workers_report_what_they_saw_of_a_server_and_change_nothing_else(name: str) -> None:
    change = examples(1, WORKER)[name]
    if name in ("ReportBreaker", "QuarantineTool"):
        assert check(change) == change
    else:
        assert refusal(change) == "ROLE_MISSING"


@pytest.mark.requirement("T9")
@pytest.mark.parametrize("name", ["ReportBreaker", "QuarantineTool"])
@pytest.mark.parametrize(
    "who",
    [AGENT, replace(WORKER, tenant="acme"), replace(WORKER, kind=events.ActorKind.MACHINE), replace(WORKER, roles=())],
)
def test_nobody_with_a_token_reports_as_a_worker(name: str, who: events.Principal) -> None:
    """Every token names a tenant, and no worker has one."""
    assert refusal(examples(1, who)[name]) == "ROLE_MISSING"


@pytest.mark.parametrize("name", sorted(examples()))
@pytest.mark.parametrize("reason", ["", " \n", "x" * 1001, "drill\x1b[2J", "drill \u202egnp.exe"])
def test_nothing_changes_without_a_readable_reason(name: str, reason: str) -> None:
    assert refusal(examples(reason=reason)[name]) == "REASON_INVALID"


def test_a_refused_command_is_recorded_under_its_own_id() -> None:
    change = examples(7, AGENT)["FlipSwitch"]
    control = Control()
    (body,) = control.give(change)
    assert body == CommandRejected(change.command_id, "FlipSwitch", "ROLE_MISSING", body.reason)
    assert list(control.states) == [change.command_id]
    assert control.facts[0].envelope.tenant == "acme"


@pytest.mark.requirement("A6")
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "WRONG_MAGIC"),
        (b"{}", "WRONG_MAGIC"),
        (b"\x00\x00", "TRUNCATED"),
        (b"\x00\x00\x00\x00\x01", "UNKNOWN_SCHEMA"),
        (encode_message(examples()["FlipSwitch"]) + b"!", "TRAILING_BYTES"),
        (encode_message(examples()["FlipSwitch"])[:-3], "TRUNCATED"),
        (b"\x00" * (1 << 21), "OVERSIZE"),
    ],
)
def test_bad_bytes_are_buried_and_refused_under_the_id_of_their_place(value: bytes, code: str) -> None:
    assert CONTROL.prepare is not None
    command = CONTROL.prepare(record(value, 41), WORLD).command
    assert command is not None
    control, place = Control(), submission_id("control.commands", 0, 41)
    (body,) = control.take(command)
    assert (command.key, body.command_id, body.command, body.code) == (place, place, "", code)
    assert control.dead == [Dead(code, body.reason)]
    assert control.take(command) == []


def test_a_change_in_a_transaction_is_buried() -> None:
    assert CONTROL.prepare is not None
    sound = record(encode_message(examples()["FlipSwitch"]))
    command = CONTROL.prepare(replace(sound, flaw="written in a transaction"), WORLD).command
    assert command is not None
    (body,) = Control().take(command)
    assert (body.code, body.reason) == ("UNREADABLE", "written in a transaction")


def test_records_of_other_topics_are_not_for_control() -> None:
    assert CONTROL.prepare is not None
    assert CONTROL.prepare(replace(record(b""), topic="commands"), WORLD).command is None


def test_keys_never_change() -> None:
    found = {name: key_of_change(change).hex() for name, change in examples().items()}
    assert found == {name: key_of_change(change).hex() for name, change in examples(2, ADAM, "other").items()}
    assert len(set(found.values())) == len(found) - 5  # one tool four times, one server and one budget twice
    assert found["RegisterTool"] == "e33829143e495d1d8d523b2509f17944"
    assert found["DefineBudget"] == "65f7e7d82ca15b62ab136126d2530da3"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(examples())), st.binary(max_size=40), st.integers(0, 400), st.integers(0, 255))
def test_damaged_records_never_stop_the_lane(name: str, more: bytes, place: int, byte: int) -> None:
    value = bytearray(encode_message(examples()[name]) + more)
    value[place % len(value)] = byte
    assert CONTROL.prepare is not None
    command = CONTROL.prepare(record(bytes(value)), WORLD).command
    assert command is not None
    assert len(CONTROL.decide(command, CONTROL.initial, WORLD)) in (1, 2)

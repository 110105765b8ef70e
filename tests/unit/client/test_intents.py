"""An intent is the same in the words of the ledger and of gRPC, and what can never work is refused at once."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from libs.client.errors import InvalidRequest
from libs.client.intents import DataSource, Evidence, Intent, to_event, to_record, to_wire
from libs.contracts import events
from libs.runtime.rpc import BadRequest
from services.intake.handler import read_intent

AT = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
FULL = Intent(
    tool="git/git_commit",
    arguments={"message": "Zahlung über 3 €", "amend": False},
    key="k",
    account="main",
    capability="git.write",
    evidence=(Evidence("ticket", "OPS-17"), Evidence("", "e-1", events.EvidenceKind.LEDGER_EVENT)),
    data_sources=(DataSource("crm", AT),),
    expires_at=AT + timedelta(hours=1),
    cost_cap_micros=0,
    cost_class=events.CostClass.MEDIUM,
    snapshot_id="s",
    run_id="r",
    plan_id="p",
    step_id="t",
    parent_id="u",
    trace_parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    retry_of="e88e71b2-0d53-5c13-9a19-674da8c61f8b",
    edited_from="e88e71b2-0d53-5c13-9a19-674da8c61f8c",
)


@pytest.mark.parametrize("intent", [FULL, Intent(tool="a/b")], ids=["full", "empty"])
def test_both_ways_carry_the_same_intent(intent: Intent) -> None:
    event = to_event(intent)
    assert read_intent(to_wire(event)) == event


def test_every_field_reaches_the_ledger() -> None:
    event, empty = to_event(FULL), to_event(Intent(tool="x/y"))
    assert all(getattr(event, name) != getattr(empty, name) for name in event.__struct_fields__)
    assert event.arguments == '{"message":"Zahlung über 3 €","amend":false}'


def test_a_moment_is_the_same_in_every_time_zone() -> None:
    there = AT.astimezone(timezone(timedelta(hours=-5)))
    assert (
        to_event(Intent(tool="a/b", expires_at=there)).expires_at
        == to_event(Intent(tool="a/b", expires_at=AT)).expires_at
    )


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"expires_at": datetime(2026, 1, 1)}, "FIELD_INVALID"),
        ({"data_sources": (DataSource("crm", datetime(2026, 1, 1)),)}, "FIELD_INVALID"),
        ({"retry_of": "nonsense"}, "FIELD_INVALID"),
        ({"arguments": {"n": math.nan}}, "JSON_NUMBER"),
        ({"arguments": {"n": 2**53}}, "JSON_NUMBER"),
        ({"arguments": {"n": object()}}, "JSON_SYNTAX"),
        ({"arguments": {"n": "\ud800"}}, "JSON_UNICODE"),
        ({"arguments": {"n": "x" * 70_000}}, "JSON_TOO_LARGE"),
    ],
)
def test_what_can_never_work_is_refused_before_it_is_sent(given: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        to_event(Intent(tool="a/b", **given))
    assert raised.value.code == code
    assert raised.value.remedy


@pytest.mark.parametrize(
    "given", [{"cost_cap_micros": 2**63}, {"cost_cap_micros": -(2**63) - 1}, {"tool": "a/\ud800"}, {"key": 5}]
)
def test_a_value_that_has_no_place_is_refused_whichever_way_it_goes(given: dict[str, Any]) -> None:
    intent = Intent(**({"tool": "a/b"} | given))
    with pytest.raises(InvalidRequest) as raised:
        to_wire(to_event(intent))
    assert raised.value.code == "FIELD_INVALID"
    with pytest.raises(InvalidRequest):
        to_record(to_event(intent))


def test_arguments_without_end_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"deeper": deep}
    with pytest.raises(InvalidRequest) as raised:
        to_event(Intent(tool="a/b", arguments=deep))
    assert raised.value.code == "JSON_TOO_DEEP"


def test_keys_are_new_unless_given() -> None:
    assert len({Intent(tool="a/b").key for _ in range(100)}) == 100
    assert BadRequest.code == InvalidRequest.code

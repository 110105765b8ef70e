"""What is in force is a fold of the control ledger; an unreadable policy denies, and nothing ever raises."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from libs.contracts import events as e
from libs.governance.changes import CHANGES_MAX
from libs.governance.control import EMPTY, ControlView, apply, freshened, stop_code
from libs.ledger.service import Fact
from libs.testkit.samples import (
    ZERO,
    budget,
    changed,
    control,
    envelope,
    policy,
    said,
    server,
    switch,
    tool,
    tool_entry,
)

K = e.SwitchKind


def where(view: ControlView) -> str | None:
    found = view.stopped_by("acme", "main", "git/commit", "vcs")
    return found.code if found else None


@pytest.mark.parametrize(
    ("kind", "name", "other"),
    [
        (K.GLOBAL, "", None),
        (K.TENANT, "acme", "evil"),
        (K.ACCOUNT, "acme/main", "acme/spare"),
        (K.ACCOUNT, "acme/main", "evil/main"),
        (K.TOOL, "git/commit", "git/push"),
        (K.CAPABILITY, "vcs", "net"),
    ],
)
def test_a_switch_stops_what_it_names_and_nothing_else(kind: K, name: str, other: str | None) -> None:
    view = control(switch(kind, name))
    assert where(view) == f"SWITCH_{kind}"
    assert where(control(switch(kind, name, stopped=False), start=view)) is None
    if other is not None:
        assert where(control(switch(kind, other))) is None


def test_the_widest_switch_is_named() -> None:
    assert where(control(switch(K.TOOL, "git/commit"), switch(K.GLOBAL))) == "SWITCH_GLOBAL"


def test_the_gate_gets_a_code() -> None:
    class Call:
        tenant, account, tool, capability = "acme", "main", "git/commit", "vcs"

    assert stop_code(EMPTY, Call()) == ""
    assert stop_code(control(switch(K.TENANT, "acme")), Call()) == "SWITCH_TENANT"


def test_a_tool_is_quarantined_until_a_definition_is_accepted() -> None:
    view = control(server(), tool(), e.ToolQuarantined(**said(tool="git/commit", code="CHANGED")))
    assert view.tools["git/commit"].quarantined == "CHANGED"
    view = control(e.ToolAccepted(**said(tool="git/commit", definition_hash=b"n" * 32)), start=view)
    assert view.tools["git/commit"].quarantined == ""
    entry = view.tools["git/commit"].entry
    assert (entry.definition_hash, entry.definition) == (b"n" * 32, "")  # by its hash: the old text is not its text
    same = control(tool(), e.ToolAccepted(**said(tool="git/commit", definition_hash=tool_entry().definition_hash)))
    assert same.tools["git/commit"].entry.definition
    assert control(e.ToolRemoved(**said(tool="git/commit")), start=view).tools == {}


def test_a_server_serves_the_tenants_it_names_or_all() -> None:
    assert control(server()).servers["git"].serves("acme")
    named = control(server(tenants=("acme",))).servers["git"]
    assert named.serves("acme")
    assert not named.serves("evil")


def test_caps_of_all_kinds_bind_together() -> None:
    kinds = e.BudgetKind
    view = control(
        budget(1, kinds.TOOL, "git/commit"),
        budget(2, kinds.ACCOUNT, "acme/main"),
        budget(3),
        budget(4, kinds.GLOBAL, ""),
        budget(5, period=e.BudgetPeriod.DAY, cost_class=e.CostClass.EXPENSIVE),
        budget(6, name="evil"),
        budget(7, kinds.ACCOUNT, "evil/main"),
    )
    cheap = view.caps_for("acme", "main", "git/commit", e.CostClass.CHEAP)
    assert [cap.hard_micros for cap in cheap] == [4, 3, 2, 1]
    expensive = view.caps_for("acme", "", "git/push", e.CostClass.EXPENSIVE)
    assert [cap.hard_micros for cap in expensive] == [4, 3, 5]


def test_a_budget_is_replaced_and_removed_by_its_name() -> None:
    view = control(budget(1), budget(2), budget(9, period=e.BudgetPeriod.DAY))
    assert sorted(cap.hard_micros for cap in view.caps[(e.BudgetKind.TENANT, "acme")]) == [2, 9]
    gone = said(kind=e.BudgetKind.TENANT, id="acme", period=e.BudgetPeriod.ONCE)
    view = control(e.BudgetRemoved(**gone), start=view)
    assert [cap.hard_micros for cap in view.caps_for("acme", "", "x/y", e.CostClass.CHEAP)] == [9]


def test_a_tenants_own_policy_beats_the_one_for_all() -> None:
    view = control(policy(), policy("acme", tools={"allow": ["git/log"]}))
    own, others = view.policy_for("acme"), view.policy_for("evil")
    assert own is not None
    assert others is not None
    assert own.hash != others.hash
    assert EMPTY.policy_for("acme") is None


def test_a_policy_that_cannot_be_read_denies() -> None:
    broken = e.PolicyPublished(**said(tenant="acme", policy="{", policy_hash=b"b" * 32))
    snapshot = control(policy(), broken).policy_for("acme")
    assert snapshot is not None
    assert (snapshot.hash, snapshot.policy) == (b"b" * 32, None)


def test_flags_limits_and_breakers_are_looked_up() -> None:
    level = e.FlagLevel
    view = control(
        e.FlagSet(**said(level=level.GLOBAL, id="", name="x", value="1")),
        e.FlagSet(**said(level=level.TOOL, id="git/log", name="x", value="2")),
        e.FlagSet(**said(level=level.TENANT, id="acme", name="x", value="3")),
        e.FlagSet(**said(level=level.TENANT, id="acme", name="x", value=None)),
        e.RateLimitSet(**said(kind=e.RateLimitKind.TENANT, id="acme", window_ms=1_000, permits=5)),
        e.BreakerChanged(**said(server="git", state=e.BreakerState.OPEN, failures=5, until_at=9)),
    )
    assert view.flag("x", tool="git/log", tenant="acme") == "2"
    assert view.flag("x") == "1"
    assert view.flag("y") is None
    assert view.rate_limits[(e.RateLimitKind.TENANT, "acme")].permits == 5
    closed = e.BreakerChanged(**said(server="git", state=e.BreakerState.CLOSED, failures=0))
    assert view.breakers["git"].until_at == 9
    assert control(closed, start=view).breakers == {}


def test_a_view_is_a_value_and_knows_its_seq_and_freshness() -> None:
    before = control(tool())
    after = control(tool("git/push"), start=before)
    assert (before.seq, after.seq) == (1, 2)
    assert list(before.tools) == ["git/commit"]
    assert freshened(after, True) is after
    assert not freshened(after, False).fresh


@pytest.mark.parametrize(
    "body",
    [
        e.CommandRejected(bytes(16), "FlipSwitch", "ROLE_MISSING", "no"),
        e.ToolAccepted(**said(tool="no/such", definition_hash=ZERO)),
        e.ToolQuarantined(**said(tool="no/such", code="X")),
        e.ToolRemoved(**said(tool="no/such")),
        e.ServerRemoved(**said(server="none")),
        e.BudgetRemoved(**said(kind=e.BudgetKind.GLOBAL, id="", period=e.BudgetPeriod.DAY)),
        changed(tool("git/x"), entry=tool_entry(definition={"a": 1})),
    ],
)
def test_no_fact_raises(body: Any) -> None:
    assert apply(EMPTY, Fact("ledger.control", envelope(9), body, ZERO)).seq == 9


def test_what_became_of_the_last_changes_is_remembered_and_no_more() -> None:
    refused = e.CommandRejected(b"r" * 16, "RemoveTool", "UNKNOWN_TOOL", "the tool is not registered")
    view = control(e.SwitchFlipped(b"s" * 16, "olga", "drill", K.GLOBAL, "", True), refused)
    assert [(one.command_id[:1], one.seq, one.code) for one in view.changes] == [
        (b"s", 1, ""),
        (b"r", 2, "UNKNOWN_TOOL"),
    ]
    view = control(*[switch() for _ in range(CHANGES_MAX)], start=view)
    assert (len(view.changes), view.changes[0].seq) == (CHANGES_MAX, 3)


def test_a_policy_keeps_the_document_that_its_hash_names() -> None:
    kept = control(policy("acme")).policies["acme"]
    assert json.loads(kept.text) == json.loads(policy("acme").policy)
    assert hashlib.sha256(kept.text.encode()).digest() == kept.hash

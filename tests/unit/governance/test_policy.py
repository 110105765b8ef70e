"""A policy is read whole or not at all, and what it does not mention is not allowed (threat T27)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from libs.contracts import events as e
from libs.governance.policy import PolicyRefused, approval_rule, read_policy, tool_matches
from libs.testkit.samples import POLICY

RULE = {"roles": ["approver"], "within_ms": 60_000}


def read(**more: Any) -> Any:
    policy = read_policy(json.dumps(POLICY | more)).policy
    assert policy is not None
    return policy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps(POLICY)[:-10],
        json.dumps(POLICY | {"version": 2}),
        json.dumps(POLICY | {"version": True}),
        json.dumps(POLICY | {"tols": {}}),
        json.dumps({"version": 1}),
        json.dumps(POLICY | {"tools": {"allow": ["commit"]}}),
        json.dumps(POLICY | {"tools": {"allow": ["g*/commit"]}}),
        json.dumps(POLICY | {"tools": {"allow": "*"}}),
        json.dumps(POLICY | {"fields": [{"deny": ["a..b"]}]}),
        json.dumps(POLICY | {"freshness": {"default": {"soft_ms": 2, "hard_ms": 1}}}),
        json.dumps(POLICY | {"freshness": {"default": {"soft_ms": -1, "hard_ms": 1}}}),
        json.dumps(POLICY | {"freshness": {"default": {"soft_ms": 1.5, "hard_ms": 2}}}),
        json.dumps(POLICY | {"approvals": [RULE | {"needed": 0}]}),
        json.dumps(POLICY | {"approvals": [RULE | {"roles": []}]}),
        json.dumps(POLICY | {"approvals": [RULE | {"roles": [""]}]}),
        json.dumps(POLICY | {"approvals": [RULE | {"effects": ["DELETE"]}]}),
        '{"version": 1, "version": 1, "tools": {"allow": []}}',
    ],
)
def test_a_broken_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyRefused):
        read_policy(text)


def test_a_snapshot_is_named_by_its_canonical_content() -> None:
    text = json.dumps(POLICY)
    snapshot = read_policy(text)
    assert snapshot == read_policy(json.dumps(POLICY, indent=4, sort_keys=True))
    assert len(snapshot.hash) == 32
    assert snapshot.hash != read_policy(json.dumps(POLICY | {"approvals": [RULE]})).hash
    assert snapshot.hash == hashlib.sha256(json.dumps(POLICY, sort_keys=True, separators=(",", ":")).encode()).digest()


@pytest.mark.parametrize(
    ("pattern", "tool", "fits"),
    [
        ("*", "git/push", True),
        ("git/*", "git/push", True),
        ("git/*", "gitx/push", False),
        ("git/push", "git/push", True),
        ("git/push", "git/push2", False),
    ],
)
def test_patterns_name_tools(pattern: str, tool: str, fits: bool) -> None:
    assert tool_matches((pattern,), tool) is fits


def test_the_strictest_rule_asks() -> None:
    policy = read(
        approvals=[
            RULE,
            RULE | {"needed": 3, "roles": ["board"], "cost_classes": ["EXPENSIVE"]},
            RULE | {"needed": 2, "tools": ["git/push"], "effects": ["WRITE"]},
        ]
    )
    write, read_, cheap = e.EffectKind.WRITE, e.EffectKind.READ, e.CostClass.CHEAP
    found = [
        approval_rule(policy, "git/commit", cheap, read_),
        approval_rule(policy, "git/push", cheap, write),
        approval_rule(policy, "git/push", cheap, read_),
        approval_rule(policy, "git/push", e.CostClass.EXPENSIVE, write),
    ]
    assert [rule.needed for rule in found if rule] == [1, 2, 1, 3]
    assert approval_rule(read(), "git/push", cheap, write) is None

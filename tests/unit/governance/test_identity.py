"""Ids and lanes never change: they are held against published vectors and the standard library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.governance.identity import (
    ENTITY_NAMESPACE,
    INTENT_NAMESPACE,
    SUBMISSION_NAMESPACE,
    entity_id,
    intent_id,
    submission_id,
)
from libs.ledger.partition import lane_of

PUBLISHED = json.loads((Path(__file__).parents[3] / "docs/vectors/intent_id.json").read_text())
TEXTS = st.text(max_size=20)


@pytest.mark.parametrize("vector", PUBLISHED["vectors"])
def test_an_intent_id_is_the_published_one(vector: dict[str, Any]) -> None:
    found = intent_id(vector["tenant"], vector["idempotency_key"])
    assert found == UUID(vector["intent_id"]).bytes
    assert [lane_of(found, 8), lane_of(found, 32)] == [vector["lane_of_8"], vector["lane_of_32"]]


@given(TEXTS, TEXTS)
def test_an_intent_id_is_a_standard_uuid5(tenant: str, key: str) -> None:
    namespace = UUID(PUBLISHED["namespace"])
    assert namespace.bytes == INTENT_NAMESPACE
    assert intent_id(tenant, key) == uuid5(namespace, f"{len(tenant.encode())}:{tenant}{key}").bytes


@given(st.tuples(TEXTS, TEXTS), st.tuples(TEXTS, TEXTS))
def test_other_tenants_and_keys_have_other_ids(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (intent_id(*one) == intent_id(*other)) == (one == other)


@given(st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=4))
def test_entities_with_other_names_have_other_keys(one: list[str], other: list[str]) -> None:
    assert (entity_id("x", *one) == entity_id("x", *other)) == (one == other)


def test_namespaces_keep_kinds_of_ids_apart() -> None:
    assert len({INTENT_NAMESPACE, SUBMISSION_NAMESPACE, ENTITY_NAMESPACE}) == 3
    assert submission_id("intents", 1, 23) != submission_id("intents", 12, 3)


@given(st.binary(min_size=16, max_size=16), st.integers(1, 64))
def test_every_intent_has_a_lane(key: bytes, lanes: int) -> None:
    assert 0 <= lane_of(key, lanes) < lanes


def test_lanes_are_used_evenly() -> None:
    counts = [0] * 8
    for number in range(8_000):
        counts[lane_of(intent_id("acme", f"key-{number}"), 8)] += 1
    assert min(counts) > 850

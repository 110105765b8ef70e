"""Evidence that is an event of the ledger: it must be there, and be the tenant's own (B5, flow.md decision 21)."""

from __future__ import annotations

import uuid

import pytest

from libs.contracts.events import Evidence, EvidenceKind, IntentAllowed, OutcomeStatus
from libs.runtime.requests import read_id
from libs.testkit import seeding
from tests.faults.front import Front, front
from tests.faults.rig import Rig, double_intent, until

RIVAL = "rival"

pytestmark = [pytest.mark.integration, pytest.mark.requirement("B5"), pytest.mark.requirement("B3")]


async def test_a_cited_event_must_be_there_and_be_the_tenants_own(rig: Rig) -> None:
    (mine,) = await rig.submit([double_intent("to-be-cited", 0)])
    (theirs,) = await seeding.submit(
        rig.system.kafka, [double_intent("theirs", 0)], rig.system.token(tenant=RIVAL), RIVAL
    )
    rig.wanted.add(theirs)
    async with front(rig.system) as agent, front(rig.system, RIVAL) as rival:
        known = {"own": await _event(agent, mine), "foreign": await _event(rival, theirs)}
    known["none"] = Evidence(EvidenceKind.LEDGER_EVENT, mine.hex(), uuid.uuid4().hex)
    intents = [double_intent(f"citing-{name}", 0, evidence=(one,)) for name, one in known.items()]
    ids = dict(zip(known, await rig.submit(intents), strict=True))
    await rig.prove()
    outcomes = rig.witness.outcomes()
    assert {name: (outcomes[key].status, outcomes[key].code) for name, key in ids.items()} == {
        "own": (OutcomeStatus.SUCCEEDED, ""),
        "foreign": (OutcomeStatus.BLOCKED, "EVIDENCE_UNKNOWN"),
        "none": (OutcomeStatus.BLOCKED, "EVIDENCE_UNKNOWN"),
    }
    (allowed,) = rig.witness.bodies(IntentAllowed, "ledger.validation")[ids["own"]]
    assert [one.target for one in allowed.results if one.validator == "grounding"] == [known["own"].id]


async def _event(caller: Front, key: bytes) -> Evidence:
    """The first event of an intent, as its owner finds it in the timeline."""

    shown = await until(lambda: caller.find(key), "nothing is shown of the intent")
    return Evidence(EvidenceKind.LEDGER_EVENT, key.hex(), read_id(shown.timeline[0].event_id, "event_id").hex())

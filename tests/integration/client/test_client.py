"""The SDK against a real system: what it proposes is carried out, what it asks is answered, what fails says why."""

from __future__ import annotations

from typing import Any

import pytest

from libs.client.client import Client
from libs.client.intents import Intent
from libs.client.results import State
from tests.integration.client.conftest import Connect

pytestmark = [pytest.mark.integration, pytest.mark.requirement("K3")]


def journal(n: int = 1, **more: Any) -> Intent:
    """An intent that writes one line to the journal of the built-in tools."""
    given: dict[str, Any] = {"tool": "builtin/journal", "capability": "builtin.journal", "account": "account-0"}
    return Intent(arguments={"n": n}, **(given | more))


async def test_a_deed_is_proposed_and_waited_for(caller: Connect) -> None:
    async with Client(caller()) as client:
        submitted = await client.submit(journal())
        deed = await client.wait(submitted)
    assert (deed.intent_id, deed.state, deed.cost_micros) == (submitted.intent_id, State.SUCCEEDED, 1_000)
    assert deed.succeeded_or_raise() is deed
    assert [entry.event for entry in deed.timeline][-1] == "OutcomeRecorded"

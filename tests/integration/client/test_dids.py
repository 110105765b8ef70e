"""An agent that proves itself by its own signature: the whole way on a real system, by gRPC and on Kafka (A3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deedbook import Client, Intent, PermissionDenied, State, TimedOut, Unauthenticated
from libs.client.connection import Connection
from libs.client.settings import ClientSettings
from libs.client.signing import DidSigner
from libs.runtime.settings import load
from libs.testkit.system import System
from tests.integration.client.conftest import DID, Connect

pytestmark = [pytest.mark.integration, pytest.mark.requirement("A3")]


@pytest.fixture
def signed(system: System, caller: Connect, tmp_path: Path) -> Connection:
    """Whoever has the key of zeros."""
    file = tmp_path / "agent.pem"
    file.write_bytes(
        Ed25519PrivateKey.from_private_bytes(bytes(32)).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return replace(caller(), token=DidSigner(load(ClientSettings, did_key_file=str(file), did_tenant="acme")))


@pytest.fixture(params=["grpc", "kafka"])
async def client(request: pytest.FixtureRequest, system: System, signed: Connection) -> AsyncIterator[Client]:
    async with Client(signed, system.kafka if request.param == "kafka" else None) as made:
        yield made


def journal(account: str = "account-0") -> Intent:
    return Intent(tool="builtin/journal", capability="builtin.journal", account=account)


async def test_what_a_did_proposes_is_carried_out_in_its_name(client: Client) -> None:
    submitted = await client.submit(journal())
    deed = await client.wait(submitted, limit_s=30)
    assert (deed.state, deed.requester) == (State.SUCCEEDED, DID)
    assert [one.state async for one in client.watch(submitted)][-1] is State.SUCCEEDED
    again = await client.submit(submitted.intent)
    assert again.intent_id == submitted.intent_id


async def test_a_did_has_what_it_was_granted_and_no_more(system: System, signed: Connection) -> None:
    async with Client(signed) as client:
        with pytest.raises(PermissionDenied):
            await client.submit(journal("account-1"))


async def test_a_signature_counts_for_nothing_else(system: System, signed: Connection) -> None:
    over_another = replace(signed, token=lambda kind, payload: signed.token(kind, payload + b"."))
    elsewhere = replace(signed, token=lambda kind, payload: signed.token("deedbook.x.v1.OtherRequest", payload))
    for connection in (over_another, elsewhere):
        async with Client(connection) as stranger:
            with pytest.raises(Unauthenticated):
                await stranger.submit(journal())
        async with Client(connection, system.kafka) as stranger:
            submitted = await stranger.submit(journal())
        async with Client(signed) as client:
            with pytest.raises(TimedOut, match="deed dead list"):
                await client.wait(submitted, limit_s=1)

"""The examples in the SDK's documentation do what they show, against a real system."""

from __future__ import annotations

import doctest
from pathlib import Path
from types import ModuleType

import pytest

import deedbook
from libs.client import client, intents, sync
from libs.testkit.system import System
from tests.integration.client.conftest import Connect

pytestmark = [pytest.mark.integration, pytest.mark.requirement("L1")]


@pytest.fixture(autouse=True)
def _deployment(system: System, caller: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where to call, and as whom, is said by variables."""
    token = tmp_path / "token"
    token.write_text(caller().token("", b""))
    variables = {"GATEWAY": system.grpc("gateway"), "STATUS": system.grpc("status"), "TOKEN_FILE": str(token)}
    for name, value in variables.items():
        monkeypatch.setenv(f"DEED_{name}", value)
    monkeypatch.delenv("DEED_KAFKA_BOOTSTRAP", raising=False)


@pytest.mark.parametrize("module", [deedbook, client, intents, sync], ids=lambda module: module.__name__)
def test_examples_do_what_they_show(
    module: ModuleType,
) -> None:
    said: list[str] = []
    runner = doctest.DocTestRunner()
    examples = [found for found in doctest.DocTestFinder(exclude_empty=True).find(module) if found.examples]
    assert examples
    for example in examples:
        runner.run(example, out=said.append)
    assert runner.failures == 0, "".join(said)


@pytest.mark.parametrize("kafka", [False, True])
def test_variables_alone_say_where_intents_go(system: System, kafka: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if kafka:
        monkeypatch.setenv("DEED_KAFKA_BOOTSTRAP", system.ends.kafka_bootstrap)
    with deedbook.SyncClient() as client:
        submitted = client.submit(deedbook.Intent(tool="builtin/journal", capability="builtin.journal"))
        assert submitted.topic == ("intents" if kafka else "intake.home")
        assert client.wait(submitted).state is deedbook.State.SUCCEEDED

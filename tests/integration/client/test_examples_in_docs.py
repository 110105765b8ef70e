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

pytestmark = [pytest.mark.integration, pytest.mark.requirement("K3")]


@pytest.mark.parametrize("module", [deedbook, client, intents, sync], ids=lambda module: module.__name__)
def test_examples_do_what_they_show(
    module: ModuleType, system: System, caller: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text(caller().token())
    variables = {"GATEWAY": system.grpc("gateway"), "STATUS": system.grpc("status"), "TOKEN_FILE": str(token)}
    for name, value in variables.items():
        monkeypatch.setenv(f"DEED_{name}", value)
    monkeypatch.delenv("DEED_KAFKA_BOOTSTRAP", raising=False)
    said: list[str] = []
    runner = doctest.DocTestRunner()
    examples = [found for found in doctest.DocTestFinder(exclude_empty=True).find(module) if found.examples]
    assert examples
    for example in examples:
        runner.run(example, out=said.append)
    assert runner.failures == 0, "".join(said)

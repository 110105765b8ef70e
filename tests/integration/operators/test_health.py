"""deed doctor, top and init: well is said to be well, and what is broken is named with how to mend it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from libs.client.configuration import environment
from libs.client.operating import admin
from tests.conftest import wait_for
from tests.integration.operators.conftest import Deed

pytestmark = pytest.mark.integration


async def set_retention(deed: Deed, value: str) -> None:
    fixed = {"cleanup.policy": "delete", "retention.bytes": "-1", "compression.type": "producer"}
    fixed |= {"max.message.bytes": "1048576", "message.timestamp.type": "LogAppendTime"}
    async with admin(deed.log) as client:
        config = ConfigResource(ConfigResourceType.TOPIC, "ledger.outcome", {"retention.ms": value, **fixed})
        await client.alter_configs([config])


def wrong(deed: Deed, **env: str) -> list[Any]:
    said = deed.run("doctor", "--json", **env)
    found: list[Any] = [one for one in json.loads(said.out) if one["level"] != "ok"]
    assert said.code == (1 if any(one["level"] == "bad" for one in found) else 0), said
    return found


@pytest.mark.requirement("L1")
def test_a_healthy_system_is_well(deed: Deed) -> None:
    assert wrong(deed) == []
    shown = deed("doctor")
    for word in ("Java", "brokers", "topics", "records", "deedbook_status", "clock of", "execution", "gateway"):
        assert word in shown
    assert shown.splitlines()[-1].endswith("all well.")


def test_what_is_broken_is_named_with_how_to_mend_it(deed: Deed) -> None:
    (away,) = wrong(deed, DEED_PROCESSES='["http://127.0.0.1:9"]')
    assert (away["level"], away["about"]) == ("bad", "127.0.0.1:9")
    no_log = wrong(deed, DEED_KAFKA_BOOTSTRAP="127.0.0.1:9", DEED_KAFKA_TIMEOUT_MS="500")
    assert "DEED_KAFKA_BOOTSTRAP" in no_log[0]["mend"]
    no_rows = wrong(deed, DEED_DATABASE_URL="postgresql://x:y@127.0.0.1:9/none")
    assert [one["about"] for one in no_rows] == ["none"]
    wait_for(set_retention(deed, "1000000"))
    try:
        (lossy,) = wrong(deed)
        assert (lossy["about"], "retention.ms" in lossy["said"]) == ("ledger.outcome", True)
    finally:
        wait_for(set_retention(deed, "-1"))


def test_what_goes_on_is_shown_per_process(deed: Deed) -> None:
    found = deed.json("top", "--every-s", "0.2")
    rows = {one["name"]: one for one in found["processes"]}
    assert rows.keys() == {"w1", "control", "status", "gateway"}
    assert (rows["w1"]["lanes"], rows["control"]["lanes"], rows["w1"]["why"]) == (4, 1, "")
    assert deed("top", "--every-s", "0.2").splitlines()[0].split()[:3] == ["PROCESS", "EVENTS/S", "CALLS/S"]


def test_a_configuration_is_written_once(deed: Deed, tmp_path: Path) -> None:
    deed("init", str(tmp_path / "new"))
    text = (tmp_path / "new" / "deedbook.env").read_text()
    assert (tmp_path / "new" / "deedbook.env").stat().st_mode & 0o077 == 0
    (tmp_path / "new" / "servers.toml").unlink()
    assert deed.run("init", str(tmp_path / "new")).code == 2
    assert (tmp_path / "new" / "deedbook.env").read_text() == text
    assert not (tmp_path / "new" / "servers.toml").exists()


def test_the_configuration_names_every_setting_once_with_its_meaning() -> None:
    lines = environment().splitlines()
    names = [line.lstrip("#").partition("=")[0] for line in lines if line.lstrip("#").startswith("DEED_")]
    assert len(names) == len(set(names)) > 60
    assert {"DEED_EFFECT_KEY_SECRET", "DEED_KAFKA_BOOTSTRAP", "DEED_PROCESSES", "DEED_GRPC_PORT"} <= set(names)
    assert "DEED_KAFKA_BOOTSTRAP=" in lines  # required: not commented out
    assert '#DEED_LOCAL_ACCOUNTS=["main"]' in lines
    for at, line in enumerate(lines):
        if line.lstrip("#").startswith("DEED_"):
            assert lines[at - 1].startswith("# ")
            assert len(lines[at - 1]) > 8

"""Each thing that goes wrong ends a command with the exit code that it means, and without a stack trace."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
from aiokafka import errors as kafka
from typer.testing import CliRunner

from libs.client.cli import build
from libs.client.client import Client
from libs.client.connection import Connection
from libs.client.ending import Exit, of_client, told
from libs.client.errors import InvalidRequest, Overloaded, Unavailable
from libs.governance.remedies import remedy
from libs.runtime.settings import SettingsError, StartRefused
from libs.stack.errors import NothingRuns
from tests.unit.client.given import ID


@pytest.mark.parametrize(
    ("error", "exit_code", "code"),
    [
        (SettingsError("DEED_LANES is wrong."), Exit.WRONG_USE, "SETTING_WRONG"),
        (StartRefused("Kafka does not answer."), Exit.AWAY, "AWAY"),
        (kafka.KafkaConnectionError("gone"), Exit.AWAY, "AWAY"),
        (kafka.TopicAuthorizationFailedError("ledger.intake"), Exit.NOT_ALLOWED, "KAFKA_NOT_READABLE"),
        (Overloaded("later"), Exit.AWAY, "OVERLOADED"),
        (InvalidRequest("a field"), Exit.WRONG_USE, "BAD_REQUEST"),
        (InvalidRequest("nobody knows", "IN_DOUBT"), Exit.IN_DOUBT, "IN_DOUBT"),
        (InvalidRequest("it runs", "NOT_ENDED"), Exit.WAITING, "NOT_ENDED"),
        (InvalidRequest("no slash", "ID_INVALID"), Exit.WRONG_USE, "ID_INVALID"),
        (InvalidRequest("below the soft cap", "VALUE_INVALID"), Exit.WRONG_USE, "VALUE_INVALID"),
        (NothingRuns("Nothing runs: `deed up`."), Exit.AWAY, "AWAY"),
    ],
)
def test_what_goes_wrong_has_its_exit_code(
    error: Exception, exit_code: Exit, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, told():
        raise error
    assert ended.value.exit_code == exit_code
    assert capsys.readouterr().err.startswith(f"{code}: ")


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("list", "--state", "LOST"), "STATE_UNKNOWN", "LOST is none of"),
        (("submit", "no/such.json"), "FILE_UNREADABLE", "no/such.json"),
        (("policy", "check", "no/such.json"), "FILE_UNREADABLE", "no/such.json"),
        (("list", "--limit", "zero"), "WRONG_USE", "Invalid value for '--limit'"),
        (("up", "--shape", "round"), "WRONG_USE", "round is none of"),
        (("kil",), "WRONG_USE", "No such command 'kil'"),
        (("budget", "set", "tenant", "acme"), "WRONG_USE", "Missing option '--hard-micros'"),
        (("kill", "tool", "--reason", "x"), "WRONG_USE", "the tool's id is missing"),
        (("unkill", "account", "--reason", "x"), "WRONG_USE", "the account's name is missing"),
        (("budget", "remove", "tenant", "--reason", "x"), "WRONG_USE", "the tenant's name is missing"),
    ],
)
def test_what_goes_wrong_is_an_object_for_a_program_too(words: tuple[str, ...], code: str, reason: str) -> None:
    said = CliRunner().invoke(build(), [*words, "--json"])
    error = json.loads(said.stdout)["error"]
    assert (error["code"], said.exit_code, bool(error["remedy"])) == (code, 2, code != "STATE_UNKNOWN")
    assert reason in error["reason"]
    assert said.stderr.startswith(f"{code}: {error['reason']}\n")
    for_people = CliRunner().invoke(build(), words)
    assert (for_people.stdout, for_people.exit_code) == ("", 2)
    assert for_people.stderr


def test_a_sentence_of_the_local_system_is_an_object_for_a_program_too() -> None:
    env = {"DEED_HOME": "/dev/null/deed"}
    said = CliRunner().invoke(build(), ["up", "--json"], env=env)
    error = json.loads(said.stdout)["error"]
    assert (error["code"], said.exit_code, said.stderr) == ("STACK", 1, f"STACK: {error['reason']}\n")


@pytest.mark.parametrize(
    "command", ["list", "switches", "top --once", "lanes", "verify", "audit budgets", "dead list", "format show budget"]
)
def test_a_local_system_that_does_not_run_is_away(command: str, tmp_path: Path) -> None:
    env = {name: None for name in os.environ if name.startswith("DEED_")} | {"DEED_HOME": str(tmp_path)}
    said = CliRunner().invoke(build(), command.split(), env=env)
    assert (said.exit_code, said.stdout) == (Exit.AWAY, "")
    assert "`deed up`" in said.stderr


async def test_a_command_whose_answer_is_lost_is_looked_for_before_it_is_given_again() -> None:
    nowhere = Connection("127.0.0.1:9", "127.0.0.1:9", lambda *_: "token", timeout_s=0.2)
    async with Client(nowhere) as client:
        for command in (client.cancel(ID), client.approve(ID, "00" * 32), client.resolve(ID, True, "seen", "looked")):
            with pytest.raises(Unavailable) as raised:
                await command
            assert raised.value.remedy.startswith("It may have been taken all the same")
            assert of_client(raised.value).remedy == raised.value.remedy
        with pytest.raises(Unavailable) as asked:
            await client.get(ID)
        assert asked.value.remedy == remedy("AWAY")

"""Each thing that goes wrong ends a command with the exit code that it means, and without a stack trace."""

from __future__ import annotations

import pytest
import typer
from aiokafka import errors as kafka

from libs.client.ending import Exit, told
from libs.client.errors import InvalidRequest, Overloaded
from libs.runtime.settings import SettingsError, StartRefused


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
    ],
)
def test_what_goes_wrong_has_its_exit_code(
    error: Exception, exit_code: Exit, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, told():
        raise error
    assert ended.value.exit_code == exit_code
    assert capsys.readouterr().err.startswith(f"{code}: ")

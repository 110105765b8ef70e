"""What Kafka says becomes an error of ours; what is not known to have failed for good may be tried again."""

from __future__ import annotations

import pytest
from aiokafka import errors as kafka

from libs.client.errors import DeedbookError, InvalidRequest, Misconfigured, PermissionDenied, Unavailable
from libs.client.publishing import BY_ERROR, from_kafka
from libs.runtime.settings import SettingsError, StartRefused


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (kafka.MessageSizeTooLargeError("large"), InvalidRequest),
        (kafka.TopicAuthorizationFailedError("intents"), PermissionDenied),
        (kafka.UnknownTopicOrPartitionError(), Misconfigured),
        (kafka.KafkaTimeoutError(), Unavailable),
        (kafka.NotLeaderForPartitionError(), Unavailable),
        (kafka.KafkaConnectionError(), Unavailable),
        (TimeoutError(), Unavailable),
        (OSError("reset"), Unavailable),
        (StartRefused("Kafka does not answer."), Unavailable),
        (SettingsError("DEED_KAFKA_CA_FILE cannot be read."), Misconfigured),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else "",
)
def test_each_failure_has_its_kind_and_a_remedy(error: Exception, kind: type[DeedbookError]) -> None:
    found = from_kafka(error)
    assert type(found) is kind
    assert found.reason and found.remedy and found.code


def test_a_start_that_fails_says_why() -> None:
    """Clients are started late, so a wrong login shows only then."""
    refused = StartRefused("Kafka does not answer.")
    refused.__cause__ = kafka.SaslAuthenticationFailed("who?")
    assert from_kafka(refused).code == "KAFKA_LOGIN"


def test_no_row_hides_another() -> None:
    kinds = [kind for kind, *_ in BY_ERROR]
    assert all(not issubclass(later, kind) for at, kind in enumerate(kinds) for later in kinds[at + 1 :])

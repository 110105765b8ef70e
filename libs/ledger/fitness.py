"""Are the topics of a worker as they must be (lane_rules 15)? Asked at each claim: what `deed up` made, somebody may
have changed since then, and `deed up` is not what makes the topics of every cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aiokafka.admin import AIOKafkaAdminClient

from libs.ledger.rights import TOPIC_AUTHORIZATION_FAILED
from libs.runtime import kafka

VALUE_OVERHEAD = 1_024  # batch and record headers, key
_LEDGER = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
_TIME = "message.timestamp.type"


class TopicUnfit(Exception):
    """A topic is missing, or is such that events would be lost or strangers believed."""


def limit(topic: str, settings: Mapping[str, str], chained: bool) -> int:
    """The largest value that a topic takes. Raises TopicUnfit. Without a chain the time of arrival counts: it must be
    the broker's, since a stranger's clock would make an expired token good."""
    if topic.startswith("ledger."):
        for name, wanted in _LEDGER.items():
            if settings.get(name) != wanted:
                raise TopicUnfit(f"topic {topic}: {name} is {settings.get(name)}, a ledger needs {wanted}")
    if not chained and settings.get(_TIME) != "LogAppendTime":
        text = "what outsiders write needs the broker's time: set it to LogAppendTime with kafka-configs"
        raise TopicUnfit(f"topic {topic}: {_TIME} is {settings.get(_TIME)}; {text}")
    return min(int(settings["max.message.bytes"]), kafka.REQUEST_BYTES_MAX) - VALUE_OVERHEAD


def remedy(code: int) -> str:
    """What mends a topic that the broker does not describe."""
    return "grant DESCRIBE_CONFIGS on it" if code == TOPIC_AUTHORIZATION_FAILED else "create it: deed up"


async def check_partitions(admin: AIOKafkaAdminClient, topics: Collection[str], lanes: int) -> None:
    """One for each lane: what is in more of them nobody would read. Raises TopicUnfit."""
    for found in await admin.describe_topics(list(topics)):
        count = len(found["partitions"])
        if count != lanes:
            text = "as many must there be, for ever: make the topic again, or set DEED_LANES for all of them"
            raise TopicUnfit(f"topic {found['topic']} has {count} partitions and DEED_LANES is {lanes}; {text}")

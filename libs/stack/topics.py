"""Every topic, with its settings, in one table; made when missing, compared when there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code
from pydantic import Field

from libs.runtime import kafka
from libs.runtime.settings import KafkaSettings, Settings, SettingsError, load
from libs.stack.errors import StackError, StartFailed, TopicsDiffer

LANES = 8
DECIDERS = ("intake", "validation", "approval", "budget", "execution", "outcome")
DAY_MS = 86_400_000
FOREVER = -1
RECORD_BYTES_MAX = 1_048_576
TOPIC_EXISTS = 36
READY_S = 20.0

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Topic:
    """`lanes`: as many partitions as there are lanes, else one."""

    name: str
    retention_ms: int
    lanes: bool = True

    @property
    def settings(self) -> Mapping[str, str]:
        """Never compacted. Time is the broker's, so that no producer's clock can have its records refused
        (a refused record would block its lane) or pretend to another arrival. Batches stay as they were sent: a broker
        that packs anew unpacks a stranger's record whole first, and 600 KB can be 600 MB of its heap."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "retention.bytes": "-1",
            "max.message.bytes": str(RECORD_BYTES_MAX),
            "message.timestamp.type": "LogAppendTime",
            "compression.type": "producer",
        }


class TopicSettings(Settings):
    """How the topics are made."""

    kafka_replication: int = Field(1, ge=1, le=9, description="Copies of each topic: 1 for one broker, else 3.")

    @property
    def durable(self) -> Mapping[str, str]:
        """Settings that come with more than two copies: an answer means that two brokers have it."""
        return {"min.insync.replicas": "2"} if self.kafka_replication > 2 else {}


TOPICS: tuple[Topic, ...] = (
    # What outsiders and front ends write. It is consumed within moments; the days are for outages.
    Topic("intents", 7 * DAY_MS),
    Topic("intake.home", 7 * DAY_MS),
    Topic("commands", 30 * DAY_MS),
    Topic("control.commands", 30 * DAY_MS, lanes=False),
    # The ledger: nothing on it is ever deleted.
    *(Topic(f"ledger.{service}", FOREVER) for service in DECIDERS),
    Topic("ledger.control", FOREVER, lanes=False),
    # What could not be processed, kept for people to look at and replay.
    *(Topic(f"dead.{service}", 90 * DAY_MS) for service in (*DECIDERS[:-1], "control")),
    # Rebuildable from ledger.outcome; a signal lives 90 days.
    Topic("signals", 90 * DAY_MS),
)


async def create_topics(bootstrap: str, lanes: int = LANES, prefix: str = "", patience_s: float = READY_S) -> list[str]:
    """Makes the topics that are missing and checks those that are there. Returns the names of the new ones.

    `prefix` goes before each name (tests). How the broker is reached is said by the same settings as for every service.
    Raises TopicsDiffer when a topic has other partitions, fewer copies, or settings under which records would be lost
    or refused; StackError when a setting is wrong."""
    settings, admin = _asked(TopicSettings), await _connected(bootstrap, patience_s)
    try:
        wanted = [_new(topic, lanes, prefix, settings) for topic in TOPICS]
        answer = await admin.create_topics(wanted)
        # The client does not raise: the codes are in the answer.
        codes = {name: (code, rest[0] if rest else "") for name, code, *rest in answer.topic_errors}
        for name, (code, text) in codes.items():
            if code not in (0, TOPIC_EXISTS):
                raise StartFailed(
                    f"Kafka would not make the topic {name} with {settings.kafka_replication} copies"
                    f" (DEED_KAFKA_REPLICATION): {for_code(code).__name__} {text or ''}".strip()
                )
        there = [name for name, (code, _) in codes.items() if code == TOPIC_EXISTS]
        await _check(admin, {name: _topic(name, prefix) for name in there}, lanes, settings)
        await _led(admin, list(codes))
        return [name for name, (code, _) in codes.items() if code == 0]
    finally:
        await admin.close()


async def delete_topics(bootstrap: str, prefix: str) -> None:
    """Removes the topics that `create_topics` made under a prefix (tests)."""
    if not prefix:
        raise ValueError("the topics without a prefix hold the ledger and are never deleted")
    admin = await _connected(bootstrap)
    try:
        await admin.delete_topics([prefix + topic.name for topic in TOPICS])
    finally:
        await admin.close()


def _new(topic: Topic, lanes: int, prefix: str, settings: TopicSettings) -> NewTopic:
    configs = {**topic.settings, **settings.durable}
    return NewTopic(prefix + topic.name, lanes if topic.lanes else 1, settings.kafka_replication, topic_configs=configs)


def _topic(name: str, prefix: str) -> Topic:
    return next(topic for topic in TOPICS if prefix + topic.name == name)


def _asked(kind: type[S], **given: Any) -> S:
    try:
        return load(kind, **given)
    except SettingsError as error:
        raise StackError(str(error)) from None


async def _connected(bootstrap: str, patience_s: float = READY_S) -> AIOKafkaAdminClient:
    """A client of a broker that has just opened its port may still be refused."""
    settings = _asked(KafkaSettings, kafka_bootstrap=bootstrap)
    try:
        how = kafka.connection(settings)
    except SettingsError as error:
        raise StackError(str(error)) from None
    deadline = time.monotonic() + patience_s
    while True:
        admin = AIOKafkaAdminClient(**how, request_timeout_ms=15_000)
        try:
            await asyncio.wait_for(admin.start(), 10.0)
            return admin
        except (KafkaError, TimeoutError) as error:
            await admin.close()
            final = not isinstance(error, KafkaConnectionError | TimeoutError)
            if final or time.monotonic() > deadline:
                said = f" over {settings.kafka_security}, as DEED_KAFKA_SECURITY says" if len(how) > 2 else ""
                raise StartFailed(f"No Kafka answers at {bootstrap}{said}: {type(error).__name__}.") from None
            await asyncio.sleep(0.1)


async def _check(admin: AIOKafkaAdminClient, by_name: Mapping[str, Topic], lanes: int, settings: TopicSettings) -> None:
    """Compares topics that were there before: their partitions and copies, and the settings of the table."""
    names = list(by_name)
    if not names:
        return
    for described in await admin.describe_topics(names):
        name, count = described["topic"], len(described["partitions"])
        expected = lanes if by_name[name].lanes else 1
        if count != expected:
            raise TopicsDiffer(
                f"Topic {name} has {count} partitions and {expected} are asked for: lanes are fixed for the life of a"
                f" topic; start with the number it has, or with an empty data folder."
            )
        copies = min(len(partition["replicas"]) for partition in described["partitions"])
        if copies < settings.kafka_replication:
            raise TopicsDiffer(
                f"Topic {name} has {copies} copies and DEED_KAFKA_REPLICATION asks for {settings.kafka_replication}:"
                f" add them with kafka-reassign-partitions."
            )
    for name, found in (await _settings(admin, names)).items():
        for key, value in by_name[name].settings.items():
            if found.get(key) != value:
                raise TopicsDiffer(
                    f"Topic {name} has {key}={found.get(key)} and must have {value}: set it with Kafka's own tools."
                )


async def _settings(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources):
        for code, text, _, name, entries in answer.resources:
            if code != 0:
                raise StartFailed(f"Kafka does not show the settings of {name}: {for_code(code).__name__} {text or ''}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _led(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Waits until every partition has a leader: before that, clients see a topic that is not there."""
    deadline = time.monotonic() + READY_S
    while True:
        topics: list[dict[str, Any]] = await admin.describe_topics(names)
        if all(topic["error_code"] == 0 and all(p["leader"] >= 0 for p in topic["partitions"]) for topic in topics):
            return
        if time.monotonic() > deadline:
            raise StartFailed("Kafka's topics were made but have no leader: see its log.")
        await asyncio.sleep(0.05)

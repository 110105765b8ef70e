"""Kafka: does it answer, are the topics such that nothing is lost, is what is on them ours?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from libs.client.doctor.findings import Finding, bad, ok, warn
from libs.client.letters import reader
from libs.client.operating import admin
from libs.contracts.errors import CodecError
from libs.ledger.codec import decode_event
from libs.ledger.rights import unwritable
from libs.runtime.settings import KafkaSettings, StartRefused
from libs.stack.topics import TOPICS, Topic

AREA = "Kafka"
ENTRY = ("intents", "intake.home", "commands", "control.commands")
TAKE_UP = "`deed up` makes what is missing; elsewhere make it with Kafka's own tools."
LAST_S = 10_000


async def look(settings: KafkaSettings) -> list[Finding]:
    """Brokers, topics with their settings, rights, and the newest record of each ledger partition."""
    try:
        async with admin(settings) as client:
            found = [await _brokers(client, settings)]
            described = {one["topic"]: one for one in await client.describe_topics([topic.name for topic in TOPICS])}
            there = [topic for topic in TOPICS if described[topic.name]["error_code"] == 0]
            found += _missing([topic for topic in TOPICS if topic not in there])
            configs = await _configs(client, there)
            found += _topics(there, described, configs)
            found.append(await _rights(client, there))
        return [*found, await _schemas(settings, there, described)]
    except StartRefused as error:
        return [bad(AREA, "brokers", str(error), "Start it (`deed up`), or correct DEED_KAFKA_BOOTSTRAP.")]


async def _brokers(client: Any, settings: KafkaSettings) -> Finding:
    cluster = await client.describe_cluster()
    count = len(cluster["brokers"])
    return ok(AREA, "brokers", f"{count} at {settings.kafka_bootstrap} ({settings.kafka_security})")


def _missing(topics: list[Topic]) -> list[Finding]:
    return [bad(AREA, topic.name, "the topic is missing", TAKE_UP) for topic in topics]


def _topics(
    there: list[Topic], described: Mapping[str, Any], configs: Mapping[str, Mapping[str, str]]
) -> list[Finding]:
    """What differs from the table of topics; one line when nothing does."""
    lanes = len(described["ledger.intake"]["partitions"]) if "ledger.intake" in configs else 0
    found: list[Finding] = []
    copies = set()
    for topic in there:
        partitions = described[topic.name]["partitions"]
        copies.add(min(len(one["replicas"]) for one in partitions))
        if any(one["leader"] < 0 for one in partitions):
            found.append(bad(AREA, topic.name, "a partition has no leader", "Bring its broker back."))
        if len(partitions) != (lanes if topic.lanes else 1):
            said = f"{len(partitions)} partitions, and there are {lanes} lanes"
            found.append(bad(AREA, topic.name, said, "All topics of one system have the same number: DEED_LANES."))
        if any(len(one["isr"]) < len(one["replicas"]) for one in partitions):
            found.append(warn(AREA, topic.name, "a copy is behind", "See the brokers' logs."))
        found += _settings(topic, configs.get(topic.name, {}), min(len(one["replicas"]) for one in partitions))
    if not found:
        said = f"{len(there)} as they must be, {lanes} lanes, {min(copies, default=0)} copies of each"
        found = [ok(AREA, "topics", said)]
    return found


def _settings(topic: Topic, config: Mapping[str, str], copies: int) -> list[Finding]:
    wanted = dict(topic.settings) | ({"unclean.leader.election.enable": "false"} if copies > 1 else {})
    found = [
        bad(AREA, topic.name, f"{name} is {config.get(name)} and must be {value}", "Set it with kafka-configs.")
        for name, value in wanted.items()
        if config.get(name) != value
    ]
    if copies > 1 and int(config.get("min.insync.replicas", "1")) < 2:
        found.append(bad(AREA, topic.name, "min.insync.replicas is below 2", "Set it to 2 with kafka-configs."))
    return found


async def _configs(client: Any, topics: list[Topic]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    found: dict[str, dict[str, str]] = {}
    for answer in await client.describe_configs(resources):
        for code, _, _, name, entries in answer.resources:
            if code == 0:
                found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _rights(client: Any, topics: list[Topic]) -> Finding:
    """What the login of this command may do. It should not write to the ledger; where no rights are kept it may."""
    barred = await unwritable(client, [topic.name for topic in topics])
    if not barred:
        return ok(
            AREA, "rights", "this login may write to every topic, as on a local system; give each service its own"
        )
    entries = [name for name in ENTRY if name not in barred]
    return ok(AREA, "rights", f"this login may write to {', '.join(entries) or 'no topic of entry'}")


async def _schemas(settings: KafkaSettings, topics: list[Topic], described: Mapping[str, Any]) -> Finding:
    """The newest record of each ledger partition must be an event under a pinned schema id."""
    places = [
        TopicPartition(topic.name, one["partition"])
        for topic in topics
        if topic.name.startswith("ledger.")
        for one in described[topic.name]["partitions"]
    ]
    looked = 0
    async with reader(settings) as client:
        client.assign(places)
        ends = await client.end_offsets(places)
        starts = await client.beginning_offsets(places)
        going = {place for place in places if ends[place] > starts[place]}
        for place in going:
            client.seek(place, ends[place] - 1)
        while going:
            answer = await client.getmany(*going, timeout_ms=LAST_S)
            if not answer:
                return bad(AREA, "records", "the newest records of the ledger cannot be read", "See the brokers' logs.")
            for place, records in answer.items():
                going.discard(place)
                looked += 1
                try:
                    decode_event(records[0].value or b"", place.topic)
                except CodecError as error:
                    said = f"offset {records[0].offset}: {error.code}: {error}"
                    return bad(AREA, f"{place.topic}/{place.partition}", said, "`deed verify` locates what is wrong.")
    return ok(AREA, "records", f"the newest of {looked} ledger partitions are events under pinned schema ids")

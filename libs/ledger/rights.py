"""May we write to a topic? Asked before the first decision (lane_rules 15): an event that its topic refuses would block
its lane after it was decided. Without an authorizer a broker says that everything is allowed.

The broker says in its metadata what the asking principal may do with a topic. The client's own question is an older
one without that answer, so ours is spelled out here (Kafka's protocol, Metadata version 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

WRITE = 1 << 4  # the bit of Kafka's AclOperation.WRITE
NOT_SAID = -(1 << 31)  # what a broker answers that does not know
TOPIC_AUTHORIZATION_FAILED = 29


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String()), ("port", Int32), ("rack", String()))),
        ("cluster_id", String()),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", Array(String())),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Rights(Request[_Question]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class(self._topics, False, False, True)


async def unwritable(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> tuple[str, ...]:
    """Those of `topics` that the principal of `admin` may not write to. Raises KafkaError when no answer came."""
    if not topics:
        return ()  # a projection; to Kafka an empty list would be a question all the same
    try:
        answer: Any = await admin._send_request(_Rights(topics))
    except NotImplementedError:
        return ()  # a broker before 2.3 cannot be asked
    return tuple(sorted(topic for code, topic, _, _, rights in answer.topics if not may_write(code, rights)))


def may_write(code: int, rights: int) -> bool:
    """What a topic's error code and its bits of authorized operations mean. A topic that is hidden from us is not ours
    to write to either. Where the broker does not say, the publish finds out; a missing topic is found by its limits."""
    if code == TOPIC_AUTHORIZATION_FAILED:
        return False
    return code != 0 or rights == NOT_SAID or bool(rights & WRITE)

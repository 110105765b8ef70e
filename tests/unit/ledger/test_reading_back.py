"""Whoever reads the ledger back comes to an end, or says why not."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition

from libs.ledger.verify import read_partition
from libs.runtime.settings import KafkaSettings, StartRefused, load

PLACE = TopicPartition("ledger.intake", 0)


class Mute:
    """A client whose broker has more, and gives nothing: none that works can be made to."""

    def assign(self, places: Any) -> None: ...

    def seek(self, place: Any, offset: int) -> None: ...

    async def beginning_offsets(self, places: Any) -> dict[TopicPartition, int]:
        return {PLACE: 0}

    async def end_offsets(self, places: Any) -> dict[TopicPartition, int]:
        return {PLACE: 5}

    async def getmany(self, *places: Any, **more: Any) -> dict[TopicPartition, Any]:
        return {}

    async def position(self, place: Any) -> int:
        return 0


async def test_a_log_that_says_nothing_more_is_not_waited_for_for_ever() -> None:
    settings = load(KafkaSettings, kafka_bootstrap="127.0.0.1:9", kafka_timeout_ms=100)
    with pytest.raises(StartRefused, match=r"at offset 0 of ledger\.intake/0, which ends at 5"):
        async for _ in read_partition(settings, PLACE.topic, PLACE.partition, Mute()):
            pass

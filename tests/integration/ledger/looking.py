"""A worker that looks at a lane of the real log, as at a claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from libs.ledger.anchors import Verdict, check_input, check_output
from libs.ledger.chain import ZERO, Cursor
from libs.ledger.database import Unknown
from libs.ledger.producing import Appender
from libs.ledger.protocol import Acked, Check, Checked, LaneRow, OutRecord, Publish, Published
from libs.ledger.reading import Checker
from libs.ledger.service import Service
from tests.integration.ledger.given import (
    Log,
    a_topic,
    hosted,
    service,
)

LANE = 1


class Looking:
    """A service with an output, a chained input and an unchained one, and the looks of its worker."""

    def __init__(self, log: Log) -> None:
        self.log, self.kept = log, dict[int, OutRecord]()
        self.output, self.input, self.commands = a_topic(), a_topic(), a_topic("commands")
        self.asked_from: list[int] = []
        self.database_is_away = False
        self.service: Service = service("alpha", writes=self.output, reads=(self.input,), commands=(self.commands,))
        self.row = LaneRow("alpha", 1, 0, ZERO, Published(), {}, b"", 0, 0, 1, "")
        self.checker = Checker(log.settings, "looking", hosted(self.service), self._kept)
        self.appender = Appender(log.settings, "looking")

    async def _kept(self, name: str, lane: int, from_seq: int) -> dict[int, OutRecord]:
        if self.database_is_away:
            raise Unknown("looking: cannot connect")
        self.asked_from.append(from_seq)
        return {seq: record for seq, record in self.kept.items() if seq >= from_seq}

    async def publish(self, topic: str, records: Sequence[OutRecord]) -> Acked:
        answer = await self.appender.publish(Publish(LANE, 1, "alpha", topic, records))
        assert isinstance(answer, Acked), answer
        return answer

    async def wrote(self, records: Sequence[OutRecord]) -> None:
        """Decided, committed, published, acknowledged."""
        acked = await self.publish(self.output, records)
        self.kept |= {record.seq: record for record in records}
        self.row = msgspec.structs.replace(
            self.row, out_seq=acked.seq, out_hash=acked.hash, published=Published(acked.offset, acked.seq, acked.hash)
        )

    def read_to(self, topic: str, cursor: Cursor) -> None:
        self.row = msgspec.structs.replace(self.row, cursors={**self.row.cursors, topic: cursor})

    async def check(self, *full: str) -> Checked:
        return await self.checker.check(Check(LANE, 1, {"alpha": self.row}, full))

    async def output_verdict(self) -> Any:
        """The quick look, and the whole one if it asks for it, as the protocol does."""
        for full in ((), ("alpha",)):
            seen = await self.check(*full)
            assert not seen.error
            found = check_output(self.output, self.row, seen.tails["alpha"], seen.kept["alpha"], bool(full))
            if found.verdict is not Verdict.FULL:
                return found
        return found

    async def input_verdict(self, topic: str) -> Any:
        place, cursor = f"alpha/{topic}", self.row.cursors.get(topic, Cursor())
        chained = topic == self.input
        seen = await self.check()
        found = check_input(topic, cursor, seen.anchors[place], chained)
        if found.verdict is Verdict.FULL:
            seen = await self.check(place)
            found = check_input(topic, cursor, seen.anchors[place], chained, seen.tails[place])
        return found

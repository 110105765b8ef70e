"""Rules 9, 10, 11 and 15 on the real log: what the looks at a claim find there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from libs.ledger.anchors import Verdict
from libs.ledger.chain import applied, consumed
from libs.ledger.fitness import VALUE_OVERHEAD
from libs.ledger.reading import Checker
from libs.ledger.store import Store
from libs.runtime import kafka
from tests.integration.ledger.given import (
    LOG_LANES,
    Log,
    Outsider,
    Owner,
    chain,
    change,
    hosted,
    outbox_row,
    published,
)
from tests.integration.ledger.looking import LANE, Looking

pytestmark = [pytest.mark.integration]


@pytest.fixture
async def looking(log: Log) -> AsyncIterator[Looking]:
    one = Looking(log)
    await log.make(one.output, one.input)
    await log.make(one.commands, retention_ms="86400000")
    yield one
    await one.checker.close()
    await one.appender.close()


# ---------------------------------------------------------------- rule 10: the output


@pytest.mark.rule(10)
async def test_a_log_that_holds_what_the_row_says_is_fine(looking: Looking) -> None:
    await looking.wrote(chain(5))
    seen = await looking.check()
    assert [(t.offset, t.seq) for t in seen.tails["alpha"]] == [(4, 5)], "from the frontier on"
    assert looking.asked_from == [5]
    found = await looking.output_verdict()
    assert (found.verdict, found.published) == (Verdict.OK, looking.row.published)


@pytest.mark.rule(10)
@pytest.mark.rule(14)
async def test_a_tail_that_was_appended_without_an_ack_is_legal_also_when_repeated(looking: Looking) -> None:
    records = chain(4)
    await looking.wrote(records)
    looking.row = msgspec.structs.replace(looking.row, published=published(records[1], 1))
    await looking.publish(looking.output, records[2:])
    found = await looking.output_verdict()
    assert (found.verdict, found.published.seq) == (Verdict.OK, 2)


@pytest.mark.rule(10)
@pytest.mark.parametrize("what", ["beyond", "other bytes", "no event"])
async def test_what_we_never_decided_halts_the_lane(looking: Looking, what: str) -> None:
    records = chain(3)
    await looking.wrote(records)
    match what:
        case "beyond":
            value = chain(1, (3, records[-1].hash))[0].value
        case "other bytes":
            value = chain(1, (2, records[1].hash), size=11)[0].value
        case _:
            value = b"hello"
    await looking.log.append(looking.output, LANE, value)
    found = await looking.output_verdict()
    assert found.verdict is Verdict.HALT


@pytest.mark.rule(10)
@pytest.mark.rule(11)
async def test_a_topic_that_was_made_again_halts_the_lane(looking: Looking) -> None:
    await looking.wrote(chain(3))
    await looking.log.unmake(looking.output)
    await looking.log.make(looking.output)
    await looking.checker.close()
    found = await looking.output_verdict()
    assert found.verdict is Verdict.HALT and "made again" in found.reason


@pytest.mark.rule(11)
async def test_a_lost_tail_is_mended_from_the_outbox(looking: Looking) -> None:
    records = chain(5)
    await looking.wrote(records)
    await looking.log.unmake(looking.output)
    await looking.log.make(looking.output)
    looking.appender.drop()
    await looking.publish(looking.output, records[:3])
    found = await looking.output_verdict()
    assert (found.verdict, found.published) == (Verdict.OK, published(records[2], 2))
    assert looking.asked_from[-1] == 1, "all that the outbox keeps"
    del looking.kept[4]
    found = await looking.output_verdict()
    assert found.verdict is Verdict.HALT and "seq 4" in found.reason


async def test_a_database_that_goes_away_in_mid_check_is_an_answer_like_any_other(looking: Looking) -> None:
    await looking.wrote(chain(3))
    looking.database_is_away = True
    assert "cannot connect" in (await looking.check()).error
    looking.database_is_away = False
    assert (await looking.check()).error == ""


@pytest.mark.rule(10)
async def test_the_outbox_gives_what_it_keeps_from_a_number_on(
    owner: Callable[..., Owner], db: Outsider, lane: int
) -> None:
    store: Store = owner().store
    records = chain(6)
    await outbox_row(db, lane, records[:2], 10)
    await outbox_row(db, lane, records[2:], 0)
    assert await store.kept("alpha", lane, 2) == {record.seq: record for record in records[1:]}


@pytest.mark.rule(11)
@pytest.mark.parametrize(
    ("keep_ms", "keep_bytes", "left"),
    [(60_000, 1 << 30, 3), (3_600_000, 1 << 30, 4), (3_600_000, 1_500, 3), (1_000, 1 << 30, 2)],
    ids=["by age", "young enough", "by size", "never above the frontier"],
)
async def test_the_outbox_is_kept_for_a_while_and_never_trimmed_above_the_frontier(
    owner: Callable[..., Owner], db: Outsider, lane: int, keep_ms: int, keep_bytes: int, left: int
) -> None:
    one = owner(outbox_keep_ms=keep_ms, outbox_keep_bytes=keep_bytes)
    rows, records = await one.own(lane), chain(8, size=300)
    for first, age_s in ((0, 600), (2, 30), (4, 7_200), (6, 7_200)):
        await outbox_row(db, lane, records[first : first + 2], age_s if keep_ms < 3_600_000 else 30)
    frontier = published(records[5], 9)
    await one.commit(change(rows["alpha"], lane, out_seq=8, out_hash=records[7].hash, published=frontier))
    await one.store.trim([lane])
    kept = await one.store.kept("alpha", lane, 1)
    assert {records[n].seq for n in range(4, 8)} <= kept.keys(), "the frontier's own row, and all above it"
    assert await db.count("alpha.outbox", lane) == left


# ---------------------------------------------------------------- rule 9: the inputs


@pytest.mark.rule(9)
async def test_an_input_is_read_on_where_the_anchor_still_is(looking: Looking) -> None:
    records = chain(3)
    await looking.publish(looking.input, records)
    await looking.log.append(looking.commands, LANE, b"one", b"two")
    looking.read_to(looking.input, applied(2, 3, records[2].hash))
    looking.read_to(looking.commands, consumed(1, b"two"))
    for topic in (looking.input, looking.commands):
        found = await looking.input_verdict(topic)
        assert (found.verdict, found.cursor) == (Verdict.OK, looking.row.cursors[topic])


@pytest.mark.rule(9)
async def test_other_bytes_at_the_anchor_halt_the_lane(looking: Looking) -> None:
    records = chain(3)
    await looking.publish(looking.input, records)
    await looking.log.append(looking.commands, LANE, b"one", b"two")
    looking.read_to(looking.input, applied(2, 3, bytes(32)))
    looking.read_to(looking.commands, consumed(1, b"another"))
    for topic in (looking.input, looking.commands):
        assert (await looking.input_verdict(topic)).verdict is Verdict.HALT


@pytest.mark.rule(9)
async def test_an_input_whose_tail_is_away_waits_for_its_writer(looking: Looking) -> None:
    records = chain(3)
    await looking.publish(looking.input, records[:2])
    looking.read_to(looking.input, applied(2, 3, records[2].hash))
    assert (await looking.input_verdict(looking.input)).verdict is Verdict.WAIT
    await looking.publish(looking.input, records[1:])
    found = await looking.input_verdict(looking.input)
    assert found.verdict is Verdict.OK
    assert found.cursor.anchor is not None and found.cursor.anchor.offset == 3, "where it is now"


@pytest.mark.rule(9)
async def test_retention_may_remove_what_was_read_and_nothing_else(looking: Looking) -> None:
    await looking.log.append(looking.commands, LANE, b"one", b"two", b"three")
    looking.read_to(looking.commands, consumed(1, b"two"))
    place = TopicPartition(looking.commands, LANE)
    for start, expected in ((2, Verdict.OK), (3, Verdict.HALT)):
        await looking.log.admin.delete_records({place: RecordsToDelete(start)})
        assert (await looking.input_verdict(looking.commands)).verdict is expected
    looking.row = msgspec.structs.replace(looking.row, cursors={})
    assert (await looking.input_verdict(looking.commands)).verdict is Verdict.HALT, "nobody starts in the middle"


# ---------------------------------------------------------------- rule 15: topics


@pytest.mark.rule(15)
@pytest.mark.parametrize(
    "settings", [{"retention_ms": "86400000"}, {"retention_bytes": "1000000"}, {"cleanup_policy": "compact"}], ids=str
)
async def test_a_ledger_topic_that_would_lose_events_is_refused(log: Log, settings: dict[str, str]) -> None:
    one = Looking(log)
    await log.make(one.input, one.commands)
    await log.make(one.output, **settings)
    seen = await one.check()
    await one.checker.close()
    name = next(iter(settings)).replace("_", ".")
    assert seen.error.startswith("TopicUnfit") and name in seen.error and one.output in seen.error
    assert not seen.limits


@pytest.mark.rule(15)
async def test_a_topic_that_is_missing_is_refused(log: Log) -> None:
    one = Looking(log)
    await log.make(one.input, one.commands)
    assert one.output in (await one.check()).error
    await one.checker.close()


@pytest.mark.rule(15)
async def test_the_limits_are_those_of_the_topics_less_what_a_batch_costs(log: Log) -> None:
    one = Looking(log)
    await log.make(one.input, one.commands)
    await log.make(one.output, max_message_bytes="50000")
    seen = await one.check()
    assert seen.limits[one.output] == 50_000 - VALUE_OVERHEAD
    assert seen.limits[one.commands] == kafka.REQUEST_BYTES_MAX - VALUE_OVERHEAD, "what a producer sends at most"
    await one.checker.close()


@pytest.mark.rule(15)
async def test_what_outsiders_write_has_the_brokers_time_or_nothing_is_decided(log: Log) -> None:
    one = Looking(log)
    await log.make(one.output, one.input)
    await log.make(one.commands, message_timestamp_type="CreateTime")
    try:
        error = (await one.check()).error
    finally:
        await one.checker.close()
    assert f"topic {one.commands}: message.timestamp.type is CreateTime" in error


@pytest.mark.rule(15)
@pytest.mark.parametrize("lanes", [LOG_LANES - 1, LOG_LANES, LOG_LANES + 1])
async def test_a_topic_has_as_many_partitions_as_there_are_lanes_or_nothing_is_decided(
    looking: Looking, lanes: int
) -> None:
    looking.checker = Checker(looking.log.settings, "looking", hosted(looking.service), looking._kept, lanes)
    error = (await looking.check()).error
    assert error == "" if lanes == LOG_LANES else f"has {LOG_LANES} partitions and DEED_LANES is {lanes}" in error

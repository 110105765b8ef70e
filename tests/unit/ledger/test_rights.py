"""Rule 15: before the first decision after a claim a worker knows whether it may write what it will decide."""

from __future__ import annotations

from typing import Any

import pytest

from libs.ledger.lane import Phase
from libs.ledger.protocol import Alarm, Claim, Load, Release
from libs.ledger.rights import NOT_SAID, TOPIC_AUTHORIZATION_FAILED, may_write, unwritable
from libs.testkit.simulation.bench import Bench

READ_AND_DESCRIBE = 1 << 3 | 1 << 8
EVERYTHING = 0b1101_1111_1000  # as a broker without an authorizer answers


@pytest.mark.rule(15)
@pytest.mark.parametrize(
    ("code", "rights", "allowed"),
    [
        (0, EVERYTHING, True),
        (0, READ_AND_DESCRIBE | 1 << 4, True),
        (0, READ_AND_DESCRIBE, False),
        (0, 0, False),
        (0, NOT_SAID, True),
        (TOPIC_AUTHORIZATION_FAILED, NOT_SAID, False),
        (3, NOT_SAID, True),
    ],
    ids=["everything", "write", "read only", "nothing", "not said", "hidden", "missing: found by itself"],
)
def test_the_brokers_answer_is_understood(code: int, rights: int, allowed: bool) -> None:
    assert may_write(code, rights) is allowed


@pytest.mark.rule(15)
async def test_a_broker_that_cannot_be_asked_bars_nothing() -> None:
    class Old:
        async def _send_request(self, request: Any) -> Any:
            return request.prepare({3: (0, 7)})

    assert await unwritable(Old(), ["ledger.intake"]) == ()


@pytest.mark.rule(15)
def test_a_lane_whose_output_is_barred_decides_nothing_until_the_right_is_there() -> None:
    bench = Bench()
    bench.world.barred = frozenset({"ledger.budget"})
    bench.order(1)
    bench.until(lambda: len(bench.seen(Claim)) == 3)
    assert set(bench.alarms()) == {"TOPIC_NOT_WRITABLE"}
    assert bench.seen(Load) == []
    bench.world.barred = frozenset()
    bench.until(lambda: bench.names("outcome"))


@pytest.mark.rule(15)
def test_the_alarm_names_the_topic_and_the_remedy() -> None:
    bench = Bench()
    bench.world.barred = frozenset({"ledger.budget", "ledger.outcome", "intents"})
    bench.until(bench.alarms)
    text = bench.seen(Alarm)[0].text
    assert "write to ledger.budget, ledger.outcome: grant its principal WRITE" in text


@pytest.mark.rule(15)
def test_an_open_lane_that_lost_the_right_decides_no_more() -> None:
    bench = Bench().open()
    bench.order(1)
    bench.until(lambda: bench.names("outcome"))
    bench.world.barred = frozenset({"ledger.intake"})
    bench.until(bench.alarms)
    assert bench.lane.phase is Phase.BACKOFF
    bench.order(2)
    bench.run(500)
    assert set(bench.alarms()) == {"TOPIC_NOT_WRITABLE"}
    assert bench.names("intake") == ["IntentAccepted"]


@pytest.mark.rule(15)
def test_a_lane_that_stays_barred_is_given_to_another_worker() -> None:
    bench = Bench()
    bench.world.barred = frozenset({"ledger.budget"})
    bench.until(lambda: bench.seen(Release))
    bench.until(lambda: bench.row("intake").token == b"")
    assert set(bench.alarms()) == {"TOPIC_NOT_WRITABLE"}

"""Rule 15 on a broker with an authorizer: what we may not write to is known before anything is decided."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from libs.ledger.chain import ZERO
from libs.ledger.protocol import Check, Checked, LaneRow, Published
from libs.ledger.reading import Checker
from libs.ledger.rights import unwritable
from libs.stack import archive
from libs.stack.folders import Folder, home
from libs.stack.kafka import Kafka
from libs.stack.ports import Ports
from libs.stack.scratch import scratch
from tests.integration.ledger.given import Log, a_topic, hosted, operator, service, until

pytestmark = [pytest.mark.integration, pytest.mark.rule(15)]

# Everybody is ANONYMOUS on a plain listener, and may do what no ACL speaks of: what one does is then all it may.
GUARDED = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""
TOPIC, LITERAL, ANYBODY, ANYWHERE = 2, 3, "User:ANONYMOUS", "*"
DENY, ALLOW = 2, 3
READ, WRITE, DESCRIBE, DESCRIBE_CONFIGS = 3, 4, 8, 10


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """A broker of its own: that of the other tests has no authorizer."""
    with scratch(home() / "tests") as root:
        folder = Folder(root)
        folder.create()
        broker = Kafka(folder, Ports(folder.ports), archive.options, GUARDED)
        try:
            yield broker.start()
        finally:
            broker.stop()


@pytest.fixture
async def guarded(bootstrap: str) -> AsyncIterator[Log]:
    async with operator(bootstrap) as one:
        yield one


class Looking:
    """A service whose output somebody made rules about."""

    def __init__(self, log: Log) -> None:
        self.log, self.output, self.input = log, a_topic(), a_topic()
        self.services = hosted(service("alpha", writes=self.output, reads=(self.input,)))

    async def rule(self, operation: int, permission: int = DENY, topic: str = "") -> None:
        place = (TOPIC, topic or self.output, LITERAL, ANYBODY, ANYWHERE)
        answer = await self.log.admin._send_request(CreateAclsRequest(*place, operation, permission))
        assert [error[0] for error in answer.creation_responses] == [0]

    async def no_rules(self) -> None:
        answer = await self.log.admin._send_request(DeleteAclsRequest(TOPIC, self.output, LITERAL, None, None, 1, 1))
        assert [found[0] for found in answer.filter_responses] == [0]

    async def look(self) -> Checked:
        """As a worker does that has just started."""
        row = LaneRow("alpha", 1, 0, ZERO, Published(), {}, b"", 0, 0, 1, "")

        async def kept(*_: object) -> dict[int, object]:
            return {}

        checker = Checker(self.log.settings, "looking", self.services, kept)  # type: ignore[arg-type]
        try:
            return await checker.check(Check(1, 1, {"alpha": row}))
        finally:
            await checker.close()

    async def until(self, holds: Callable[[Checked], bool]) -> None:
        """The broker heeds a new rule a moment after it has taken it: in the midst of a look, whose client then asks
        for the hidden topic until its time is over (10 s)."""
        await until(lambda: self._holds(holds), 30.0)

    async def _holds(self, holds: Callable[[Checked], bool]) -> bool:
        return holds(await self.look())


@pytest.fixture
async def looking(guarded: Log) -> Looking:
    one = Looking(guarded)
    await guarded.make(one.output, one.input)
    return one


async def test_an_output_that_we_may_not_write_to_is_found_before_anything_is_decided(looking: Looking) -> None:
    seen = await looking.look()
    assert not seen.error and not seen.unwritable and seen.limits[looking.output]
    await looking.rule(WRITE)
    await looking.until(lambda seen: list(seen.unwritable) == [looking.output] and not seen.error)
    await looking.no_rules()
    await looking.until(lambda seen: not seen.unwritable and bool(seen.limits))


async def test_who_may_only_read_may_not_write(looking: Looking) -> None:
    for operation in (READ, DESCRIBE, DESCRIBE_CONFIGS):
        await looking.rule(operation, ALLOW)
    await looking.until(lambda seen: list(seen.unwritable) == [looking.output])
    await looking.rule(WRITE, ALLOW)
    await looking.until(lambda seen: not seen.unwritable and bool(seen.limits))


async def test_an_output_that_is_hidden_from_us_is_not_ours_to_write_to(looking: Looking) -> None:
    await looking.rule(DESCRIBE)
    await looking.until(lambda seen: list(seen.unwritable) == [looking.output])


async def test_inputs_need_not_be_writable(looking: Looking) -> None:
    for operation in (READ, DESCRIBE, DESCRIBE_CONFIGS):
        await looking.rule(operation, ALLOW, looking.input)

    async def barred() -> bool:
        return await unwritable(looking.log.admin, [looking.input, looking.output]) == (looking.input,)

    await until(barred)
    await looking.until(lambda seen: not seen.error and not seen.unwritable)


async def test_settings_that_we_may_not_see_are_said_with_the_right_that_is_missing(looking: Looking) -> None:
    await looking.rule(WRITE, ALLOW)
    await looking.until(lambda seen: "grant DESCRIBE_CONFIGS" in seen.error)

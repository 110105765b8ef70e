"""How a front puts a record on the log: one idempotent producer for all calls, each send with a deadline of its own
(the client has none), and a new producer after any error, because one that was refused once may be dead for that
partition. A send whose answer did not come in time is *unknown*, not failed: whoever asked may safely ask again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Protocol
from uuid import uuid4

from aiokafka.errors import KafkaError

from libs.ledger.codec import encode_message
from libs.ledger.partition import lane_of
from libs.runtime import kafka
from libs.runtime.clock import boottime_ms, wall_micros
from libs.runtime.logs import logger
from libs.runtime.requests import show_id
from libs.runtime.rpc import Away, BadRequest, caller
from libs.runtime.settings import KafkaSettings, StartRefused

REOPEN_EVERY_MS = 1000
VALUE_BYTES_MAX = kafka.REQUEST_BYTES_MAX - 1024


class Outbound(Protocol):
    """Puts one record on a partition. Gives its offset once all replicas have it. Raises a Refusal."""

    async def send(self, topic: str, partition: int, key: bytes, value: bytes) -> int: ...


class KafkaOutbound:
    """`Outbound` on the real log."""

    def __init__(self, settings: KafkaSettings, client_id: str, send_timeout_ms: int) -> None:
        self._settings = settings
        self._topics = {"intake.home": settings.lanes, "commands": settings.lanes, "control.commands": 1}
        self._client_id = client_id
        self._timeout_s = send_timeout_ms / 1000
        self._client: Any = None
        self._opening: asyncio.Task[Any] | None = None
        self._failed_ms: int | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._mending: asyncio.Task[None] | None = None
        self._log = logger(__name__)

    async def start(self) -> None:
        """Connect, and see that there are as many partitions as lanes. Raises StartRefused."""
        client = await self._producer()
        for topic, wanted in self._topics.items():
            found = await kafka.partitions(client, topic, self._settings)
            if found != wanted:
                raise StartRefused(f"The topic {topic} has {found} partitions and {wanted} are needed (DEED_LANES).")

    async def stop(self) -> None:
        """Everything that was sent is answered first, as far as time allows."""
        if self._mending is not None:
            self._mending.cancel()
        if self._opening is not None:
            self._opening.cancel()
        if self._client is not None:
            await kafka.stop(self._client)
        for task in self._closing:
            task.cancel()

    def readiness(self) -> str:
        return "" if self._client is not None else "Kafka does not take records"

    async def send(self, topic: str, partition: int, key: bytes, value: bytes) -> int:
        """Raises BadRequest for a record above the limit, Away when it is not known to be on the log."""
        if len(value) > VALUE_BYTES_MAX:
            raise BadRequest(f"the request is larger than {VALUE_BYTES_MAX} bytes", "TOO_LARGE")
        client: Any = None
        try:
            async with asyncio.timeout(self._timeout_s):
                client = await self._producer()
                acked = await (await client.send(topic, value, key, partition))
        except (TimeoutError, KafkaError, OSError, StartRefused) as error:
            self._log.warning("a record may not be on the log", topic=topic, partition=partition, error=repr(error))
            self._drop(client)
            raise Away from error
        offset: int = acked.offset
        return offset

    async def _producer(self) -> Any:
        """The present producer, or a new one; all callers wait for the same opening."""
        if self._client is not None:
            return self._client
        if self._opening is None:
            if self._failed_ms is not None and boottime_ms() - self._failed_ms < REOPEN_EVERY_MS:
                raise StartRefused("Kafka did not answer a moment ago.")
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> Any:
        client = kafka.producer(self._settings, self._client_id, linger_ms=0)
        try:
            await kafka.start(client, self._settings)
            self._client = client
        except StartRefused:
            self._failed_ms = boottime_ms()
            raise
        finally:
            self._opening = None
        return client

    def _drop(self, client: Any) -> None:
        """Never use this producer again. Sends that wait on it get their answers while it stops; the next one is opened
        whether or not somebody asks, since nobody asks a process that is not ready."""
        if client is None or client is not self._client:
            return
        self._client = None
        task = asyncio.create_task(kafka.stop(client))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        if self._mending is None or self._mending.done():
            self._mending = asyncio.create_task(self._mend())

    async def _mend(self) -> None:
        while self._client is None:
            with suppress(StartRefused):
                await self._producer()
                return
            await asyncio.sleep(REOPEN_EVERY_MS / 1000)


class CommandLog:
    """Puts commands on the log: those about an intent in its home lane, those of operators on the one control lane."""

    def __init__(self, outbound: Outbound, lanes: int) -> None:
        self._outbound = outbound
        self._lanes = lanes

    async def give(self, command: Any) -> str:
        """A command about an intent. Gives its id, as a UUID, once it is durable."""
        lane = lane_of(command.intent_id, self._lanes)
        await self._outbound.send("commands", lane, command.intent_id, encode_message(command))
        return show_id(command.command_id)

    async def give_control(self, command: Any) -> str:
        """A change of what is in force. Gives its id, as a UUID, once it is durable."""
        await self._outbound.send("control.commands", 0, command.command_id, encode_message(command))
        return show_id(command.command_id)


def signed(reason: str) -> dict[str, Any]:
    """What every command says beside its content: a new id, who gives it, why, and when."""
    return {"command_id": uuid4().bytes, "principal": caller(), "reason": reason, "issued_at": wall_micros()}

"""The control ledger in memory: read whole at start, then followed. Switches, tools, budgets and policies are looked
up here, without a database. A view that could not be confirmed up to the end of the log within `control_stale_max_s` is
not fresh, and everything then counts as stopped; so does one whose chain is broken, for ever.

A log that lost its tail is mended by the control service, with the same bytes. Until then the view is not fresh; the
log is read again from its start, and must come to the hash that was read before under the same number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from libs.contracts.errors import CodecError
from libs.governance.control import EMPTY, ControlView, apply, freshened
from libs.ledger.chain import Cursor, Seen, applied, look
from libs.ledger.codec import decode_event
from libs.runtime import kafka
from libs.runtime.clock import boottime_ms, wall_micros
from libs.runtime.logs import logger
from libs.runtime.settings import ControlSettings, KafkaSettings
from libs.runtime.telemetry import Metrics

TOPIC = "ledger.control"
POLL_MS = 100
CONFIRM_EVERY_MS = 1000
RETRY_S = 0.5
_START = Cursor()


@dataclass(frozen=True)
class Tail:
    """The pure part: what was read, and up to where and when that is known to be all. `folded`: the last event that the
    view has, ahead of `cursor` while the log is read again; `searched`: the seq up to which one was missing when the
    log was last read again for it."""

    view: ControlView = EMPTY
    cursor: Cursor = _START
    folded: Cursor = _START
    highest_seq: int = 0
    next_offset: int = 0
    searched: int = 0
    confirmed_ms: int | None = None
    broken: str = ""

    def fresh(self, now_ms: int, stale_max_ms: int) -> bool:
        """Was it the whole log at some moment not longer ago than the limit?"""
        return not self.broken and self.confirmed_ms is not None and now_ms - self.confirmed_ms <= stale_max_ms


def read(tail: Tail, offset: int, value: bytes) -> Tail:
    """The tail after one more record, by the reader's rule: repeats are dropped, a gap waits for the missing one."""
    if tail.broken:
        return tail
    tail = replace(tail, next_offset=offset + 1)
    try:
        fact = decode_event(value, TOPIC)
    except CodecError as error:
        return replace(tail, broken=f"offset {offset} cannot be decoded: {error}")
    envelope = fact.envelope
    match look(tail.cursor, envelope.seq, envelope.prev_hash):
        case Seen.APPLY:
            tail = replace(tail, cursor=applied(offset, envelope.seq, fact.hash))
            if envelope.seq > tail.folded.last_seq:
                highest = max(tail.highest_seq, envelope.seq)
                return replace(tail, view=apply(tail.view, fact), folded=tail.cursor, highest_seq=highest)
            if envelope.seq == tail.folded.last_seq and fact.hash != tail.folded.last_hash:
                reason = f"seq {envelope.seq} at offset {offset} has other bytes than were read before"
                return replace(tail, broken=reason)
            return tail
        case Seen.DROP:
            return tail
        case Seen.GAP:
            return replace(tail, highest_seq=max(tail.highest_seq, envelope.seq))
        case Seen.HALT:
            return replace(tail, broken=f"seq {envelope.seq} at offset {offset} does not continue the chain")


@dataclass(frozen=True)
class Question:
    """Where does the log end? Asked at `asked_ms`, when everything before `next_offset` had been read."""

    asked_ms: int
    next_offset: int


def confirm(tail: Tail, question: Question, end_offset: int) -> Tail:
    """The log ended at `end_offset` at some moment after the question: does the tail have all of it by now? If it is
    shorter than what was read, or has lost an event before what was read, it is to be read again (`rewound`)."""
    if tail.broken:
        return tail
    if end_offset < question.next_offset:
        return rewound(tail)
    if tail.next_offset < end_offset:
        return tail
    if tail.highest_seq == tail.cursor.last_seq:
        return replace(tail, confirmed_ms=question.asked_ms)
    return rewound(tail) if tail.searched < tail.highest_seq else tail


def rewound(tail: Tail) -> Tail:
    """The tail at the start of the log: what was folded stays, nothing is confirmed until it was all found again."""
    return replace(tail, cursor=_START, next_offset=0, searched=tail.highest_seq, confirmed_ms=None)


class ControlTail:
    """Follows the control ledger. Safe to read from the same loop at any time; a look costs no await."""

    def __init__(
        self,
        settings: KafkaSettings,
        control: ControlSettings,
        metrics: Metrics | None = None,
        client_id: str = "deedbook-control-tail",
    ) -> None:
        self._settings = settings
        self._stale_max_ms = control.control_stale_max_ms
        self._metrics = metrics
        self._client_id = client_id
        self._tail = Tail()
        self._callbacks: list[Callable[[ControlView], None]] = []
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._told: tuple[bool, int | None] = (False, None)
        self._stopping = False
        self._complaint = ""
        self._log = logger(__name__)

    @property
    def view(self) -> ControlView:
        """What is in force, with its freshness as of this very moment."""
        return freshened(self._tail.view, self.fresh)

    @property
    def fresh(self) -> bool:
        return self._tail.fresh(boottime_ms(), self._stale_max_ms)

    @property
    def confirmed_ms(self) -> int | None:
        """A boot time at which the view was known to be all there is; None = never, or it is broken."""
        return None if self._tail.broken else self._tail.confirmed_ms

    @property
    def seq(self) -> int:
        """Seq of the last event that is folded in."""
        return self._tail.folded.last_seq

    @property
    def broken(self) -> str:
        """Why this view will never be fresh again; '' = it is not broken."""
        return self._tail.broken

    def on_change(self, callback: Callable[[ControlView], None]) -> None:
        """Call this, from the loop, whenever the view moved or was confirmed, or its freshness changed. It must not
        block."""
        self._callbacks.append(callback)

    def readiness(self) -> str:
        """'' when fresh, else why not, in words."""
        if self._tail.broken:
            return f"the control ledger is broken: {self._tail.broken}"
        if self._tail.cursor.last_seq < self._tail.folded.last_seq:
            return "the control ledger has lost events, or is being read again; the control service mends it"
        return "" if self.fresh else "the control view is stale"

    async def start(self) -> None:
        """Begin to follow. Raises StartRefused when Kafka does not answer."""
        client = await self._open()
        self._task = asyncio.create_task(self._run(client), name="control-tail")

    async def wait_ready(self, timeout_s: float | None = None) -> None:
        """Until the view has once been confirmed. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._ready.wait()

    async def stop(self) -> None:
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _open(self) -> Any:
        client = kafka.consumer(self._settings, self._client_id, fetch_max_wait_ms=POLL_MS)
        await kafka.start(client, self._settings)
        partition = TopicPartition(TOPIC, 0)
        client.assign([partition])
        client.seek(partition, self._tail.next_offset)
        return client

    async def _run(self, client: Any) -> None:
        """Follow for ever; a client that failed, or is to start again, is replaced and goes on where the tail is."""
        while not self._stopping:
            try:
                if client is None:
                    client = await self._open()
                await self._follow(client)
            except OffsetOutOfRangeError:  # the log was cut before the place that we read from
                self._rewind(rewound(self._tail))
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - boundary: the view goes stale, so all stops
                self._complain(repr(error))  # the library's own cancellations come out here, too
            if client is not None:
                await kafka.stop(client)
            client = None
            if not self._stopping:
                self._tell(moved=False)
                await asyncio.sleep(RETRY_S)

    async def _follow(self, client: Any) -> None:
        partition = TopicPartition(TOPIC, 0)
        question = Question(boottime_ms() - CONFIRM_EVERY_MS, 0)
        asking: asyncio.Task[Any] | None = None
        end_offset: int | None = None  # the answer, until everything up to it was read
        try:
            while True:
                records = (await client.getmany(partition, timeout_ms=POLL_MS)).get(partition, ())
                moved = self._take(records)
                if asking is not None and asking.done():
                    end_offset, asking = asking.result()[partition], None
                if end_offset is not None:
                    confirmed = confirm(self._tail, question, end_offset)
                    if confirmed.next_offset < self._tail.next_offset:
                        return self._rewind(confirmed)
                    self._settle(confirmed)
                    end_offset = None if self._tail.confirmed_ms == question.asked_ms else end_offset
                if asking is None and end_offset is None and boottime_ms() - question.asked_ms >= CONFIRM_EVERY_MS:
                    question = Question(boottime_ms(), self._tail.next_offset)
                    asking = asyncio.create_task(client.end_offsets([partition]))
                self._tell(moved)
        finally:
            if asking is not None:
                asking.cancel()

    def _complain(self, error: str) -> None:
        """Once per cause: it is tried again twice a second."""
        if error != self._complaint and not self._stopping:
            self._log.warning("the control ledger cannot be read", error=error)
        self._complaint = error

    def _take(self, records: Sequence[Any]) -> bool:
        """Fold records; say whether the view moved."""
        before = tail = self._tail
        for record in records:
            tail = read(tail, record.offset, record.value)
        self._settle(tail)
        return tail.view is not before.view

    def _rewind(self, tail: Tail) -> None:
        """Begin again at the start of the log."""
        if self._tail.next_offset:
            self._log.error(
                "the control ledger has lost events: everything waits until it has them again", seq=self.seq
            )
            self._alarm("CONTROL_SHORTER")
        self._settle(tail)

    def _alarm(self, code: str) -> None:
        if self._metrics is not None:
            self._metrics.alarms.labels(code).inc()

    def _settle(self, tail: Tail) -> None:
        if tail.broken and not self._tail.broken:
            self._log.critical("the control ledger is broken; everything counts as stopped", reason=tail.broken)
            self._alarm("CONTROL_BROKEN")
        self._tail = tail
        if tail.confirmed_ms is not None:
            self._ready.set()
            self._complaint = ""

    def _tell(self, moved: bool) -> None:
        fresh = self.fresh
        if self._metrics is not None:
            self._metrics.control_seq.set(self.seq)
            if self._tail.confirmed_ms is not None:
                self._metrics.control_age.set((boottime_ms() - self._tail.confirmed_ms) / 1000)
        if moved or self._told != (fresh, self.confirmed_ms):
            self._told = (fresh, self.confirmed_ms)
            for callback in self._callbacks:
                callback(self.view)
        if moved and self._metrics is not None:  # only now, when everybody here knows it
            self._metrics.control_seen.set(wall_micros() / 1_000_000)

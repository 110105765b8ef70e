"""The started list (lane_rules 16, 20): what this process has called, across its own re-claims, and the results that
wait to be recorded - by this process while the lane is ours, else by the lane's owner, who is told on `commands`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from libs.contracts.events import AnswerStatus
from libs.ledger.inbox import Taken
from libs.ledger.lane import Phase
from libs.ledger.protocol import Finished, LateSent, SendLate
from libs.ledger.service import Effect, Result

if TYPE_CHECKING:
    from libs.ledger.worker import Worker

Place = tuple[bytes, int]  # key, attempt
LATE_AGAIN_MS = 1_000
NOT_NOW = ("NOT_OWNER", "LOOK_AGAIN")  # not sent, and nothing is wrong with the deed: from the beginning of the gate


@dataclass
class Called:
    """A call of this process: running, or its result waiting to be recorded."""

    lane: int
    effect_class: str
    timeout_ms: int
    trace_parent: str = ""
    result: Result | None = None
    late_under_way: bool = False
    late_retry_ms: int = 0
    late_sent: bool = False


class Calls:
    """All calls of this process."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.made: dict[Place, Called] = {}
        self.known: dict[int, tuple[int, frozenset[Place]]] = {}  # lane -> our last epoch, and what others had started

    def __contains__(self, place: Place) -> bool:
        return place in self.made

    def add(self, lane: int, effect: Effect) -> None:
        """It is about to be called."""
        self.made[(effect.key, effect.attempt)] = Called(
            lane, effect.effect_class, effect.timeout_ms, effect.trace_parent
        )

    def started_by_others(self, lane: int, epoch: int, from_us: bool, marked: set[Place]) -> frozenset[Place]:
        """Of the open dispatches with a mark: those that somebody else may have called. A claim that directly follows
        an epoch of ours that we know all about adds none; marks found when that ownership began stay theirs."""
        before, theirs = self.known.get(lane, (0, frozenset()))
        if not (from_us and epoch == before + 1):
            theirs = frozenset(marked)
        theirs = frozenset(place for place in theirs & marked if place not in self.made)
        self.known[lane] = (epoch, theirs)
        return theirs

    def running(self, lane: int) -> list[Called]:
        """Those of a lane that have not ended."""
        return [call for call in self.made.values() if call.lane == lane and call.result is None]

    def results(self, lane: int) -> list[Result]:
        """What came back for a lane and is not recorded yet."""
        return [call.result for call in self.made.values() if call.lane == lane and call.result is not None]

    @property
    def has_unsent(self) -> bool:
        """Is there a result that nobody else knows?"""
        return any(call.result is not None and not call.late_sent for call in self.made.values())

    def quiet_until(self, lane: int) -> int:
        """Until when a call of this lane may still reach its tool; 0 = none runs."""
        running = [call.timeout_ms for call in self.running(lane)]
        return self.worker.now_at() + (max(running) + self.worker.limits.margin_ms) * 1000 if running else 0

    # -- how a call leaves the list

    def finished(self, answer: Finished) -> Called | None:
        """A call has ended: keep its result until it is recorded, or strike it off if the last look forbade it. None:
        it is not ours, or has ended before."""
        result = answer.result
        place = (result.key, result.attempt)
        call = self.made.get(place)
        if call is None or call.result is not None:
            return None
        if result.answer.status is AnswerStatus.NOT_SENT and result.answer.code in NOT_NOW:
            del self.made[place]
        else:
            call.result = result
        return call

    def recorded(self, taken: Taken) -> None:
        """A batch is committed: results that it consumed may be forgotten."""
        for entry in taken.direct:
            if isinstance(entry.item, Result):
                self.made.pop((entry.item.key, entry.item.attempt), None)

    def send_late(self) -> None:
        """Results of calls whose lane is not ours go to `commands`, for its owner to record (rule 20)."""
        for call in self.made.values():
            if call.result is None or call.late_under_way or call.late_sent:
                continue
            free = self.worker.lanes[call.lane].phase is Phase.FREE
            if free and self.worker.boot_ms >= call.late_retry_ms:
                call.late_under_way = True
                self.worker.out.append(SendLate(call.lane, call.result, call.trace_parent))

    def on_late_sent(self, answer: LateSent) -> None:
        """The result is on `commands`, for the lane's owner to record; otherwise it is sent again. The call stays on
        the list: if we are that owner, and nobody was in between, it must not look as if it had never been made."""
        call = self.made.get((answer.result.key, answer.result.attempt))
        if call is not None:
            call.late_under_way, call.late_sent = False, answer.ok
            call.late_retry_ms = self.worker.boot_ms + LATE_AGAIN_MS

    def taken_over(self, lanes: set[int]) -> None:
        """These lanes have other owners: what they do with our calls no longer depends on our list."""
        for place in [p for p, call in self.made.items() if call.late_sent and call.lane in lanes]:
            del self.made[place]

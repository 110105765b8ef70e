"""What the lane protocol wants done. Each action gets exactly one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.ledger.chain import Cursor
from libs.ledger.rows import LaneRow, OutRecord, ParkedInput, Published, SideRecord
from libs.ledger.service import Citation, Effect, Result, ScopeRow, Waiting


@dataclass(frozen=True)
class Claim:
    """Take the lane's rows of all hosted services, all or none (rule 1), then read what belongs to it (rule 2). All
    rows get the same new epoch: one above the highest of them."""

    lane: int
    claim: int
    control_seq: int


@dataclass(frozen=True)
class Check:
    """Read the records at the anchors, the outputs' tails and the topics' limits. `full`: partitions to be read from
    their start, by service (its output) or `service/topic` (one of its inputs)."""

    lane: int
    claim: int
    rows: Mapping[str, LaneRow]
    full: tuple[str, ...] = ()


@dataclass(frozen=True)
class Load:
    """Read the states of keys per service, all stripes of scopes, and whose the cited events are."""

    round: int
    keys: Mapping[str, Sequence[bytes]]
    scopes: Sequence[str] = ()
    cited: Sequence[Citation] = ()


@dataclass
class RowChange:
    """What a commit writes for one lane and service."""

    lane: int
    epoch: int
    seen_out_seq: int
    out_seq: int
    out_hash: bytes
    published: Published
    cursors: Mapping[str, Cursor]
    control_seq: int
    records: list[OutRecord] = field(default_factory=list)
    states: dict[bytes, Any] = field(default_factory=dict)
    work: dict[bytes, Waiting | None] = field(default_factory=dict)
    sides: list[SideRecord] = field(default_factory=list)
    sides_done: list[int] = field(default_factory=list)
    parked: list[tuple[bytes, ParkedInput]] = field(default_factory=list)
    unparked: list[bytes] = field(default_factory=list)
    scopes: list[tuple[int, ScopeRow]] = field(default_factory=list)  # (version seen, row after)


@dataclass(frozen=True)
class Commit:
    """Everything or nothing (rules 3, 4). `changes` per service, in the order of the routing table."""

    round: int
    changes: Mapping[str, Sequence[RowChange]]


@dataclass(frozen=True)
class Publish:
    """Append these records to the partition `lane` of `topic`, in order, one un-acked batch at a time (rule 13)."""

    lane: int
    claim: int
    service: str
    topic: str
    records: Sequence[OutRecord]
    own_producer: bool = False


@dataclass(frozen=True)
class PublishSide:
    """Append forwards and dead letters; at least once."""

    lane: int
    claim: int
    service: str
    records: Sequence[SideRecord]


@dataclass(frozen=True)
class Connect:
    """Make the tools of these effects ready to be called. Nothing is sent to them that could have an effect."""

    lane: int
    claim: int
    effects: Sequence[Effect]


@dataclass(frozen=True)
class Start:
    """One statement on the primary: lock the lane rows, check epoch and token, write `started` (rule 17)."""

    marks: Sequence[tuple[int, int, int, Sequence[tuple[bytes, int]]]]  # lane, claim, epoch, (key, attempt)


@dataclass(frozen=True)
class Call:
    """Call the tool now: no await until the lease was looked at and the first byte written."""

    lane: int
    claim: int
    effect: Effect


@dataclass(frozen=True)
class Renew:
    """Prolong the leases of all owned lanes."""

    lanes: Sequence[tuple[int, int, int]]  # lane, claim, epoch


@dataclass(frozen=True)
class Survey:
    """Announce this worker (or, `leaving`, take it off the list of those who share the lanes out, since it leaves or
    could not serve them); see the other workers and who owns which lane."""

    leaving: bool = False


@dataclass(frozen=True)
class Suspect:
    """Write down what is about to be decided (flow.md decision 17). A commit or a release clears it."""

    lane: int
    claim: int
    epoch: int
    mark: str


@dataclass(frozen=True)
class Halt:
    """Write `halted_reason` under the fence: nobody claims until an operator clears it (rule 9)."""

    lane: int
    claim: int
    epoch: int
    reason: str


@dataclass(frozen=True)
class Release:
    """Free the lane's rows; `quiet_until_at` if an effect may still be running (rule 21)."""

    lane: int
    claim: int
    epoch: int
    quiet_until_at: int


@dataclass(frozen=True)
class Follow:
    """Read exactly these partitions from these offsets on: (topic, lane) -> (claim, next offset; None = log start)."""

    positions: Mapping[tuple[str, int], tuple[int, int | None]]


@dataclass(frozen=True)
class SendLate:
    """Write a result that is no longer ours to record to `commands` of its lane (rule 20)."""

    lane: int
    result: Result
    trace_parent: str = ""  # of its intent


@dataclass(frozen=True)
class DropProducer:
    """Throw the shared producer away: after an error nothing it holds can be trusted (rule 13)."""


@dataclass(frozen=True)
class Alarm:
    """Something an operator must see: logged and counted. `trace_parent`: of the intent that it is about, if of one."""

    lane: int
    code: str
    text: str
    trace_parent: str = ""


Action = (
    Claim | Check | Load | Commit | Publish | PublishSide | Connect | Start | Call | Renew | Survey | Suspect
    | Halt | Release | Follow | SendLate | DropProducer | Alarm
)  # fmt: skip

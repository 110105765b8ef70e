"""The words between the lane protocol (pure) and whatever carries it out (the shell, or the simulation).

The protocol yields *actions*; each gets exactly one *answer*, also when it failed or its fate is unknown. An answer
names the claim it belongs to; one that comes for an earlier claim is stale and changes nothing.
Times: `*_at` = microseconds of the database's clock, `boot_ms` = milliseconds of CLOCK_BOOTTIME.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from libs.contracts.events import ToolAnswer
from libs.ledger.chain import ZERO, Cursor
from libs.ledger.service import Effect, Record, Result, ScopeRow, Waiting


class Published(msgspec.Struct, frozen=True, array_like=True):
    """The frontier of an output partition: the last record whose ack came to us (seq 0 = none yet)."""

    offset: int = -1
    seq: int = 0
    hash: bytes = ZERO


class LaneRow(msgspec.Struct, frozen=True):
    """One service's row of a lane, as a claim found it (epoch and token are already the new ones)."""

    service: str
    epoch: int
    out_seq: int
    out_hash: bytes
    published: Published
    cursors: dict[str, Cursor]
    previous_token: bytes
    lease_end_at: int  # of the owner before us; 0 if it released the lane
    quiet_until_at: int
    unfinished: int  # claims since the last commit or release, this one included
    suspect: str  # the mark that stood when the last owner ended: what it was about to decide (careful.py)


class OutRecord(msgspec.Struct, frozen=True, array_like=True):
    """One record of an output: the Kafka key and the stored bytes."""

    seq: int
    key: bytes
    value: bytes
    hash: bytes


class SideRecord(msgspec.Struct, frozen=True):
    """A forward or a dead letter: published at least once, outside the chain."""

    id: int
    topic: str
    partition: int
    key: bytes
    value: bytes


class WorkRow(msgspec.Struct, frozen=True):
    """One row of the index of all that waits. `started_at`: the gate's mark."""

    key: bytes
    waiting: Waiting
    started_at: int | None = None
    first_started_at: int | None = None


class ParkedInput(msgspec.Struct, frozen=True):
    """An input that waits because its key is parked: a record of `topic`."""

    n: int
    record: Record


class TailRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record found in an output partition."""

    offset: int
    seq: int
    prev_hash: bytes
    hash: bytes


# ---------------------------------------------------------------- actions


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
    """Read the states of keys per service, and all stripes of scopes."""

    round: int
    keys: Mapping[str, Sequence[bytes]]
    scopes: Sequence[str] = ()


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
    """Announce this worker (or, `leaving`, take it off the list); see the other workers and who owns which lane."""

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


@dataclass(frozen=True)
class DropProducer:
    """Throw the shared producer away: after an error nothing it holds can be trusted (rule 13)."""


@dataclass(frozen=True)
class Alarm:
    """Something an operator must see: logged and counted."""

    lane: int
    code: str
    text: str


Action = (
    Claim | Check | Load | Commit | Publish | PublishSide | Connect | Start | Call | Renew | Survey | Suspect
    | Halt | Release | Follow | SendLate | DropProducer | Alarm
)  # fmt: skip

# ---------------------------------------------------------------- answers


@dataclass(frozen=True)
class Claimed:
    """The lane is ours. Everything here was read after the claim's answer (rule 2)."""

    lane: int
    claim: int
    sent_boot_ms: int
    rows: Mapping[str, LaneRow]
    outbox: Mapping[str, Sequence[OutRecord]]  # above the frontier
    work: Mapping[str, Sequence[WorkRow]]
    sides: Mapping[str, Sequence[SideRecord]]
    parked: Mapping[str, Mapping[bytes, Sequence[ParkedInput]]]


@dataclass(frozen=True)
class ClaimRefused:
    """Not ours: owned, halted, of another shape or a newer format. `unknown`: the answer was lost."""

    lane: int
    claim: int
    code: str
    text: str = ""


@dataclass(frozen=True)
class Checked:
    """What the log holds. `anchors["service/topic"]`: (hash at the anchor's offset or None, log start). `tails`: what
    was asked for with `full`, and for every other output the records from the frontier's offset on. `kept[service]`:
    outbox rows for comparison, by seq. `limits`: the largest record value of each topic, batch overhead taken off."""

    lane: int
    claim: int
    anchors: Mapping[str, tuple[bytes | None, int]]
    tails: Mapping[str, Sequence[TailRecord]]
    kept: Mapping[str, Mapping[int, OutRecord]]
    limits: Mapping[str, int]
    error: str = ""


@dataclass(frozen=True)
class Loaded:
    """States found (missing = initial) and scope stripes."""

    round: int
    states: Mapping[str, Mapping[bytes, Any]]
    scopes: Mapping[str, Sequence[ScopeRow]]
    error: str = ""


@dataclass(frozen=True)
class Committed:
    """All of it is stored; the leases of the batch's lanes were renewed."""

    round: int
    sent_boot_ms: int


@dataclass(frozen=True)
class CommitRefused:
    """Nothing was stored: these lanes are not ours any more, or these scope rows are newer than seen."""

    round: int
    lanes: Sequence[int] = ()
    scopes: Sequence[ScopeRow] = ()


@dataclass(frozen=True)
class CommitUnknown:
    """The answer was lost: claim again before anything else (rule 5)."""

    round: int
    text: str = ""


@dataclass(frozen=True)
class Acked:
    """Records up to `seq` are on the log; `offset` is that of the last one."""

    lane: int
    claim: int
    service: str
    first_offset: int
    offset: int
    seq: int
    hash: bytes


@dataclass(frozen=True)
class PublishFailed:
    """Rejected, or no answer in time: what was appended is unknown."""

    lane: int
    claim: int
    service: str
    text: str = ""


@dataclass(frozen=True)
class SidesAcked:
    """These forwards and dead letters are on the log (or `error`)."""

    lane: int
    claim: int
    service: str
    ids: Sequence[int]
    error: str = ""


@dataclass(frozen=True)
class Connected:
    """The tools are ready for these effects; `failed`: (key, attempt, answer), provably not sent."""

    lane: int
    claim: int
    keys: Sequence[tuple[bytes, int]]
    failed: Sequence[tuple[bytes, int, ToolAnswer]] = ()


@dataclass(frozen=True)
class Started:
    """Lanes whose marks are written; `refused`: lanes that are not ours any more; `error`: nothing is known."""

    lanes: Mapping[int, Sequence[tuple[bytes, int]]]
    claims: Mapping[int, int]
    refused: Sequence[int] = ()
    error: str = ""


@dataclass(frozen=True)
class Finished:
    """A call has ended (an answer, a time-out, an error, or NOT_SENT)."""

    lane: int
    result: Result


@dataclass(frozen=True)
class Renewed:
    """Leases prolonged, counted from `sent_boot_ms`; `lost`: lanes with another epoch; `error`: unknown."""

    sent_boot_ms: int
    lanes: Sequence[tuple[int, int]]  # lane, claim
    lost: Sequence[tuple[int, int]] = ()
    error: str = ""


@dataclass(frozen=True)
class LaneSeen:
    """One lane in a survey. `free`: no owner, or its lease has run out."""

    lane: int
    token: bytes | None
    free: bool
    halted: str


@dataclass(frozen=True)
class Surveyed:
    """The workers that live (tokens, in order), the lanes, and the database's clock."""

    sent_boot_ms: int
    now_at: int
    workers: Sequence[bytes]
    lanes: Sequence[LaneSeen]
    error: str = ""


@dataclass(frozen=True)
class Suspected:
    """The mark is written."""

    lane: int
    claim: int
    ok: bool


@dataclass(frozen=True)
class Halted:
    """The reason is stored (or the fence refused: no alarm, it is somebody else's lane)."""

    lane: int
    claim: int
    ok: bool


@dataclass(frozen=True)
class Released:
    """Free, or not ours any more, or the answer was lost: all three count as released."""

    lane: int
    claim: int


@dataclass(frozen=True)
class Records:
    """Records fetched for a claim, in offset order."""

    topic: str
    lane: int
    claim: int
    records: Sequence[Record]


@dataclass(frozen=True)
class FetchFailed:
    """An input can no longer be read from where we are: its log was cut or made again."""

    lane: int
    claim: int
    text: str


@dataclass(frozen=True)
class ControlSeen:
    """The control view moved, or its freshness changed."""

    view: Any
    fresh: bool


@dataclass(frozen=True)
class LateSent:
    """A late result is on `commands` (or not: it is sent again)."""

    lane: int
    result: Result
    ok: bool


Answer = (
    Claimed | ClaimRefused | Checked | Loaded | Committed | CommitRefused | CommitUnknown | Acked | PublishFailed
    | SidesAcked | Connected | Started | Finished | Renewed | Surveyed | Suspected | Halted | Released | Records
    | FetchFailed | ControlSeen | LateSent
)  # fmt: skip

"""What became of an action, or what happened by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.contracts.events import ToolAnswer
from libs.ledger.rows import LaneRow, OutRecord, ParkedInput, SideRecord, TailRecord, WorkRow
from libs.ledger.service import Citation, Record, Result, ScopeRow


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
    outbox rows for comparison, by seq. `limits`: the largest record value of each topic, batch overhead taken off.
    `unwritable`: outputs that the broker would not let us write to."""

    lane: int
    claim: int
    anchors: Mapping[str, tuple[bytes | None, int]]
    tails: Mapping[str, Sequence[TailRecord]]
    kept: Mapping[str, Mapping[int, OutRecord]]
    limits: Mapping[str, int]
    error: str = ""
    unwritable: Sequence[str] = ()


@dataclass(frozen=True)
class Loaded:
    """States found (missing = initial), scope stripes, and cited events (missing = nobody could be asked)."""

    round: int
    states: Mapping[str, Mapping[bytes, Any]]
    scopes: Mapping[str, Sequence[ScopeRow]]
    error: str = ""
    cited: Mapping[Citation, str | None] = field(default_factory=dict)


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
    """The workers that live and may claim (tokens, in order), the lanes, and the database's clock. `unfit`: why this
    worker may not claim, and what to do about it (rule 25)."""

    sent_boot_ms: int
    now_at: int
    workers: Sequence[bytes]
    lanes: Sequence[LaneSeen]
    error: str = ""
    unfit: str = ""


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
    """The control view moved, was confirmed anew, or can never be again. `confirmed_ms`: a moment (boot time) at which
    it was known to be the whole control ledger; None = it never was, or is broken. How old that is, whoever uses the
    view asks at that very moment: a process that slept hears of nothing in time."""

    view: Any
    confirmed_ms: int | None


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

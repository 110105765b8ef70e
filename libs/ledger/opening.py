"""From claim to open: what an owner does before it decides anything (lane_rules 1, 2, 9-11, 15, 19)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libs.ledger.anchors import Verdict, check_input, check_output
from libs.ledger.chain import Cursor
from libs.ledger.lane import Lane, Part, Phase
from libs.ledger.protocol import Alarm, Check, Checked, Claimed, ClaimRefused, LaneRow, Publish, Published
from libs.ledger.service import Recover, WaitKind

if TYPE_CHECKING:
    from libs.ledger.worker import Worker

CAREFUL_FROM = 3  # claims without a commit in between, after which records are decided one at a time
PARK_FROM = 4  # ... and after which the suspect's key is parked


def on_answer(worker: Worker, answer: Claimed | ClaimRefused | Checked) -> None:
    """The steps between a claim and an open lane."""
    lane = worker.current(answer.lane, answer.claim)
    if lane is None:
        return
    if isinstance(answer, Claimed) and lane.phase is Phase.CLAIMING:
        _claimed(worker, lane, answer)
    elif isinstance(answer, ClaimRefused) and lane.phase is Phase.CLAIMING:
        _refused(worker, lane, answer)
    elif isinstance(answer, Checked) and lane.phase is Phase.CHECKING:
        _checked(worker, lane, answer)


def _refused(worker: Worker, lane: Lane, answer: ClaimRefused) -> None:
    if answer.code == "UNKNOWN":
        worker.fail(lane, "CLAIM_UNKNOWN", answer.text)
        return
    if answer.code not in ("OWNED", "CONTROL_BEHIND"):
        worker.out.append(Alarm(lane.number, answer.code, answer.text))
    worker.lose(lane)


def _claimed(worker: Worker, lane: Lane, answer: Claimed) -> None:
    lane.phase = Phase.CHECKING
    lane.lease_end_boot_ms = answer.sent_boot_ms + worker.limits.lease_ms
    lane.draining = worker.stopping
    for service in worker.hosted.services:
        row = answer.rows[service.name]
        topics = service.reads + service.commands
        part = Part(service, row, row.out_seq, row.out_hash, row.published, {t: _cursor(row, t) for t in topics})
        part.parked = {key: list(items) for key, items in answer.parked[service.name].items()}
        part.sides = {side.id: side for side in answer.sides[service.name]}
        part.next_side = max(part.sides, default=-1) + 1
        part.unacked = answer.outbox[service.name]
        lane.parts[service.name] = part
        lane.epoch = row.epoch
        for entry in answer.work[service.name]:
            lane.arm(service, entry.key, entry.waiting)
        if service.react is not None:
            _recover(worker, lane, answer)
    unfinished = max(row.unfinished for row in answer.rows.values())
    if unfinished >= CAREFUL_FROM:
        lane.careful = "PARK" if unfinished >= PARK_FROM else "MARK"
        lane.suspect = next((row.suspect for row in answer.rows.values() if row.suspect), "")
        worker.out.append(Alarm(lane.number, "CAREFUL", f"{unfinished} claims without a commit: one record at a time"))
    worker.out.append(Check(lane.number, lane.claim, dict(answer.rows)))


def _cursor(row: LaneRow, topic: str) -> Cursor:
    return row.cursors.get(topic, Cursor())


def _recover(worker: Worker, lane: Lane, answer: Claimed) -> None:
    """Rules 16 and 19: what to do with dispatches that have no result. Inputs, decided like any other."""
    for service in worker.hosted.services:
        if service.react is None:
            continue
        row = answer.rows[service.name]
        direct_successor = row.previous_token == worker.token
        lease_end = row.lease_end_at or worker.now_at()
        quiet = lease_end + (worker.limits.call_timeout_max_ms + worker.limits.margin_ms) * 1000
        for entry in answer.work[service.name]:
            if entry.waiting.kind is not WaitKind.DISPATCHED:
                continue
            if worker.gate.is_called(entry.key, entry.waiting.attempt):
                lane.gate[entry.key] = "CALLED"
                continue
            started = entry.started_at is not None and not direct_successor
            lane.push(
                service,
                Recover(
                    key=entry.key,
                    attempt=entry.waiting.attempt,
                    started=started,
                    first_started_at=entry.first_started_at,
                    quiet_until_at=max(row.quiet_until_at, quiet) if started else 0,
                ),
            )


def _checked(worker: Worker, lane: Lane, answer: Checked) -> None:
    if answer.error:
        worker.fail(lane, "CHECK_FAILED", answer.error)
        return
    frontier: dict[str, Published] = {}
    unread: list[str] = []
    for part in lane.parts.values():
        if part.service.writes is None:
            continue
        name, topic = part.service.name, part.service.writes
        full = name in lane.full_checked
        found = check_output(topic, part.row, answer.tails[name], answer.kept[name], full)
        if found.verdict is Verdict.HALT:
            worker.halt(lane, found.reason)
            return
        if found.verdict is Verdict.FULL:
            unread.append(name)
        frontier[name] = found.published
    if unread:
        lane.full_checked = tuple(unread)
        rows = {name: part.row for name, part in lane.parts.items()}
        worker.out.append(Check(lane.number, lane.claim, rows, tuple(unread)))
        return
    if _inputs_fit(worker, lane, answer):
        _open(worker, lane, answer, frontier)


def _inputs_fit(worker: Worker, lane: Lane, answer: Checked) -> bool:
    for part in lane.parts.values():
        for topic, cursor in part.cursors.items():
            if topic in worker.hosted.written:
                continue  # the output check of its writer covers it
            verdict, reason = check_input(topic, cursor, answer.anchors[f"{part.service.name}/{topic}"])
            waited = worker.boot_ms - (lane.failing_since_ms or worker.boot_ms)
            if verdict is Verdict.WAIT and waited < worker.limits.mend_wait_ms:
                worker.fail(lane, "INPUT_TAIL_LOST", reason)
                return False
            if verdict is not Verdict.OK:
                worker.halt(lane, f"{part.service.name}: {reason}")
                return False
    return True


def _open(worker: Worker, lane: Lane, answer: Checked, frontier: dict[str, Published]) -> None:
    lane.phase = Phase.OPEN
    lane.limits = dict(answer.limits)
    for name, part in lane.parts.items():
        if part.service.writes is None:
            continue
        behind = frontier[name].seq < part.published.seq
        if behind:
            lost = [r for seq, r in sorted(answer.kept[name].items()) if frontier[name].seq < seq <= part.published.seq]
            part.unacked = [*lost, *part.unacked]
            worker.out.append(Alarm(lane.number, "TAIL_LOST", f"{part.service.writes}: {len(lost)} records published again"))
        part.published = frontier[name]
        lane.highest_offset[name] = max((t.offset for t in answer.tails[name]), default=-1)
        if part.unacked:
            publish(worker, lane, part)
        if part.sides:
            worker.send_sides(lane, name)
    lane.set_fetch_positions(worker.hosted)
    worker.gate.opened(lane)


def publish(worker: Worker, lane: Lane, part: Part) -> None:
    """Stored bytes, in order, from the frontier on (rule 13)."""
    topic = part.service.writes
    assert topic is not None
    own = lane.failures >= 2
    worker.out.append(Publish(lane.number, lane.claim, part.service.name, topic, part.unacked, own))

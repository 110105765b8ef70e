"""From claim to open: what an owner does before it decides anything (lane_rules 1, 2, 9-11, 15, 19)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from libs.ledger import watching
from libs.ledger.anchors import Verdict, check_input, check_output
from libs.ledger.chain import Cursor
from libs.ledger.lane import Lane, Part, Phase
from libs.ledger.poison import care_at_claim
from libs.ledger.protocol import Alarm, Check, Checked, Claimed, ClaimRefused, Published, WorkRow
from libs.ledger.publishing import publish, send_sides
from libs.ledger.service import Recover, Service, WaitKind

if TYPE_CHECKING:
    from libs.ledger.worker import Worker


def on_answer(worker: Worker, answer: Claimed | ClaimRefused | Checked) -> None:
    """The steps between a claim and an open lane."""
    lane = worker.current(answer.lane, answer.claim)
    if lane is None:
        return
    if isinstance(answer, Claimed) and lane.phase is Phase.CLAIMING:
        _claimed(worker, lane, answer)
    elif isinstance(answer, ClaimRefused) and lane.phase is Phase.CLAIMING:
        _refused(worker, lane, answer)
    elif isinstance(answer, Checked) and lane.phase in (Phase.CHECKING, Phase.OPEN) and answer.unwritable:
        worker.fail(lane, "TOPIC_NOT_WRITABLE", _no_right(answer.unwritable))
    elif isinstance(answer, Checked) and lane.phase is Phase.CHECKING:
        _checked(worker, lane, answer)
    elif isinstance(answer, Checked) and lane.phase is Phase.OPEN:
        watching.looked_again(worker, lane, answer)


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
    lane.draining_since_ms = worker.boot_ms if worker.stopping else None
    for service in worker.hosted.services:
        row = answer.rows[service.name]
        cursors = {topic: row.cursors.get(topic, Cursor()) for topic in service.reads + service.commands}
        part = Part(service, row, row.out_seq, row.out_hash, row.published, cursors)
        part.parked = {key: list(items) for key, items in answer.parked[service.name].items()}
        part.sides = {side.id: side for side in answer.sides[service.name]}
        part.next_side = max(part.sides, default=-1) + 1
        part.unacked = answer.outbox[service.name]
        lane.parts[service.name] = part
        lane.epoch = row.epoch
        for entry in answer.work[service.name]:
            lane.arm(service, entry.key, entry.waiting)
    if worker.hosted.effects is not None:
        _recover(worker, lane, worker.hosted.effects, answer)
    inputs_max = worker.limits.batch_max * (1 + len(worker.hosted.readers.keys() - worker.hosted.written))
    rows = list(answer.rows.values())
    lane.care = care_at_claim(rows, worker.token, inputs_max)
    if lane.care.poison or lane.care.suspicious:
        text = "; ".join(row.suspect for row in rows if row.suspect)
        worker.out.append(Alarm(lane.number, "SUSPECT", f"a process died while it decided on {text}"))
    worker.out.append(Check(lane.number, lane.claim, dict(answer.rows)))


def _recover(worker: Worker, lane: Lane, service: Service, answer: Claimed) -> None:
    """Rules 16 and 19: what to do with dispatches that have no result. Inputs, decided like any other. What this
    process has called goes on; what it did not call, and no owner before it may have called, may be called."""
    row, part = answer.rows[service.name], lane.parts[service.name]
    open_ = [w for w in answer.work[service.name] if w.waiting.kind is WaitKind.DISPATCHED]
    marked = {(w.key, w.waiting.attempt) for w in open_ if w.started_at is not None}
    started = worker.calls.started_by_others(lane.number, row.epoch, row.previous_token == worker.token, marked)
    lease_end = row.lease_end_at or worker.now_at()
    quiet = lease_end + (worker.limits.call_timeout_max_ms + worker.limits.margin_ms) * 1000
    lane.recovering = {entry.key for entry in open_}
    for entry in open_:
        if _recovery_waits(part, entry):
            continue
        theirs = (entry.key, entry.waiting.attempt) in started
        lane.push(
            service,
            Recover(
                key=entry.key,
                attempt=entry.waiting.attempt,
                started=theirs,
                first_started_at=entry.first_started_at,
                quiet_until_at=max(row.quiet_until_at, quiet) if theirs else 0,
            ),
        )


def _recovery_waits(part: Part, entry: WorkRow) -> bool:
    """Does a parked key have one already? A second one at each claim would pile up."""
    return any(one.record.topic == "parked/Recover" for one in part.parked.get(entry.key, ()))


# ---------------------------------------------------------------- checking


def _checked(worker: Worker, lane: Lane, answer: Checked) -> None:
    if answer.error:
        worker.fail(lane, "CHECK_FAILED", answer.error)
        return
    missing = sorted(worker.hosted.written - answer.limits.keys())
    if missing:
        worker.fail(lane, "CHECK_FAILED", f"no limit is known of {', '.join(missing)}")
        return
    frontier: dict[str, Published] = {}
    unread: list[str] = []
    for name, part in lane.parts.items():
        if part.service.writes is None:
            continue
        full = name in lane.full_checked
        found = check_output(part.service.writes, part.row, answer.tails[name], answer.kept[name], full)
        if found.verdict is Verdict.HALT:
            worker.halt(lane, found.reason)
            return
        if found.verdict is Verdict.FULL:
            unread.append(name)
        frontier[name] = found.published
    if not _inputs_fit(worker, lane, answer, unread):
        return
    if unread:
        lane.full_checked = (*lane.full_checked, *unread)
        rows = {name: part.row for name, part in lane.parts.items()}
        worker.out.append(Check(lane.number, lane.claim, rows, lane.full_checked))
        return
    _open(worker, lane, answer, frontier)


def _no_right(topics: Sequence[str]) -> str:
    return (
        f"the broker does not let this worker write to {', '.join(topics)}: grant its principal WRITE on the topic"
        " (kafka-acls --add --operation Write), or take the ACL back that denies it"
    )


def _inputs_fit(worker: Worker, lane: Lane, answer: Checked, unread: list[str]) -> bool:
    """Rule 9. Topics that we write ourselves are covered by the output check. An input whose tail is away must not keep
    us from mending our own: its writer may wait for that."""
    lane.mending = ""
    for part in lane.parts.values():
        for topic, cursor in list(part.cursors.items()):
            if topic in worker.hosted.written:
                continue
            place = f"{part.service.name}/{topic}"
            whole = answer.tails.get(place, ()) if place in lane.full_checked else None
            found = check_input(topic, cursor, answer.anchors[place], topic in part.service.reads, whole)
            if found.verdict is Verdict.FULL:
                unread.append(place)
            elif found.verdict is Verdict.WAIT and _may_wait(worker, lane):
                lane.mending = found.reason
            elif found.verdict is not Verdict.OK:
                worker.halt(lane, f"{part.service.name}: {found.reason}")
                return False
            else:
                part.cursors[topic] = found.cursor
    return True


def _may_wait(worker: Worker, lane: Lane) -> bool:
    trouble = lane.trouble
    if trouble.mending_since_ms is None:
        trouble.mending_since_ms = worker.boot_ms
    return worker.boot_ms - trouble.mending_since_ms < worker.limits.mend_wait_ms


def _open(worker: Worker, lane: Lane, answer: Checked, frontier: dict[str, Published]) -> None:
    lane.phase, lane.look_again_ms = Phase.OPEN, worker.boot_ms + worker.limits.look_again_ms
    lane.limits = dict(answer.limits)
    for name, part in lane.parts.items():
        if part.service.writes is not None:
            lost = [r for seq, r in sorted(answer.kept[name].items()) if frontier[name].seq < seq <= part.published.seq]
            if lost:
                part.unacked = [*lost, *part.unacked]
                text = f"{part.service.writes}: {len(lost)} records published again"
                worker.out.append(Alarm(lane.number, "TAIL_LOST", text))
            part.published = frontier[name]
            lane.highest_offset[name] = max((t.offset for t in answer.tails[name]), default=-1)
    if not lane.mending:
        lane.trouble.mending_since_ms = None
    if lane.published_all:
        lane.has_published(acked=False)
    for part in lane.parts.values():
        part.cursors = lane.anchored(part.cursors)
        if part.unacked:
            publish(worker, lane, part)
        if part.sides:
            send_sides(worker, lane, part)
    lane.set_fetch_positions(worker.hosted)
    lane.behind = lane.lagging(worker.hosted)
    lane.wake_ready(worker.hosted)
    worker.gate.opened(lane)

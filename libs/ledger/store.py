"""The database side of the lane protocol: each action becomes one statement of `sql/002_functions.sql`, over the
schemas of all hosted services at once, so that it takes effect for all of them or for none."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import msgspec

from libs.ledger.columns import commit_arguments, commit_statement, lane_row, work_row
from libs.ledger.database import DATABASE_FAILED, Line, Unknown
from libs.ledger.hosted import Hosted
from libs.ledger.protocol import (
    Claim,
    Claimed,
    ClaimRefused,
    Commit,
    CommitRefused,
    Committed,
    CommitUnknown,
    Halt,
    Halted,
    LaneSeen,
    Load,
    Loaded,
    OutRecord,
    ParkedInput,
    Release,
    Released,
    Renew,
    Renewed,
    SideRecord,
    Start,
    Started,
    Survey,
    Surveyed,
    Suspect,
    Suspected,
    WorkRow,
)
from libs.ledger.service import Record, ScopeRow
from libs.ledger.statements import announce_statement, claim_statement, survey_statement

FENCED, SCOPE_VERSION, CLAIM_REFUSED = "DB001", "DB002", "DB003"
_out_records = msgspec.msgpack.Decoder(list[OutRecord])
_record = msgspec.msgpack.Decoder(Record)


class Store:
    """All statements of one worker process. `boot_ms` gives CLOCK_BOOTTIME in milliseconds."""

    def __init__(self, hosted: Hosted, dsn: str, boot_ms: Callable[[], int], options: StoreOptions) -> None:
        self.hosted, self.options, self.boot_ms = hosted, options, boot_ms
        name, timeout = options.name, options.timeout_ms
        self.rounds = Line(dsn, f"{name}/rounds", timeout)
        self.gate = Line(dsn, f"{name}/gate", timeout, options.lock_timeout_ms)
        self.leases = Line(dsn, f"{name}/leases", timeout, options.lock_timeout_ms)
        self.claims = Line(dsn, f"{name}/claims", timeout, options.lock_timeout_ms)
        self.names = [s.name for s in hosted.services]
        self._decoders: dict[str, Any] = {s.name: msgspec.msgpack.Decoder(s.state_type) for s in hosted.services}
        self._react = next((s.name for s in hosted.services if s.react is not None), None)
        self._scoped = next((s.name for s in hosted.services if s.lines is not None), None)
        self._claim_statement = claim_statement(hosted.services)
        self._announce_statement = announce_statement(hosted.services)
        self._survey_statement = survey_statement(hosted.services)
        self._load_statement = " UNION ALL ".join(
            f"SELECT {i} AS service, key, state FROM {n}.state WHERE key = ANY (${i + 1}::uuid[])"
            for i, n in enumerate(self.names)
        )

    async def close(self) -> None:
        """End all connections."""
        for line in (self.rounds, self.gate, self.leases, self.claims):
            await line.close()

    # -- claims

    async def claim(self, action: Claim) -> Claimed | ClaimRefused:
        """Rule 1 in one statement; then, after its answer, what belongs to the lane (rule 2)."""
        sent = self.boot_ms()
        options = self.options
        try:
            rows = await self.claims.fetch(
                self._claim_statement,
                action.lane,
                options.token,
                options.shape,
                options.lease_ms,
                action.control_seq,
            )
            return await self._claimed(action, sent, rows)
        except Unknown as error:
            return ClaimRefused(action.lane, action.claim, "UNKNOWN", str(error))
        except asyncpg.PostgresError as error:
            if error.sqlstate == CLAIM_REFUSED:
                return ClaimRefused(action.lane, action.claim, str(error.message), str(error.detail or ""))
            return ClaimRefused(action.lane, action.claim, "UNKNOWN", f"{type(error).__name__}: {error}")

    async def _claimed(self, action: Claim, sent: int, rows: Sequence[Any]) -> Claimed | ClaimRefused:
        found = {row["service"]: lane_row(row) for row in rows}
        if len({row.epoch for row in found.values()}) > 1:
            return ClaimRefused(action.lane, action.claim, "UNKNOWN", "another claim came in between")
        outbox: dict[str, list[OutRecord]] = {}
        work: dict[str, list[WorkRow]] = {}
        sides: dict[str, list[SideRecord]] = {}
        parked: dict[str, dict[bytes, list[ParkedInput]]] = {}
        for name in self.names:
            outbox[name] = await self._outbox(name, action.lane, found[name].published.seq)
            work[name] = [
                work_row(r) for r in await self.claims.fetch(f"SELECT * FROM {name}.work WHERE lane = $1", action.lane)
            ]
            sides[name] = [
                SideRecord(r["id"], r["topic"], r["partition"], r["key"], r["value"])
                for r in await self.claims.fetch(f"SELECT * FROM {name}.side WHERE lane = $1 ORDER BY id", action.lane)
            ]
            parked[name] = {}
            statement = f"SELECT * FROM {name}.parked WHERE lane = $1 ORDER BY key, n"
            for r in await self.claims.fetch(statement, action.lane):
                parked[name].setdefault(r["key"], []).append(ParkedInput(r["n"], _record.decode(r["record"])))
        return Claimed(action.lane, action.claim, sent, found, outbox, work, sides, parked)

    async def _outbox(self, name: str, lane: int, above: int) -> list[OutRecord]:
        rows = await self.claims.fetch(
            f"SELECT records FROM {name}.outbox WHERE lane = $1 AND last_seq > $2 ORDER BY first_seq", lane, above
        )
        return [r for row in rows for r in _out_records.decode(row["records"]) if r.seq > above]

    async def kept(self, name: str, lane: int, from_seq: int) -> dict[int, OutRecord]:
        """Outbox rows for the check at claim: what we stored under these numbers, where it still exists."""
        return {r.seq: r for r in await self._outbox(name, lane, from_seq - 1)}

    # -- rounds

    async def load(self, action: Load) -> Loaded:
        """States of keys, and all stripes of scopes, in one statement each."""
        states: dict[str, dict[bytes, Any]] = {}
        scopes: dict[str, list[ScopeRow]] = {scope: [] for scope in action.scopes}
        try:
            if any(action.keys.values()):
                keys = [list(action.keys.get(name, ())) for name in self.names]
                for index, key, state in await self.rounds.fetch(self._load_statement, *keys):
                    name = self.names[index]
                    states.setdefault(name, {})[key] = self._decoders[name].decode(state)
            if action.scopes:
                statement = f"SELECT * FROM {self._scoped}.scope WHERE scope = ANY ($1) ORDER BY scope, stripe"
                for row in await self.rounds.fetch(statement, list(action.scopes)):
                    scopes[row["scope"]].append(ScopeRow(*row))
        except DATABASE_FAILED as error:
            return Loaded(action.round, {}, {}, f"{type(error).__name__}: {error}")
        return Loaded(action.round, states, scopes)

    async def commit(self, action: Commit, now_at: int) -> Committed | CommitRefused | CommitUnknown:
        """Rules 3 and 4: everything or nothing, in one call."""
        sent = self.boot_ms()
        arguments: list[Any] = [self.options.token, self.options.lease_ms, now_at]
        for name, changes in action.changes.items():
            arguments += commit_arguments(self.hosted.by_name[name], changes)
        try:
            await self.rounds.fetch(commit_statement(tuple(action.changes)), *arguments)
        except Unknown as error:
            return CommitUnknown(action.round, str(error))
        except asyncpg.PostgresError as error:
            return _refusal(action, error)
        return Committed(action.round, sent)

    # -- the gate and the leases

    async def start(self, action: Start, now_at: int) -> Started:
        """Rule 17: lock the lane rows, check the claims, write `started`; one statement for all lanes."""
        claims = {lane: claim for lane, claim, _, _ in action.marks}
        keys = [(key, lane, attempt) for lane, _, _, marks in action.marks for key, attempt in marks]
        try:
            rows = await self.gate.fetch(
                f"SELECT * FROM {self._react}.start_effects($1, $2, $3, $4, $5, $6, $7)",
                self.options.token,
                [m[0] for m in action.marks],
                [m[2] for m in action.marks],
                [k[0] for k in keys],
                [k[1] for k in keys],
                [k[2] for k in keys],
                now_at,
            )
        except DATABASE_FAILED as error:
            return Started({}, claims, error=f"{type(error).__name__}: {error}")
        lanes: dict[int, list[tuple[bytes, int]]] = {}
        mine: set[int] = set()
        for lane, key, attempt in rows:
            if key is None:
                mine.add(lane)
            else:
                lanes.setdefault(lane, []).append((key, attempt))
        return Started(lanes, claims, tuple(lane for lane in claims if lane not in mine))

    async def renew(self, action: Renew) -> Renewed:
        """Prolong leases; a lane counts as renewed only if all hosted rows were."""
        sent = self.boot_ms()
        lanes, epochs = [m[0] for m in action.lanes], [m[2] for m in action.lanes]
        statement = "SELECT " + ", ".join(f"{n}.renew($1, $2, $3, $4)" for n in self.names)
        try:
            rows = await self.leases.fetch(statement, self.options.token, lanes, epochs, self.options.lease_ms)
        except DATABASE_FAILED as error:
            return Renewed(sent, (), (), f"{type(error).__name__}: {error}")
        kept = set.intersection(*(set(column) for column in rows[0]))
        return Renewed(
            sent,
            [(lane, claim) for lane, claim, _ in action.lanes if lane in kept],
            [(lane, claim) for lane, claim, _ in action.lanes if lane not in kept],
        )

    async def survey(self, action: Survey) -> Surveyed:
        """Announce this worker in all hosted schemas (or take it off their lists) and look around in the first one."""
        sent, options = self.boot_ms(), self.options
        leave = "SELECT " + ", ".join(f"{name}.leave($1)" for name in self.names)
        try:
            if action.leaving:
                await self.leases.fetch(leave, options.token)
            else:
                await self.leases.fetch(
                    self._announce_statement, options.token, options.name, ",".join(self.names),
                    options.worker_ttl_ms * 20,
                )  # fmt: skip
            rows = await self.leases.fetch(self._survey_statement, options.worker_ttl_ms, options.lanes)
        except DATABASE_FAILED as error:
            return Surveyed(sent, 0, (), (), f"{type(error).__name__}: {error}")
        workers = [r["token"] for r in rows if r["kind"] == "worker"]
        lanes = [LaneSeen(r["lane"], r["token"], r["free"], r["said"] or "") for r in rows if r["kind"] == "lane"]
        unfit = "; ".join(r["said"] for r in rows if r["kind"] == "unfit")
        return Surveyed(sent, rows[0]["now_at"], workers, lanes, unfit=unfit)

    async def release(self, action: Release) -> Released:
        """Rule 21: give the rows back; a lost answer counts as released."""
        statement = "SELECT " + ", ".join(f"{n}.release($1, $2, $3, $4)" for n in self.names)
        with suppress(*DATABASE_FAILED):  # the lease runs out by itself
            await self.leases.fetch(statement, self.options.token, action.lane, action.epoch, action.quiet_until_at)
        return Released(action.lane, action.claim)

    async def halt(self, action: Halt) -> Halted:
        """Rule 9."""
        return Halted(action.lane, action.claim, await self._fenced("halt", action.lane, action.epoch, action.reason))

    async def suspect(self, action: Suspect) -> Suspected:
        """flow.md decision 17."""
        done = await self._fenced("mark_suspect", action.lane, action.epoch, action.mark)
        return Suspected(action.lane, action.claim, done)

    async def _fenced(self, function: str, lane: int, epoch: int, text: str) -> bool:
        """Under the fence, in all hosted schemas; without an answer it counts as not done."""
        statement = "SELECT " + ", ".join(f"{n}.{function}($1, $2, $3, $4)" for n in self.names)
        try:
            rows = await self.leases.fetch(statement, self.options.token, lane, epoch, text)
        except DATABASE_FAILED:
            return False
        return all(rows[0])

    async def trim(self, lanes: Sequence[int]) -> None:
        """Forget outbox rows that every repair of a broker has outlived (rule 11)."""
        keep_ms, keep_bytes = self.options.outbox_keep_ms, self.options.outbox_keep_bytes
        for name in self.names:
            for lane in lanes:
                try:
                    await self.leases.fetch(f"SELECT {name}.trim_outbox($1, $2, $3)", lane, keep_ms, keep_bytes)
                except DATABASE_FAILED:
                    return  # housekeeping: the next turn does it


class StoreOptions(msgspec.Struct, frozen=True):
    """Who this worker is to the database, and its bounds."""

    token: bytes
    name: str
    shape: str
    lanes: int
    lease_ms: int = 5_000
    worker_ttl_ms: int = 5_000
    timeout_ms: int = 10_000
    lock_timeout_ms: int = 2_000
    outbox_keep_ms: int = 3_600_000
    outbox_keep_bytes: int = 512 << 20


# ---------------------------------------------------------------- statements and refusals


def _refusal(action: Commit, error: asyncpg.PostgresError) -> CommitRefused | CommitUnknown:
    detail = str(error.detail or "")
    if error.sqlstate == FENCED:
        return CommitRefused(action.round, lanes=json.loads(detail))
    if error.sqlstate == SCOPE_VERSION:
        return CommitRefused(action.round, scopes=[ScopeRow(*row) for row in json.loads(detail)])
    # Anything else (a constraint, a lock time-out, a bug): nothing was stored, but nothing may go on either.
    return CommitUnknown(action.round, f"{error.sqlstate} {type(error).__name__}: {error} {detail}")

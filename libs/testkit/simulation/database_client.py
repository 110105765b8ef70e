"""How a simulated process asks the database: over a network that loses and delays, and with what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from libs.ledger.protocol import (
    Claim,
    Claimed,
    ClaimRefused,
    Commit,
    Committed,
    Halt,
    Halted,
    Load,
    Loaded,
    Release,
    Released,
    Renew,
    Renewed,
    Start,
    Started,
    Survey,
    Surveyed,
    Suspect,
    Suspected,
)
from libs.ledger.service import ScopeRow
from libs.testkit.simulation.words import show, unknown

if TYPE_CHECKING:
    from libs.testkit.simulation.process import Process


class DatabaseClient:
    """Each question happens at most once, and is answered or not."""

    def __init__(self, process: Process) -> None:
        self.process, self.world, self.clock, self.worker = process, process.world, process.clock, process.worker

    def ask(self, action: Any) -> None:
        """Send the question that an action is."""
        sent, timeout = self.clock.boot_ms, self.world.timeout_ms
        self.world.network.ask(
            "database",
            timeout,
            lambda: self._serve(action, sent),
            self._later(action, sent),
            lambda: self.process.take(unknown(action, sent)),
        )

    def _later(self, action: Any, sent: int) -> Callable[[Any], None]:
        if not isinstance(action, Claim):
            return self.process.take

        def read(rows: Any) -> None:
            if isinstance(rows, ClaimRefused):
                self.process.take(rows)
            else:  # the lane is read in statements of their own, after the claim's answer
                database = self.world.database
                self._read_lane(lambda: database.read_lane(action, sent, rows), action)

        return read

    def _read_lane(self, read: Callable[[], Claimed], action: Claim) -> None:
        if self.process.alive:
            self.world.network.ask(
                "database",
                self.world.timeout_ms,
                read,
                self.process.take,
                lambda: self.process.take(unknown(action, 0)),
            )

    def _serve(self, action: Any, sent: int) -> Any:
        database, hosted, token = self.world.database, self.worker.hosted, self.worker.token
        match action:
            case Claim():
                found = database.claim(hosted, token, self.process.shape, action)
                if self.clock.tracing:
                    self.clock.note(f"{self.process.name} claim of lane {action.lane}: {show(found)}")
                return found
            case Load():
                return self._load(action)
            case Commit():
                refusal = database.commit(token, action)
                if self.clock.tracing:
                    self.clock.note(
                        f"database: commit {action.round} of {self.process.name}: "
                        f"{show(refusal) if refusal else 'kept'}"
                    )
                return refusal or Committed(action.round, sent)
            case Start():
                claims = {lane: claim for lane, claim, _, _ in action.marks}
                done, refused = database.start(hosted, token, action)
                return Started(done, claims, refused)
            case Renew():
                kept = database.renew(hosted, token, action)
                return Renewed(
                    sent,
                    [(lane, claim) for lane, claim, _ in action.lanes if lane in kept],
                    [(lane, claim) for lane, claim, _ in action.lanes if lane not in kept],
                )
            case Survey():
                name, ttl = hosted.services[0].name, self.worker.limits.worker_ttl_ms
                workers, lanes = database.survey(name, token, action.leaving, ttl)
                return Surveyed(sent, self.clock.now_at, workers, lanes)
            case Release():
                database.release(hosted, token, action)
                return Released(action.lane, action.claim)
            case Halt():
                return Halted(action.lane, action.claim, database.halt(hosted, token, action))
            case Suspect():
                return Suspected(action.lane, action.claim, database.suspect(hosted, token, action))

    def _load(self, action: Load) -> Loaded:
        schemas = self.world.database.schemas
        states = {
            name: {key: schemas[name].states[key] for key in keys if key in schemas[name].states}
            for name, keys in action.keys.items()
        }
        scopes: dict[str, list[ScopeRow]] = {scope: [] for scope in action.scopes}
        for (scope, _), row in sorted(schemas["budget"].scopes.items() if action.scopes else ()):
            if scope in scopes:
                scopes[scope].append(row)
        return Loaded(action.round, states, scopes)

"""Is this process wedged? One that holds leases, has work, hears from its servers and does nothing looks healthy to
everybody else, and is worse than none. A server that is away is no such thing: that is waited for, since what this
process knows of its calls would be lost with it."""

from __future__ import annotations

from libs.ledger.protocol import Answer, Committed, CommitUnknown, Loaded, Renewed, Surveyed

STUCK_MS = 60_000
SILENT_MS = 5_000  # leases are renewed and lanes surveyed more often: the database does not answer, or we do not run


class Watchdog:
    """Times in milliseconds of CLOCK_BOOTTIME."""

    def __init__(self, now_ms: int) -> None:
        self.progress_ms = now_ms  # the last commit; while nothing waits, or nothing may be decided, not long ago
        self._counts_from_ms = self._answered_ms = self._looked_ms = now_ms

    def heard(self, answer: Answer, now_ms: int) -> None:
        """What an answer says of the database, and of our progress."""
        match answer:
            case Committed():
                self.progress_ms = self._answered_ms = now_ms
            case Loaded(error="") | Renewed(error="") | Surveyed(error=""):
                self._answered_ms = now_ms
            case Loaded() | CommitUnknown():
                self._counts_from_ms = now_ms  # it may answer others (out of connections, a row that is locked): not us
            case _:
                pass

    def stuck_ms(self, waiting: bool, now_ms: int) -> int:
        """For how long nothing has moved though it could; 0 = that is no longer than it may be. To be asked often."""
        slept = now_ms - self._looked_ms > SILENT_MS
        self._looked_ms = now_ms
        if not waiting:
            self.progress_ms = max(self.progress_ms, now_ms - SILENT_MS + 1_000)
        if not waiting or slept or now_ms - self._answered_ms > SILENT_MS:
            self._counts_from_ms = now_ms
        for_ms = now_ms - max(self.progress_ms, self._counts_from_ms)
        return for_ms if for_ms > STUCK_MS else 0

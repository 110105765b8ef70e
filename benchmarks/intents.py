"""Intents as agents publish them, made fast: everything but the number is encoded once a second, so that the generator
takes little of the machine that it measures."""

from __future__ import annotations

import time
from collections.abc import Sequence

from libs.contracts.events import DataSource, Evidence, EvidenceKind, Intent
from libs.governance.identity import intent_id
from libs.ledger.codec import CATALOGUE
from libs.testkit.seeding import TENANT

ACCOUNTS = 16
TOOL = "builtin/journal"
ARGUMENTS = '{"amount":1250,"customer":"C-20417","note":"Refund of the second delivery","order":"O-7712031"}'
HOUR = 3_600_000_000
_NUMBER = "000000000"
_TRACE = "f" * 31 + "0"


class Press:
    """Makes intent number n: its id, its bytes, and the headers of the agent that proposes it."""

    def __init__(self, prefix: str, tokens: Sequence[str]) -> None:
        self.prefix = prefix
        self._headers = [[("authorization", f"Bearer {token}".encode())] for token in tokens]
        self._parts: list[tuple[bytes, bytes, bytes]] = []
        self._second = 0

    def key(self, n: int) -> bytes:
        """The intent's id."""
        return intent_id(TENANT, f"{self.prefix}{n:09d}")

    def value(self, n: int) -> bytes:
        """The record value, with data sources that are fresh now."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._parts = [self._encode(number, second * 1_000_000) for number in range(ACCOUNTS)]
        head, middle, tail = self._parts[n % ACCOUNTS]
        return b"%b%09d%b%032x%b" % (head, n, middle, n + 1, tail)

    def headers(self, n: int) -> list[tuple[str, bytes]]:
        """The token of this intent's agent."""
        return self._headers[n % len(self._headers)]

    def _encode(self, account: int, now_at: int) -> tuple[bytes, bytes, bytes]:
        intent = Intent(
            idempotency_key=self.prefix + _NUMBER,
            account=f"account-{account}",
            tool=TOOL,
            capability="builtin.journal",
            arguments=ARGUMENTS,
            evidence=(Evidence(kind=EvidenceKind.SOURCE, type="ticket", id="T-20417"),),
            data_sources=(DataSource(name="crm", as_of_at=now_at), DataSource(name="orders", as_of_at=now_at)),
            expires_at=now_at + HOUR,
            trace_parent=f"00-{_TRACE}-00f067aa0ba902b7-01",
            run_id="run-17",
            step_id="step-3",
        )
        head, rest = CATALOGUE.encode_message(intent).split(_NUMBER.encode())
        middle, tail = rest.split(_TRACE.encode())
        return head, middle, tail

"""The verifier reads a partition as its readers do: repeats and a healed gap are legal, everything else is located."""

from __future__ import annotations

import pytest

from libs.contracts.events import Actor, ActorKind, Cause, Envelope, OutcomeRecorded, OutcomeStatus
from libs.ledger.chain import ZERO, event_hash
from libs.ledger.codec import CATALOGUE
from libs.ledger.verify import ChainReader


def _event(seq: int, prev_hash: bytes, code: str = "") -> bytes:
    envelope = Envelope(
        seq=seq, prev_hash=prev_hash, event_id=bytes(16), intent_id=bytes(16), tenant="acme", account="",
        cause=Cause("intents", seq, bytes(16)), control_seq=0, occurred_at=seq, trace_parent="",
        actor=Actor("a", ActorKind.SYSTEM), producer="test",
    )  # fmt: skip
    return CATALOGUE.encode_event(
        envelope, OutcomeRecorded(OutcomeStatus.SUCCEEDED, code, "", 0, 1, bytes(16), "double/apply")
    )


def _chain(number: int) -> list[bytes]:
    """chain[n - 1] is the event with seq n."""
    values: list[bytes] = []
    for seq in range(1, number + 1):
        values.append(_event(seq, event_hash(values[-1]) if values else ZERO))
    return values


CHAIN = _chain(6)
FORGED = _event(3, event_hash(CHAIN[1]), "other")


def _read(values: list[bytes]) -> ChainReader:
    reader = ChainReader("ledger.outcome", 0)
    for offset, value in enumerate(values):
        reader.take(offset, value)
    return reader


def test_a_chain_with_identical_repeats_is_whole() -> None:
    reader = _read([*CHAIN[:4], *CHAIN[1:]])
    assert (reader.report.broken, reader.missing) == ("", "")
    assert (reader.report.events, reader.report.repeats, reader.report.last_seq) == (6, 3, 6)


def test_a_tail_that_was_published_again_behind_a_later_event_heals_the_gap() -> None:
    reader = _read([*CHAIN[:2], CHAIN[4], *CHAIN[2:]])
    assert (reader.report.broken, reader.missing) == ("", "")
    assert (reader.report.events, reader.report.early, reader.report.last_seq) == (6, 1, 6)


def test_a_gap_that_nothing_heals_is_missing_events() -> None:
    assert _read([*CHAIN[:2], *CHAIN[3:]]).missing == "offset 2: seq 4 follows 2: events are missing"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([*CHAIN[:3], FORGED], "offset 3: other bytes under seq 3"),
        ([*CHAIN[:2], FORGED, CHAIN[3]], "offset 3: seq 4 does not continue the chain"),
        ([*CHAIN[:1], FORGED, *CHAIN[1:]], "offset 3: other bytes under seq 3"),
        ([*CHAIN[:1], CHAIN[2], FORGED], "offset 2: other bytes under seq 3"),
        ([*CHAIN[:1], b"\0"], "offset 1: TRUNCATED"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_located(values: list[bytes], said: str) -> None:
    assert _read(values).report.broken.startswith(said)

"""What the metrics of a process say about a change."""

from __future__ import annotations

import pytest

from libs.client.processes import Heard, Process, confirmed, known
from libs.runtime.settings import SettingsError

ONE = Process("w1", "http://127.0.0.1:1")


def heard(seq: float, seen: float) -> Heard:
    return Heard(ONE, (("control_seq", {}, seq), ("control_seq_seen_timestamp_seconds", {}, seen)))


@pytest.mark.parametrize(
    ("seq", "seen", "after_ms"),
    [(7, 100.25, 250.0), (8, 100.25, 250.0), (6, 100.25, None), (7, 0.0, None), (7, 99.9, 0.0)],
)
def test_a_process_has_a_change_when_it_has_seen_it_or_a_later_one(
    seq: float, seen: float, after_ms: float | None
) -> None:
    assert confirmed(heard(seq, seen), 7, 100.0).after_ms == after_ms


def test_who_does_not_answer_has_confirmed_nothing() -> None:
    found = confirmed(Heard(ONE, error="no answer (refused)"), 7, 100.0)
    assert (found.after_ms, found.why) == (None, "no answer (refused)")
    assert confirmed(Heard(ONE), 7, 100.0).why == "it follows no control ledger"


def test_labels_choose_samples() -> None:
    found = Heard(ONE, (("lag", {"service": "a", "lane": "0"}, 2), ("lag", {"service": "b", "lane": "0"}, 3)))
    assert (found.total("lag"), found.total("lag", service="b"), found.value("lag", service="c")) == (5, 3, None)


def test_an_address_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEED_PROCESSES", '["10.0.0.5:9102"]')
    with pytest.raises(SettingsError, match="DEED_PROCESSES"):
        known()
    monkeypatch.setenv("DEED_PROCESSES", '["http://10.0.0.5:9102/"]')
    assert known() == [Process("10.0.0.5:9102", "http://10.0.0.5:9102")]

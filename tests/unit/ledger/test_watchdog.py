"""Fault X11: whoever waits for a server is not wedged, and recovers without a restart; who is wedged, is ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from libs.ledger.protocol import Answer, Committed, CommitUnknown, Loaded, Renewed, Surveyed
from libs.ledger.watchdog import STUCK_MS, Watchdog

pytestmark = pytest.mark.requirement("X11")
SURVEYED, SURVEY_FAILED = Surveyed(0, 0, (), ()), Surveyed(0, 0, (), (), "no answer")
LOADED, LOAD_FAILED = Loaded(1, {}, {}), Loaded(1, {}, {}, "no answer")


def ended_after(until_ms: int, *answers: tuple[int, Answer], waiting: Callable[[int], bool] = lambda at: True) -> int:
    """When the process is ended (0 = it is not) if each answer comes again and again, every so many milliseconds."""
    watchdog = Watchdog(0)
    for now in range(0, until_ms, 20):
        for every_ms, answer in answers:
            if now % every_ms == 0:
                watchdog.heard(answer, now)
        if watchdog.stuck_ms(waiting(now), now):
            return now
    return 0


def test_a_process_whose_database_answers_and_that_does_not_move_is_ended() -> None:
    assert STUCK_MS < ended_after(300_000, (1_000, SURVEYED)) < STUCK_MS + 1_000
    assert STUCK_MS < ended_after(300_000, (1_260, Renewed(0, ()))) < STUCK_MS + 1_000
    assert STUCK_MS < ended_after(300_000, (1_000, SURVEYED), (40, LOADED)) < STUCK_MS + 1_000


@pytest.mark.parametrize("answers", [(), ((10_000, SURVEY_FAILED), (10_000, LOAD_FAILED))])
def test_time_without_a_database_does_not_count(answers: tuple[tuple[int, Answer], ...]) -> None:
    assert not ended_after(600_000, *answers)


@pytest.mark.parametrize("failed", [LOAD_FAILED, CommitUnknown(1, "out of connections")])
def test_a_database_that_answers_others_but_not_the_rounds_is_waited_for(failed: Answer) -> None:
    assert not ended_after(600_000, (1_000, SURVEYED), (20_000, failed))


def test_a_process_that_commits_or_has_nothing_to_do_goes_on() -> None:
    assert not ended_after(300_000, (1_000, SURVEYED), (50_000, Committed(1, 0)))
    assert not ended_after(300_000, (1_000, SURVEYED), waiting=lambda at: at % 50_000 > 100)


def test_a_process_that_was_stopped_was_not_wedged() -> None:
    watchdog = Watchdog(0)
    assert not watchdog.stuck_ms(True, 10)
    watchdog.heard(SURVEYED, 10 * STUCK_MS)
    assert not watchdog.stuck_ms(True, 10 * STUCK_MS)
    assert not watchdog.stuck_ms(True, 10 * STUCK_MS + 20)


def test_the_last_commit_shows_how_long_records_have_waited() -> None:
    watchdog = Watchdog(0)
    for now in range(0, 10_000, 20):
        watchdog.stuck_ms(True, now)
    assert watchdog.progress_ms == 0, "also while the database is away: the process is not ready"
    watchdog.stuck_ms(False, 10_000)
    assert watchdog.progress_ms == 6_000

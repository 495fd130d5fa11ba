"""onboard/uploads.py: when the sweeper resubmits an upload without a result."""

from datetime import UTC, datetime, timedelta

from onboard.uploads import due

START = datetime(2026, 1, 1, tzinfo=UTC)
AFTER = timedelta(minutes=30)


def test_each_wait_is_as_long_as_all_before_it_up_to_two_hours() -> None:
    swept_at, turns = None, []
    for minutes in range(0, 24 * 60, 15):
        now = START + timedelta(minutes=minutes)
        if due(now, START, swept_at, AFTER):
            turns.append(minutes)
            swept_at = now
    assert turns == [30, 60, 120, *range(240, 24 * 60, 120)]


def test_an_upload_is_due_after_missed_runs() -> None:
    assert due(START + timedelta(days=3), START, None, AFTER)
    assert due(START + timedelta(days=3), START, START + timedelta(hours=1), AFTER)


def test_an_upload_that_was_swept_at_once_waits_its_time() -> None:
    swept_at = START + timedelta(seconds=1)
    assert not due(START + timedelta(minutes=29), START, swept_at, AFTER)
    assert due(START + timedelta(minutes=31), START, swept_at, AFTER)

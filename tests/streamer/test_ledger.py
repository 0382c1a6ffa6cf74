"""Every frame is in exactly one state, and the states add up."""

import numpy as np
import pytest

from braggwatch.streamer.ledger import MAX_GAP, WAITING, WORKING, SeriesLedger, add_counts
from braggwatch.streamer.messages import State


def ledger_of(numbers: list[int], state: str = WAITING, **options: int | bool) -> SeriesLedger:
    ledger = SeriesLedger("s", **options)  # type: ignore[arg-type]
    for number in numbers:
        assert ledger.accepts(number) is None
        ledger.move(number, state)
    return ledger


def test_a_frame_left_out_unseen_is_in_a_state_of_its_own() -> None:
    ledger = SeriesLedger("1", n_frames=2)
    ledger.move(0, State.SKIPPED)
    ledger.move(1, WAITING)
    assert ledger.counts().states[State.SKIPPED] == 1 and ledger.counts().adds_up
    assert ledger.accepts(0) == "frame 0 has arrived before: it is skipped"


def test_a_new_ledger_is_empty_and_adds_up() -> None:
    counts = SeriesLedger("s").counts()
    assert counts.total == 0
    assert counts.adds_up


def test_numbers_that_are_skipped_are_missed_until_they_arrive() -> None:
    ledger = ledger_of([0, 1, 5])
    assert ledger.counts().states[State.MISSED] == 3
    assert list(ledger.missing()) == [range(2, 5)]
    ledger.move(3, WAITING)
    assert ledger.counts().states[State.MISSED] == 2
    assert list(ledger.missing()) == [range(2, 3), range(4, 5)]
    assert ledger.counts().adds_up


def test_the_first_frames_of_a_series_can_be_missed_too() -> None:
    assert list(ledger_of([2]).missing()) == [range(2)]


def test_a_series_joined_late_begins_with_the_first_frame_that_arrives() -> None:
    counts = ledger_of([1000, 1002], joined_late=True).counts()
    assert (counts.first, counts.total, counts.states[State.MISSED]) == (1000, 3, 1)


def test_the_first_frames_after_joining_late_may_come_in_any_order() -> None:
    ledger = ledger_of([1002, 1000, 1001, 998], joined_late=True)
    counts = ledger.counts()
    assert (counts.first, counts.total, counts.states[State.MISSED]) == (998, 5, 1)
    assert list(ledger.missing()) == [range(999, 1000)]
    assert ledger.state(1002) == WAITING
    assert counts.adds_up


def test_with_a_header_that_came_after_its_frames_the_series_begins_at_0() -> None:
    ledger = ledger_of([2, 3], joined_late=True)
    ledger.learn(n_frames=6, joined_late=False)
    assert list(ledger.close()) == [range(2), range(4, 6)]
    assert ledger.counts().adds_up


def test_closing_counts_what_was_ordered_and_never_came() -> None:
    ledger = ledger_of([0, 1], State.BLANK, n_frames=10)
    assert list(ledger.close()) == [range(2, 10)]
    counts = ledger.counts()
    assert (counts.total, counts.states[State.MISSED], counts.states[State.BLANK]) == (10, 8, 2)
    assert counts.adds_up


def test_more_frames_than_ordered_are_counted_all_the_same() -> None:
    ledger = ledger_of([0, 1, 2], State.BLANK, n_frames=2)
    assert list(ledger.close()) == []
    assert ledger.counts().total == 3


def test_a_number_is_taken_only_once() -> None:
    ledger = ledger_of([4])
    assert ledger.accepts(4) == "frame 4 has arrived before: it is waiting"
    ledger.move(4, State.HIT)
    assert ledger.accepts(4) == "frame 4 has arrived before: it is hit"


@pytest.mark.parametrize("number", [MAX_GAP, 2**60])
def test_a_number_far_beyond_all_others_is_not_believed(number: int) -> None:
    why = ledger_of([0]).accepts(number + 1)
    assert why == f"frame number {number + 1} jumps more than {MAX_GAP} beyond the highest so far (0)"


def test_numbers_before_the_first_are_refused() -> None:
    assert SeriesLedger("s").accepts(-1) == "frame -1 lies before the first of this series (0)"
    late = ledger_of([5000], joined_late=True)
    assert late.accepts(3999) == "frame 3999 lies before the first of this series (5000)"
    assert SeriesLedger("s", joined_late=True).accepts(-1) == "frame number -1 is not possible"


def test_the_counts_agree_with_a_plain_recount_after_any_number_of_moves() -> None:
    rng = np.random.default_rng(5)
    ledger, truth = SeriesLedger("s"), dict[int, str]()
    states = [WAITING, WORKING, *State]
    for number, state in zip(rng.integers(0, 300, 5000).tolist(), rng.integers(0, len(states), 5000), strict=True):
        ledger.move(number, states[state])
        truth[number] = states[state]
    counts = ledger.counts()
    assert counts.total == max(truth) + 1
    for state in states:
        expected = sum(found == state for found in truth.values())
        if state is State.MISSED:
            expected += counts.total - len(truth)
        assert counts.states[state] == expected
    assert counts.adds_up
    assert all(ledger.state(number) == state for number, state in truth.items())


def test_several_series_add_up_state_by_state() -> None:
    sums = add_counts([ledger_of([0, 1], State.HIT).counts(), ledger_of([3], State.HIT).counts()])
    assert (sums[State.HIT], sums[State.MISSED], sums["total"]) == (3, 3, 6)

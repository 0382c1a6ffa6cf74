"""Sliding windows over the history, against plain loops."""

import msgspec
import numpy as np
import pytest
from numbers_by_hand import T0, bins, history, random_bins

from braggwatch.gui.timeline import HITS, INDEXED, LOOKED_AT, LOST, MULTI_LATTICE, Timeline, slide
from braggwatch.streamer.feed_messages import Bins, GroupBins, History, Mark
from braggwatch.streamer.messages import State
from braggwatch.streamer.statistics import Statistics

EVER = -np.inf


def plainly(made: Bins, window: float) -> list[tuple[int, int, int, int, int]]:
    """The same counts, bin by bin."""
    n = len(made.multi_lattice)
    k = max(round(window / made.width), 1)
    found = []
    for end in range(1, n + 1):
        c = {state: sum(column[max(end - k, 0) : end]) for state, column in made.counts.items()}
        hits = c[State.HIT] + c[State.INDEXED]
        multi = sum(
            min(m, i) for m, i in zip(made.multi_lattice[max(end - k, 0) : end],
                                      made.counts[State.INDEXED][max(end - k, 0) : end], strict=True)
        )  # fmt: skip
        found.append((c[State.BLANK] + hits, hits, c[State.INDEXED], multi, c[State.DROPPED] + c[State.MISSED]))
    return found


@pytest.mark.parametrize("window", [1, 10, 60, 600])
@pytest.mark.parametrize("width", [1.0, 4.0])
def test_the_window_sums_what_a_plain_loop_sums(window: int, width: float) -> None:
    made = random_bins(500, width=width)
    sliding = slide(Timeline.of(history(made)), window, EVER)
    assert sliding.sums.T.tolist() == [list(row) for row in plainly(made, window)]
    assert sliding.times.tolist() == [T0 + width * (i + 1) for i in range(500)]
    assert sliding.seconds[-1] == min(max(window // width, 1) * width, 500 * width)
    assert sliding.seconds[0] == width


def test_only_what_ends_after_the_beginning_is_given_but_the_window_reaches_back_beyond_it() -> None:
    made = random_bins(500)
    whole, part = (slide(Timeline.of(history(made)), 60, since) for since in (EVER, T0 + 400))
    assert part.times.tolist() == [T0 + i for i in range(401, 501)]
    assert part.sums.tolist() == whole.sums[:, 400:].tolist()


def test_fine_and_coarse_bins_are_put_together_without_counting_a_frame_twice() -> None:
    statistics = Statistics(T0)
    random = np.random.default_rng(5)
    lost = random.integers(0, 9, 4995)
    for second, n in enumerate(lost):
        if second % 7:  # some seconds see nothing
            statistics.lost(State.MISSED, int(n), T0 + second + 0.5)
    told = statistics.history(T0 + 4994.9)
    assert told.session.width == 8.0 and told.recent.start % 8 != T0 % 8
    timeline = Timeline.of(told)
    assert timeline.counts[LOST].sum() == sum(n for second, n in enumerate(lost) if second % 7)
    assert (np.diff(timeline.edges) > 0).all()
    assert len(timeline.edges) == timeline.counts.shape[1] + 1
    for begin, end, n in zip(timeline.edges[:-1], timeline.edges[1:], timeline.counts[LOST], strict=True):
        seconds = np.arange(begin - T0, end - T0).astype(int)
        assert n == sum(lost[s] for s in seconds if s % 7)


def test_without_a_frame_there_is_nothing_to_divide_and_nothing_fails() -> None:
    for made in (bins({State.BLANK: []}), bins({State.BLANK: [0]}), bins({State.BLANK: [0] * 9})):
        sliding = slide(Timeline.of(history(made)), 60, EVER)
        assert not sliding.sums.any() and len(sliding.times) == len(made.multi_lattice)


def test_a_single_frame_is_one_of_one() -> None:
    sliding = slide(Timeline.of(history(bins({State.INDEXED: [1]}))), 60, EVER)
    assert sliding.sums[[LOOKED_AT, HITS, INDEXED, MULTI_LATTICE], 0].tolist() == [1, 1, 1, 0]


def test_the_line_is_broken_between_runs_and_no_window_reaches_into_the_run_before() -> None:
    made = bins({State.BLANK: [10] * 5 + [0] * 5 + [20] * 5})
    marks = (
        Mark(T0 + 0.1, "run began", "run 1"),
        Mark(T0 + 4.9, "run ended", "run 1"),
        Mark(T0 + 10.2, "run began", "run 2"),
    )
    sliding = slide(Timeline.of(history(made, marks=marks)), 60, EVER)
    assert sliding.sums[LOOKED_AT].tolist() == [10, 20, 30, 40, 50, *[0] * 5, 0, 20, 40, 60, 80, 100]
    assert (np.diff(sliding.times) >= 0).all()


def test_runs_that_follow_on_each_other_are_two_lines() -> None:
    made = bins({State.BLANK: [10] * 3 + [20] * 3})
    marks = (Mark(T0, "run began", "run 1"), Mark(T0 + 3, "run ended", "run 1"), Mark(T0 + 3, "run began", "run 2"))
    sliding = slide(Timeline.of(history(made, marks=marks)), 60, EVER)
    assert sliding.sums[LOOKED_AT].tolist() == [10, 20, 30, 0, 20, 40, 60]
    assert sliding.times[3] == T0 + 3


def test_frames_that_come_back_after_the_end_of_a_run_are_still_seen() -> None:
    made = bins({State.BLANK: [10, 10, 10, 0, 0]})
    marks = (Mark(T0, "run began", "run 1"), Mark(T0 + 1.5, "run ended", "run 1"))
    sliding = slide(Timeline.of(history(made, marks=marks)), 60, EVER)
    assert sliding.sums[LOOKED_AT].tolist() == [10, 20, 30, 0, 0]


def test_a_silence_longer_than_the_window_has_no_rate() -> None:
    made = bins({State.BLANK: [10] + [0] * 30 + [10]})
    sliding = slide(Timeline.of(history(made)), 10, EVER)
    assert sliding.sums[LOOKED_AT].tolist() == [10] * 10 + [0] * 21 + [10]


def test_of_a_hundred_thousand_bins_each_frame_is_in_some_window_and_no_screen_is_flooded() -> None:
    made = random_bins(100_000)
    sliding = slide(Timeline.of(history(made)), 10, EVER)
    assert 400 < len(sliding.times) <= 800
    assert sliding.times[-1] == T0 + 100_000
    step = int(sliding.times[-1] - sliding.times[-2])
    assert step >= 10 and sliding.seconds[-1] == step
    assert sliding.sums[HITS, 1:].sum() == sum(
        sum(made.counts[state][-step * (len(sliding.times) - 1) :]) for state in (State.HIT, State.INDEXED)
    )


def test_marks_out_of_order_or_out_of_the_world_do_no_harm() -> None:
    made = random_bins(50)
    marks = [
        Mark(T0 + 40, "run began", "late"), Mark(T0 + 20, "run began", "clock back"), Mark(-1e300, "run began", "?"),
        Mark(1e300, "run ended", "?"), Mark(float("nan"), "run ended", "?"), Mark(float("inf"), "settings", "?"),
    ]  # fmt: skip
    timeline = Timeline.of(history(made, marks=marks))
    assert [mark.time for mark in timeline.marks] == [T0 + 40, T0 + 20, -1e300, 1e300]
    sliding = slide(timeline, 600, EVER)
    expected = np.add(made.counts[State.HIT], made.counts[State.INDEXED])[40:].sum()
    assert sliding.sums[HITS, -1] == expected


def test_bins_of_a_session_that_begin_later_or_end_earlier_than_the_fine_ones_are_joined() -> None:
    fine = bins({State.BLANK: [1] * 10}, start=T0 + 100)
    for coarse in (bins({State.BLANK: [8] * 3}, start=T0, width=8.0), bins({State.BLANK: [8]}, start=T0 + 200)):
        timeline = Timeline.of(History(recent=fine, session=coarse))
        assert len(timeline.edges) == timeline.counts.shape[1] + 1
        assert (np.diff(timeline.edges) > 0).all()
        assert timeline.counts[LOOKED_AT].sum() == 10 + (24 if coarse.start == T0 else 0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"width": 0.0}, "bins of 0.0 s from"),
        ({"start": float("nan")}, "from nan s on; expected 0.001 s or more, and finite times"),
        ({"multi_lattice": [0]}, "5 bins of missed frames; expected 1 with counts from 0"),
        ({"counts": {State.HIT: [1, 2, -3, 4, 5]}}, "5 bins of hit frames; expected 5 with counts from 0"),
        ({"counts": {State.HIT: [2**63] * 5}}, "larger than any detector can send"),
        ({"counts": {State.HIT: [2**62] * 5}}, "expected 5 with counts from 0 to"),
    ],
)
def test_a_history_that_makes_no_sense_is_refused(change: dict[str, object], problem: str) -> None:
    made = msgspec.structs.replace(random_bins(5), **change)
    with pytest.raises(ValueError, match=problem):
        Timeline.of(history(random_bins(5), session=made))


def grouped(made: Bins, *groups: GroupBins) -> Bins:
    return msgspec.structs.replace(made, groups=groups)


def test_the_window_sums_each_group_as_a_plain_loop_does_and_a_group_that_the_fine_bins_lack_is_there_too() -> None:
    random = np.random.default_rng(8)
    columns = {name: np.sort(random.integers(0, 60, (3, 100)), axis=0)[::-1].tolist() for name in ("dark", "pumped")}
    groups = [GroupBins(name=name, frames=c[0], hits=c[1], indexed=c[2]) for name, c in columns.items()]
    early = GroupBins(name="early", frames=[9] * 50, hits=[8] * 50, indexed=[7] * 50)
    whole = [GroupBins(name=g.name, frames=[0] * 50, hits=[0] * 50, indexed=[0] * 50) for g in groups]
    made = History(
        recent=grouped(random_bins(100, start=T0 + 200), *groups),
        session=grouped(random_bins(50, width=4.0), early, *whole),
    )
    timeline = Timeline.of(made)
    sliding = slide(timeline, 10, EVER)
    for name, columns_of_group in columns.items():
        for row, column in zip((LOOKED_AT, HITS, INDEXED), columns_of_group, strict=True):
            sums = sliding.sums[timeline.row_of(name, row)]
            assert sums[50:].tolist() == [sum(column[max(end - 10, 0) : end]) for end in range(1, 101)]
    assert timeline.counts[timeline.row_of("early", HITS)].tolist() == [8] * 50 + [0] * 100
    assert (
        sliding.sums[LOOKED_AT].tolist()
        == slide(
            Timeline.of(History(recent=random_bins(100, start=T0 + 200), session=random_bins(50, width=4.0))), 10, EVER
        )
        .sums[LOOKED_AT]
        .tolist()
    )


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        (GroupBins(name="dark", frames=[1, 2], hits=[0] * 5, indexed=[0] * 5), "columns of .2, 5, 5. bins of"),
        (GroupBins(name="dark", frames=[-1] * 5, hits=[0] * 5, indexed=[0] * 5), "counts of group dark beyond 0 to"),
        (GroupBins(name="\x1b" * 10**5, frames=[2**62] * 5, hits=[0] * 5, indexed=[0] * 5), "counts of group \ufffd"),
        (GroupBins(name="dark", frames=[2**64] * 5, hits=[0] * 5, indexed=[0] * 5), "larger than any detector"),
    ],
    ids=range(4),
)  # fmt: skip
def test_groups_that_make_no_sense_are_refused_in_a_line(group: GroupBins, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refusal:
        Timeline.of(history(grouped(random_bins(5), group)))
    assert len(str(refusal.value)) < 200


def test_more_hits_than_frames_of_a_group_count_as_all_of_them() -> None:
    group = GroupBins(name="dark", frames=[5] * 5, hits=[9] * 5, indexed=[7] * 5)
    timeline = Timeline.of(history(grouped(random_bins(5), group)))
    assert timeline.counts[timeline.row_of("dark", HITS)].tolist() == [5] * 5
    assert timeline.counts[timeline.row_of("dark", INDEXED)].tolist() == [5] * 5


def test_a_thousand_groups_are_cut_to_some() -> None:
    many = [GroupBins(name=str(i), frames=[1] * 5, hits=[1] * 5, indexed=[0] * 5) for i in range(1000)]
    assert len(Timeline.of(history(grouped(random_bins(5), *many))).groups) <= 128

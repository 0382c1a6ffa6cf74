"""The running tables, against SciPy, NumPy and plain counting."""

import math
import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from braggwatch.processing.shot_groups import GroupSettings
from braggwatch.streamer.feed_messages import Latency, Mark, Rates, Throughput
from braggwatch.streamer.group_counts import GroupNames
from braggwatch.streamer.latency import LatencyHistogram
from braggwatch.streamer.messages import CrystalFound, Result, State
from braggwatch.streamer.statistics import N_LAST, N_MARKS, RECENT_S, Statistics, wilson
from braggwatch.streamer.time_bins import N_SESSION_BINS

CRYSTAL = CrystalFound((79.2, 79.2, 38.0, 90.0, 90.0, 90.0), (79.2, 0, 0, 0, 79.2, 0, 0, 0, 38.0), 40, 0.3)
START = 1_000_000.0


def result(number: int, state: State, n_lattices: int = 0, worker: str = "w1") -> Result:
    return Result(series="s", number=number, state=state, worker=worker, n_peaks=50, crystals=(CRYSTAL,) * n_lattices)


def grouped(number: int, group: str, state: State) -> Result:
    return msgspec.structs.replace(result(number, state, int(state is State.INDEXED)), group=group)


@given(st.integers(1, 100_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    n, of = counts
    expected = binomtest(n, of).proportion_ci(0.95, method="wilson")
    rate = wilson(n, of)
    assert rate.value == n / of
    assert rate.low == pytest.approx(expected.low, abs=1e-12)
    assert rate.high == pytest.approx(expected.high, abs=1e-12)


def test_the_interval_of_nothing_is_unknown() -> None:
    assert (wilson(0, 0).value, wilson(0, 0).low, wilson(0, 0).high) == (None, None, None)


def test_a_proportion_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a proportion needs 0 <= n <= of; found n = 3 of 2"):
        wilson(3, 2)


def test_before_the_first_frame_everything_is_unknown() -> None:
    tables = Statistics(START)
    assert tables.rates(START + 5) == Rates()
    assert tables.throughput(START + 5) == Throughput()
    assert tables.latency(START + 5) == Latency()
    assert tables.results_per_s(START + 5) == {}
    assert tables.last_arrival is None
    assert sum(sum(column) for column in tables.history(START + 5).session.counts.values()) == 0


def test_rates_are_of_what_they_say() -> None:
    tables = Statistics(START)
    states = [State.BLANK] * 6 + [State.HIT] * 1 + [State.INDEXED] * 3 + [State.FAILED]
    for number, state in enumerate(states):
        lattices = {7: 1, 8: 2, 9: 3}.get(number, 0)
        tables.done(result(number, state, lattices), 0.01, START)
    tables.lost(State.MISSED, 5, START)
    tables.lost(State.DROPPED, 4, START)
    rates = tables.rates(START)
    assert (rates.hit.n, rates.hit.of) == (4, 10)
    assert (rates.indexed_of_hits.n, rates.indexed_of_hits.of) == (3, 4)
    assert (rates.indexed.n, rates.indexed.of) == (3, 10)
    assert (rates.multi_lattice.n, rates.multi_lattice.of) == (2, 3)
    assert (rates.missed.n, rates.missed.of) == (5, 20)
    assert (rates.dropped.n, rates.dropped.of) == (4, 20)
    assert tables.session_rates() == rates
    assert tables.n_crystals == 6


def test_rates_forget_what_lies_before_the_window_and_the_session_does_not() -> None:
    tables = Statistics(START, window=10)
    for second in range(100):
        state = State.HIT if second < 90 else State.BLANK
        tables.done(result(second, state), 0.01, START + second)
    assert (tables.rates(START + 99).hit.n, tables.rates(START + 99).hit.of) == (0, 10)
    assert (tables.session_rates().hit.n, tables.session_rates().hit.of) == (90, 100)
    assert tables.rates(START + 120) == Rates()


def test_throughput_is_by_the_second_from_the_first_frame_on() -> None:
    tables = Statistics(START, window=10)
    for i in range(1000):
        now = START + i / 100
        tables.arrived(2_000_000, now)
        tables.done(result(i, State.BLANK, worker=f"w{i % 2}"), 0.01, now)
        if i == 299:
            assert tables.throughput(START + 3).frames == pytest.approx(100, rel=0.01)
    measured = tables.throughput(START + 9.99)
    assert measured.frames == pytest.approx(100, rel=0.01)
    assert measured.bytes == pytest.approx(200e6, rel=0.01)
    assert measured.results == pytest.approx(100, rel=0.01)
    assert tables.results_per_s(START + 9.99) == pytest.approx({"w0": 50, "w1": 50}, rel=0.01)


def test_a_worker_is_busy_for_the_time_that_its_results_took() -> None:
    tables = Statistics(START, window=10)
    for i in range(2000):
        now = START + i / 100
        tables.arrived(1000, now)
        done = result(i, State.BLANK, worker=f"w{i % 2}")
        seconds = {"decode": 0.002, "hitfind": 0.003} if i % 2 else {"decode": 0.04}
        tables.done(msgspec.structs.replace(done, seconds=seconds), 0.01, now)
    assert tables.busy(START + 19.99) == pytest.approx({"w0": 1.0, "w1": 0.25}, rel=0.01)


def test_a_longer_or_shorter_window_leaves_a_steady_rate_what_it_is() -> None:
    tables = Statistics(START, window=10)
    for i in range(6000):
        now = START + i / 100
        if i in (3000, 4000):
            tables.look_back(30 if i == 3000 else 5)
        tables.arrived(1000, now)
        tables.done(result(i, State.BLANK, worker="w"), 0.01, now)
        if i % 100 == 99 and i > 200:
            assert tables.results_per_s(now)["w"] == pytest.approx(100, rel=0.02)
            assert tables.throughput(now).frames == pytest.approx(100, rel=0.02)
    with pytest.raises(ValueError, match="the window of the rates must be 1 to 600 s; found 700 s"):
        tables.look_back(700)


def test_throughput_falls_to_zero_when_the_detector_stops() -> None:
    tables = Statistics(START, window=10)
    tables.arrived(1000, START)
    assert tables.throughput(START + 60).frames == 0.0


@settings(deadline=None)
@given(st.lists(st.floats(1e-4, 900.0), min_size=1, max_size=300))
def test_percentiles_are_right_to_two_percent(latencies: list[float]) -> None:
    histogram = LatencyHistogram()
    for latency in latencies:
        histogram.add(latency)
    summary = histogram.summary()
    for found, part in ((summary.median, 50), (summary.p99, 99)):
        expected = np.percentile(latencies, part, method="inverted_cdf")
        assert found == pytest.approx(expected, rel=0.0201)
    assert summary.max == max(latencies)
    assert summary.n == len(latencies)


def test_latencies_beyond_the_bins_are_counted_at_their_ends() -> None:
    histogram = LatencyHistogram()
    for latency in (-1.0, 0.0, 1e-9, 1e6):
        histogram.add(latency)
    assert histogram.summary().n == 4
    assert histogram.summary().median == pytest.approx(1e-4, rel=0.05)
    assert histogram.summary().max == 1e6


def test_the_latency_looks_back_over_the_window_only() -> None:
    tables = Statistics(START, window=5)
    tables.done(result(0, State.BLANK), 10.0, START)
    for i in range(1, 10):
        tables.done(result(i, State.BLANK), 0.02, START + i)
    assert tables.latency(START + 9).max == 0.02
    assert tables.latency(START + 9).n == 5
    assert tables.session_latency().max == 10.0
    assert tables.session_latency().n == 10


def test_a_history_of_days_stays_small_and_keeps_every_count() -> None:
    tables = Statistics(START)
    seconds = range(0, 3 * 86400, 7)
    for i, second in enumerate(seconds):
        tables.arrived(1000, START + second)
        tables.done(result(i, State.INDEXED if i % 3 == 0 else State.BLANK, 1), 0.5, START + second)
    history = tables.history(START + 3 * 86400)
    session = history.session
    assert len(session.arrived) <= N_SESSION_BINS
    assert session.width * len(session.arrived) >= 3 * 86400
    assert sum(session.arrived) == sum(session.results) == len(seconds)
    assert sum(session.counts[State.INDEXED]) == math.ceil(len(seconds) / 3)
    assert sum(session.n_bytes) == 1000 * len(seconds)
    assert sum(session.latency_sum) == pytest.approx(0.5 * len(seconds))
    full = session.arrived[10:-2]
    assert all(math.floor(session.width / 7) <= n <= math.ceil(session.width / 7) for n in full)
    assert len(history.recent.arrived) <= RECENT_S
    assert {len(column) for column in session.counts.values()} == {len(session.arrived)}
    assert len(session.latency_max) == len(session.arrived)


def test_the_recent_history_has_a_bin_for_every_second_also_for_empty_ones() -> None:
    tables = Statistics(START)
    for second in (0, 1, 5):
        tables.arrived(10, START + second + 0.5)
    recent = tables.history(START + 7.2).recent
    assert recent.start == START
    assert recent.arrived == [1, 1, 0, 0, 0, 1, 0, 0]


def test_a_history_asked_for_twice_is_the_same() -> None:
    tables = Statistics(START)
    for i in range(5000):
        tables.arrived(10, START + i)
    assert tables.history(START + 5000) == tables.history(START + 5000)


def test_a_clock_that_is_set_back_loses_no_frame() -> None:
    tables = Statistics(START)
    for i, now in enumerate((START + 100, START + 10, START + 50, START + 101)):
        tables.arrived(10, now)
        tables.done(result(i, State.BLANK), -3.0, now)
    assert sum(tables.history(START + 101).session.arrived) == 4
    assert tables.rates(START + 101).hit.of == 4
    assert tables.throughput(START + 60).frames is not None


def test_the_last_shots_are_those_that_were_not_blank_and_their_number_is_bounded() -> None:
    tables = Statistics(START)
    for number in range(1000):
        tables.done(result(number, State.INDEXED if number % 2 else State.BLANK, 2 * (number % 2)), 0.01, START)
    last = tables.last_shots()
    assert [shot.number for shot in last.shots] == list(range(1000 - 2 * N_LAST + 1, 1000, 2))
    assert len(last.crystals) == N_LAST
    assert last.crystals[-1].number == 999
    assert last.crystals[-1].cell == CRYSTAL.cell
    assert last.shots[-1].n_lattices == 2


def test_marks_are_kept_up_to_a_bound() -> None:
    tables = Statistics(START)
    for i in range(N_MARKS + 50):
        tables.mark(Mark(START + i, "run began", f"run {i}"))
    marks = tables.history(START).marks
    assert len(marks) == N_MARKS
    assert marks[-1].label == f"run {N_MARKS + 49}"


def test_a_window_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the window of the rates must be 1 to 600 s; found 3600 s"):
        Statistics(START, window=3600)


def test_groups_are_counted_from_the_start_and_their_rates_over_the_window() -> None:
    rng = random.Random(3)
    tables = Statistics(START, window=10)
    shots = [
        (
            START + i * 0.05,
            rng.choice(["pumped", "dark", ""]),
            rng.choice([State.BLANK, State.BLANK, State.HIT, State.INDEXED, State.FAILED]),
        )
        for i in range(1200)
    ]
    for number, (now, group, state) in enumerate(shots):
        tables.done(grouped(number, group, state), 0.01, now)
    end = shots[-1][0]
    looked_at = [shot for shot in shots if shot[2] is not State.FAILED]
    for found, name in zip(tables.groups(end), ("dark", "pumped"), strict=True):
        states = [state for _, group, state in looked_at if group == name]
        recent = [state for now, group, state in looked_at if group == name and now >= int(end) - 9]
        hits, indexed = (len(recent) - recent.count(State.BLANK), recent.count(State.INDEXED))
        assert found.name == name
        assert found.frames == len(states)
        assert (found.hits, found.indexed) == (len(states) - states.count(State.BLANK), states.count(State.INDEXED))
        assert found.hit == wilson(hits, len(recent))
        assert found.indexed_of_hits == wilson(indexed, hits)
        assert found.indexed_of_frames == wilson(indexed, len(recent))
    for session, window in zip(tables.session_groups(), tables.groups(end), strict=True):
        assert session.hit == wilson(session.hits, session.frames)
        assert (session.hits, session.indexed) == (window.hits, window.indexed)


def test_the_bins_of_groups_add_up_to_the_groups_however_long_it_lasts() -> None:
    tables = Statistics(START)
    rng = random.Random(5)
    for i in range(3000):
        group, state = rng.choice(["1", "0"]), rng.choice([State.BLANK, State.HIT, State.INDEXED])
        tables.done(grouped(i, group, state), 0.01, START + i)
    history = tables.history(START + 2999)
    for bins in (history.session, history.recent):
        assert [group.name for group in bins.groups] == ["0", "1"]
        by_bin = [sum(column) for column in zip(*(group.frames for group in bins.groups), strict=True)]
        looked_at = (bins.counts[s] for s in (State.BLANK, State.HIT, State.INDEXED))
        assert by_bin == [sum(column) for column in zip(*looked_at, strict=True)]
    for total, column in zip(tables.session_groups(), history.session.groups, strict=True):
        assert (sum(column.frames), sum(column.hits), sum(column.indexed)) == (total.frames, total.hits, total.indexed)


def test_without_groups_nothing_is_said_of_any() -> None:
    tables = Statistics(START)
    tables.done(result(0, State.HIT), 0.01, START)
    assert tables.groups(START) == () and tables.session_groups() == ()
    assert tables.history(START).session.groups == () and tables.history(START).recent.groups == ()


def test_what_is_listed_of_shots_says_their_group() -> None:
    tables = Statistics(START)
    tables.done(grouped(0, "pumped", State.INDEXED), 0.01, START)
    last = tables.last_shots()
    assert (last.shots[0].group, last.crystals[0].group) == ("pumped", "pumped")


def test_groups_beyond_the_sixteenth_are_one_and_no_name_steers_a_terminal() -> None:
    names = GroupNames(GroupSettings(by="delay"))
    said = [names(f"delay {i}", {"delay": i}) for i in range(1000)]
    assert said[:16] == [f"delay {i}" for i in range(16)] and set(said[16:]) == {"others"}
    assert names("delay 3", {"delay": 3}) == "delay 3" and names("", {}) == ""
    steering = {"delay": "\x1b[2J\x9b1m"}
    by_text = GroupNames(GroupSettings(by="delay"))
    assert by_text("delay \x1b[2J\x9b1m", steering) == by_text("x" * 10_000, steering) == "delay \ufffd[2J\ufffd1m"


def test_others_are_none_of_the_sixteen_groups() -> None:
    names = GroupNames(GroupSettings(by="state", names={str(i): f"state {i}" for i in range(16)}))
    assert names("others", {"state": 99}) == "others"
    assert [names(f"state {i}", {"state": i}) for i in range(16)] == [f"state {i}" for i in range(16)]


def test_a_result_that_was_on_its_way_when_groups_were_changed_belongs_to_the_new_ones() -> None:
    names = GroupNames(GroupSettings(by="delay", edges=[500]))
    assert {names(f"pulse {i}", {"pulse": i, "delay": i}) for i in range(1000)} == {"delay < 500", "delay ≥ 500"}
    assert GroupNames(GroupSettings())("pulse 3", {"pulse": 3}) == ""


def test_where_shots_are_grouped_otherwise_counts_by_group_begin_anew_and_all_others_go_on() -> None:
    tables = Statistics(START)
    for second in range(5):
        tables.done(grouped(second, "dark", State.HIT), 0.01, START + second)
    tables.forget_groups()
    assert tables.groups(START + 4) == () and tables.session_groups() == ()
    tables.done(grouped(5, "pumped", State.HIT), 0.01, START + 5)
    history = tables.history(START + 5)
    assert [group.name for group in tables.groups(START + 5)] == ["pumped"]
    assert [bins.name for bins in (*history.recent.groups, *history.session.groups)] == ["pumped", "pumped"]
    assert sum(history.session.counts[State.HIT]) == tables.session_rates().hit.n == 6

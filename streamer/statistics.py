"""Running tables over what happens to the frames: rates, throughput, latency, and how they went."""

from collections import deque

from braggwatch.processing.proportion import wilson_interval
from braggwatch.streamer.feed_messages import (
    CrystalSeen,
    Group,
    History,
    LastShots,
    Latency,
    Mark,
    Rate,
    Rates,
    ShotSummary,
    Throughput,
)
from braggwatch.streamer.group_counts import GroupCount, GroupCounts
from braggwatch.streamer.latency import LatencyHistogram
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.time_bins import RecentBins, SessionBins, Slot

RECENT_S = 600
"""s that the fine history looks back."""
N_LAST = 100
"""How many crystals and shots are remembered for display."""
N_MARKS = 200


def wilson(n: int, of: int) -> Rate:
    """Return a proportion with its 95 % interval; an empty one where there is nothing to divide by.

    Raises ValueError when n does not lie within 0 and of.
    """
    low, high = wilson_interval(n, of)
    return Rate(n, of, float(low), float(high)) if of else Rate()


class Statistics:
    """The running tables; the hub feeds them with every frame, from one thread.

    All times are in s since 1970. A clock that is set back does no harm: what happens until it has caught up counts
    as happening now.
    """

    def __init__(self, now: float, window: float = 30.0) -> None:
        """Look `window` s back (whole seconds, 1 to 600) for the rates, the throughput and the latency."""
        self.look_back(window)
        self._slot = Slot(int(now))
        self._recent = RecentBins(RECENT_S)
        self._session = SessionBins(int(now))
        self._latencies: deque[tuple[int, LatencyHistogram]] = deque()
        self._latency_now = LatencyHistogram()
        self._latency_session = LatencyHistogram()
        self._workers: deque[tuple[int, dict[str, list[float]]]] = deque()
        self._workers_now: dict[str, list[float]] = {}
        """Results of each worker, and the s that it took for them."""
        self._crystals: deque[CrystalSeen] = deque(maxlen=N_LAST)
        self._shots: deque[ShotSummary] = deque(maxlen=N_LAST)
        self._marks: deque[Mark] = deque(maxlen=N_MARKS)
        self._groups = GroupCounts()
        self.n_crystals = 0
        self.last_arrival: float | None = None
        self.last_result: float | None = None
        self.first_arrival: float | None = None

    def look_back(self, window: float) -> None:
        """Look another number of s back, whole seconds from 1 to 600; what is remembered already reaches less far."""
        if not 1 <= window <= RECENT_S:
            raise ValueError(f"the window of the rates must be 1 to {RECENT_S} s; found {window} s")
        self.window = int(window)

    def forget_groups(self) -> None:
        """Count by group anew, as shots are grouped otherwise from now on; whatever is not by group goes on."""
        self._groups = GroupCounts()
        self._slot.groups = GroupCounts()
        self._recent.forget_groups()
        self._session.forget_groups()

    def arrived(self, n_bytes: int, now: float) -> None:
        """Count a frame that came in, with the bytes that it took on the wire."""
        if now >= self._slot.end:
            self._turn(now)
        self._slot.arrived += 1
        self._slot.n_bytes += n_bytes
        if self.first_arrival is None:
            self.first_arrival = now
        self.last_arrival = now

    def done(self, result: Result, latency: float, now: float) -> None:
        """Count a result that came back `latency` s after its frame had arrived."""
        if now >= self._slot.end:
            self._turn(now)
        slot = self._slot
        state = result.state
        slot.counts[state] += 1
        slot.results += 1
        if result.group:
            slot.groups.add(result.group, state)
            self._groups.add(result.group, state)
        slot.latency_sum += latency
        if latency > slot.latency_max:
            slot.latency_max = latency
        self._latency_now.add(latency)
        if result.worker:
            work = self._workers_now.setdefault(result.worker, [0.0, 0.0])
            work[0] += 1
            work[1] += sum(result.seconds.values())
        self.last_result = now
        if state is not State.BLANK:
            self._remember(result, now)

    def lost(self, state: State, n: int, now: float) -> None:
        """Count n frames that ended without a result: missed, refused, dropped, skipped or quarantined."""
        if now >= self._slot.end:
            self._turn(now)
        self._slot.counts[state] += n

    def mark(self, mark: Mark) -> None:
        """Remember a moment for the plots; the last 200 are kept."""
        self._marks.append(mark)

    def rates(self, now: float) -> Rates:
        """Return the proportions over the window."""
        self._turn(now)
        return rates_of(self._recent.sum(self.window, self._slot))

    def session_rates(self) -> Rates:
        """Return the proportions since the start."""
        return rates_of(self._session.sum(self._slot))

    def groups(self, now: float) -> tuple[Group, ...]:
        """Return how many shots of each group there were since groups began, and their rates over the window."""
        self._turn(now)
        return groups_of(self._groups, self._recent.sum(self.window, self._slot).groups)

    def session_groups(self) -> tuple[Group, ...]:
        """Return the groups with their rates since groups began."""
        return groups_of(self._groups, self._groups)

    def throughput(self, now: float) -> Throughput:
        """Return frames, bytes and results a second over the window, or since the first frame if that is less."""
        self._turn(now)
        if self.first_arrival is None:
            return Throughput()
        total = self._recent.sum(self.window, self._slot)
        span = self._span(now)
        return Throughput(total.arrived / span, total.n_bytes / span, total.results / span)

    def latency(self, now: float) -> Latency:
        """Return median, 99th percentile and maximum over the window."""
        self._turn(now)
        total = LatencyHistogram()
        for _, histogram in self._latencies:
            total.merge(histogram)
        total.merge(self._latency_now)
        return total.summary()

    def session_latency(self) -> Latency:
        """Return median, 99th percentile and maximum since the start."""
        total = LatencyHistogram()
        total.merge(self._latency_session)
        total.merge(self._latency_now)
        return total.summary()

    def results_per_s(self, now: float) -> dict[str, float]:
        """Return by worker how many results a second it gave over the window; workers that gave none are left out."""
        return {worker: n for worker, (n, _) in self._work_per_s(now).items()}

    def busy(self, now: float) -> dict[str, float]:
        """Return by worker which part of the window it computed, 0 to 1; workers that gave no result are left out."""
        return {worker: min(seconds, 1.0) for worker, (_, seconds) in self._work_per_s(now).items()}

    def history(self, now: float) -> History:
        """Return how things went so far."""
        self._turn(now)
        return History(
            recent=self._recent.bins(self._slot), session=self._session.bins(self._slot), marks=tuple(self._marks)
        )

    def last_shots(self) -> LastShots:
        """Return the last crystals and the last shots that were not blank, oldest first."""
        return LastShots(tuple(self._crystals), tuple(self._shots))

    def _span(self, now: float) -> float:
        """Return how many s the window covers: the whole seconds before this one and what of this one has gone by."""
        since_first = now - self.first_arrival if self.first_arrival is not None else 0.0
        return max(min(self.window - 1 + max(now - self._slot.start, 0.0), since_first), 1.0)

    def _work_per_s(self, now: float) -> dict[str, tuple[float, float]]:
        self._turn(now)
        total: dict[str, list[float]] = {}
        for _, workers in (*self._workers, (0, self._workers_now)):
            for worker, (n, seconds) in workers.items():
                work = total.setdefault(worker, [0.0, 0.0])
                work[0] += n
                work[1] += seconds
        # After a longer window was asked for, less than it covers is remembered.
        since = self._workers[0][0] if self._workers else self._slot.start
        span = min(self._span(now), max(now - since, 1.0))
        return {worker: (n / span, seconds / span) for worker, (n, seconds) in total.items()}

    def _remember(self, result: Result, now: float) -> None:
        if len(result.crystals) > 1:
            self._slot.multi_lattice += 1
        self._shots.append(
            ShotSummary(
                time=now,
                series=result.series,
                number=result.number,
                state=result.state,
                n_peaks=result.n_peaks,
                resolution=result.resolution,
                n_lattices=len(result.crystals),
                error=result.error,
                group=result.group,
            )
        )
        self.n_crystals += len(result.crystals)
        for crystal in result.crystals:
            self._crystals.append(
                CrystalSeen(
                    time=now,
                    series=result.series,
                    number=result.number,
                    cell=crystal.cell,
                    n_indexed=crystal.n_indexed,
                    n_peaks=result.n_peaks,
                    rmsd_px=crystal.rmsd_px,
                    resolution=result.resolution,
                    group=result.group,
                )
            )

    def _turn(self, now: float) -> None:
        """Put the second that is over away and begin the one of `now`."""
        if now < self._slot.end:
            return
        finished = self._slot
        self._slot = Slot(int(now))
        self._recent.push(finished)
        self._session.push(finished)
        self._latency_session.merge(self._latency_now)
        self._latencies.append((finished.start, self._latency_now))
        self._workers.append((finished.start, self._workers_now))
        self._latency_now = LatencyHistogram()
        self._workers_now = {}
        oldest = self._slot.start - self.window + 1
        while self._latencies and self._latencies[0][0] < oldest:
            self._latencies.popleft()
            self._workers.popleft()


def groups_of(totals: GroupCounts, window: GroupCounts) -> tuple[Group, ...]:
    """Return the groups in the order of their names: all that was counted, and the rates within the window."""
    nothing = GroupCount()
    return tuple(
        Group(
            name=name,
            frames=total.frames,
            hits=total.hits,
            indexed=total.indexed,
            hit=wilson(recent.hits, recent.frames),
            indexed_of_hits=wilson(recent.indexed, recent.hits),
            indexed_of_frames=wilson(recent.indexed, recent.frames),
        )
        for name, total in sorted(totals.by_name.items())
        for recent in (window.by_name.get(name, nothing),)
    )


def rates_of(total: Slot) -> Rates:
    """Return the proportions of what happened in a slot."""
    blank, hit, indexed = (total.counts[s] for s in (State.BLANK, State.HIT, State.INDEXED))
    looked_at = blank + hit + indexed
    everything = sum(total.counts.values())
    return Rates(
        hit=wilson(hit + indexed, looked_at),
        indexed_of_hits=wilson(indexed, hit + indexed),
        indexed=wilson(indexed, looked_at),
        multi_lattice=wilson(min(total.multi_lattice, indexed), indexed),
        dropped=wilson(total.counts[State.DROPPED], everything),
        missed=wilson(total.counts[State.MISSED], everything),
    )

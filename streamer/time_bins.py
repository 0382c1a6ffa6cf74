"""Counts against time in bounded memory, however long the beamtime lasts."""

from collections import deque

from braggwatch.streamer.feed_messages import Bins
from braggwatch.streamer.group_counts import GroupCounts, group_bins
from braggwatch.streamer.messages import State

N_SESSION_BINS = 1024


class Slot:
    """What happened within one bin of time."""

    __slots__ = (
        "arrived", "counts", "end", "groups", "latency_max", "latency_sum", "multi_lattice", "n_bytes", "results",
        "start",
    )  # fmt: skip

    def __init__(self, start: int, width: int = 1) -> None:
        self.start = start
        self.end = start + width
        self.counts = dict.fromkeys(State, 0)
        self.groups = GroupCounts()
        self.multi_lattice = 0
        self.arrived = 0
        self.n_bytes = 0
        self.results = 0
        self.latency_sum = 0.0
        self.latency_max = 0.0

    def merge(self, other: "Slot") -> None:
        """Add what happened in another slot."""
        for state, n in other.counts.items():
            self.counts[state] += n
        self.groups.merge(other.groups)
        self.multi_lattice += other.multi_lattice
        self.arrived += other.arrived
        self.n_bytes += other.n_bytes
        self.results += other.results
        self.latency_sum += other.latency_sum
        self.latency_max = max(self.latency_max, other.latency_max)


class RecentBins:
    """The last seconds, one by one."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._slots: deque[Slot] = deque()

    def push(self, slot: Slot) -> None:
        """Add a second that is over; seconds in which nothing happened need not be pushed."""
        self._slots.append(slot)
        while self._slots[0].start <= slot.start - self._seconds:
            self._slots.popleft()

    def forget_groups(self) -> None:
        """Forget what was counted by group."""
        for slot in self._slots:
            slot.groups = GroupCounts()

    def sum(self, seconds: int, current: Slot) -> Slot:
        """Return the sum over the last `seconds`, the one in progress included."""
        total = Slot(current.start - seconds + 1, seconds)
        for slot in reversed(self._slots):
            if slot.start < total.start:
                break
            total.merge(slot)
        total.merge(current)
        return total

    def bins(self, current: Slot) -> Bins:
        """Return the seconds as columns, empty ones included, the one in progress last."""
        kept = [slot for slot in self._slots if slot.start > current.start - self._seconds]
        start = kept[0].start if kept else current.start
        columns = [Slot(start + i) for i in range(current.start - start + 1)]
        for slot in (*kept, current):
            columns[slot.start - start].merge(slot)
        return as_bins(columns, start, 1)


class SessionBins:
    """All the time since the start, in at most 1024 bins: when they are used up, pairs are merged."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._width = 1
        self._slots: list[Slot] = []

    def push(self, slot: Slot) -> None:
        """Add a second that is over."""
        self._reserve(slot.start)
        index = (slot.start - self._start) // self._width
        for i in range(len(self._slots), index + 1):
            self._slots.append(self._empty(i))
        self._slots[index].merge(slot)

    def forget_groups(self) -> None:
        """Forget what was counted by group."""
        for slot in self._slots:
            slot.groups = GroupCounts()

    def sum(self, current: Slot) -> Slot:
        """Return the sum over everything, the second in progress included."""
        total = Slot(self._start, current.end - self._start)
        for slot in (*self._slots, current):
            total.merge(slot)
        return total

    def bins(self, current: Slot) -> Bins:
        """Return the bins as columns, the second in progress counted into the last."""
        self._reserve(current.start)
        index = (current.start - self._start) // self._width
        columns = [*self._slots, *(self._empty(i) for i in range(len(self._slots), index + 1))]
        last = self._empty(index)
        last.merge(columns[index])
        last.merge(current)
        columns[index] = last
        return as_bins(columns, self._start, self._width)

    def _reserve(self, time: int) -> None:
        """Make the bins wide enough to reach `time`."""
        while (time - self._start) // self._width >= N_SESSION_BINS:
            self._width *= 2
            merged = [self._empty(i) for i in range((len(self._slots) + 1) // 2)]
            for i, slot in enumerate(self._slots):
                merged[i // 2].merge(slot)
            self._slots = merged

    def _empty(self, index: int) -> Slot:
        return Slot(self._start + index * self._width, self._width)


def as_bins(slots: list[Slot], start: int, width: int) -> Bins:
    """Turn slots that follow on each other into columns."""
    return Bins(
        start=float(start),
        width=float(width),
        counts={state: [slot.counts[state] for slot in slots] for state in State},
        multi_lattice=[slot.multi_lattice for slot in slots],
        arrived=[slot.arrived for slot in slots],
        n_bytes=[slot.n_bytes for slot in slots],
        results=[slot.results for slot in slots],
        latency_sum=[slot.latency_sum for slot in slots],
        latency_max=[slot.latency_max for slot in slots],
        groups=group_bins(slot.groups for slot in slots),
    )

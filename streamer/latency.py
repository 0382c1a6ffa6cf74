"""How long frames take, in a histogram whose bins grow with the latency."""

import math

import numpy as np
from numpy.typing import NDArray

from braggwatch.streamer.feed_messages import Latency

SHORTEST = 1e-4
"""s; what is faster counts as this."""
LONGEST = 1e3
"""s; what is slower counts as this, but the maximum stays exact."""
_PER_E_FOLD = 1.0 / math.log(1.04)
N_BINS = math.ceil(math.log(LONGEST / SHORTEST) * _PER_E_FOLD)


class LatencyHistogram:
    """Latencies in bins that are 4 % wide, so that a percentile is right to 2 %, in 3 kB whatever their number."""

    __slots__ = ("counts", "max", "n")

    def __init__(self) -> None:
        self.counts = [0] * N_BINS
        self.n = 0
        self.max = 0.0

    def add(self, seconds: float) -> None:
        """Count one latency; a negative one (a clock was set back) counts as the shortest."""
        if seconds <= SHORTEST:
            self.counts[0] += 1
        else:
            self.counts[min(int(math.log(seconds / SHORTEST) * _PER_E_FOLD), N_BINS - 1)] += 1
        self.n += 1
        if seconds > self.max:
            self.max = seconds

    def merge(self, other: "LatencyHistogram") -> None:
        """Add what another histogram has counted."""
        if other.n:
            self.counts = (np.array(self.counts, np.int64) + np.array(other.counts, np.int64)).tolist()
            self.n += other.n
            self.max = max(self.max, other.max)

    def summary(self) -> Latency:
        """Return median, 99th percentile and maximum; each None when nothing was counted."""
        if self.n == 0:
            return Latency()
        cumulated = np.cumsum(self.counts)
        median, p99 = (self._percentile(cumulated, part) for part in (0.5, 0.99))
        return Latency(self.n, median, p99, self.max)

    def _percentile(self, cumulated: NDArray[np.int64], part: float) -> float:
        """Return the middle, on the logarithmic scale, of the bin where the sought one lies."""
        i = int(np.searchsorted(cumulated, math.ceil(part * self.n)))
        return min(SHORTEST * math.exp((i + 0.5) / _PER_E_FOLD), self.max)

"""How fast a count grows, how unsteadily, and when it will have grown by so much."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

MOST_POINTS = 512
"""When so many moments are held, every second one is let go."""
FEWEST_POINTS = 9
"""With fewer, nothing is said of the rate."""


@dataclass(frozen=True)
class Rate:
    """A count's growth, taken as a random walk with drift."""

    per_second: float
    variance: float
    """Of the count, added per second in the long run; equal to `per_second` where counts come independently."""
    duration: float
    """Seconds that this was learned from."""

    def times_to_grow(self, by: F64, rng: np.random.Generator) -> F64:
        """Draw for each number of `by` ``(n,)`` how many seconds until the count has grown by it; infinite for never.

        The rate itself is known as well as the duration allows; then comes the walk's own spread.
        """
        rate = rng.normal(self.per_second, np.sqrt(self.variance / self.duration), by.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(rate > 0.02 * self.per_second, by / rate, np.inf)
            spread = np.sqrt(self.variance * mean) / rate
            times = mean + spread * rng.normal(size=by.shape)
        return np.where(np.isfinite(mean), np.maximum(times, 0.0), np.inf)


class Progress:
    """A count against time, in memory that does not grow."""

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._every, self._skipped = 1, 0

    def note(self, time: float, count: float) -> None:
        """Note what the count is at `time`, in seconds; times before the last are passed over."""
        if self._points and time <= self._points[-1][0]:
            return
        self._skipped += 1
        if self._skipped < self._every and self._points:
            return
        self._skipped = 0
        self._points.append((time, count))
        if len(self._points) >= MOST_POINTS:
            del self._points[1:-1:2]
            self._every *= 2

    def rate(self) -> Rate | None:
        """Return how the count grows; None where too little is known.

        The long-run variance is that of sums over batches (batch means: Law & Carson, Oper. Res. 27, 1011, 1979), the
        largest of those over 8, 16 and 32 batches, so that counts that come in bursts or pauses are taken for what they
        are.
        """
        if len(self._points) < FEWEST_POINTS:
            return None
        time, count = np.array(self._points).T
        duration, grown = float(time[-1] - time[0]), float(count[-1] - count[0])
        variance = max(grown, 1.0) / duration
        for n_batches in (8, 16, 32):
            if len(time) > n_batches:
                at = np.interp(np.linspace(time[0], time[-1], n_batches + 1), time, count)
                variance = max(variance, float(np.var(np.diff(at), ddof=1)) / (duration / n_batches))
        return Rate(grown / duration, variance, duration)

"""How fast a count grows, how unsteadily, and when it will have grown by so much."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

MOST_POINTS = 512
"""When so many moments are held, every second one is let go."""
FEWEST_POINTS = 9
"""With fewer, nothing is said of the rate."""
_SPANS = 32
_SPREADS = np.geomspace(0.03, 1.5, 10)
"""Standard deviations that a fluctuating rate may have, relative to its mean."""


@dataclass(frozen=True, eq=False)
class Rate:
    """A count's growth: what it may be, as several possibilities."""

    weight: F64
    """``(k,)``: probability of each possibility."""
    per_second: F64
    """``(k,)``: mean of the rate."""
    error: F64
    """``(k,)``: standard error of `per_second`."""
    variance: F64
    """``(k,)``: of the count, added per second in the long run; `per_second` where counts come independently."""

    @property
    def mean(self) -> float:
        """The rate to be expected, per second."""
        return float(self.weight @ self.per_second)

    def times_to_grow(self, by: F64, rng: np.random.Generator) -> F64:
        """Draw for each number of `by` ``(n,)`` how many seconds until the count has grown by it; infinite for never.

        The rate itself is drawn first; then comes what it will fluctuate.
        """
        which = rng.choice(len(self.weight), by.shape, p=self.weight)
        rate = rng.normal(self.per_second[which], self.error[which])
        # a rate of nothing is what a wide normal distribution has, and no experiment that goes on
        rate = np.maximum(rate, 0.1 * self.per_second[which])
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(rate > 0.0, by / rate, np.inf)
            times = mean + np.sqrt(self.variance[which] * mean) / rate * rng.normal(size=by.shape)
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

    @property
    def is_known(self) -> bool:
        """Whether enough moments were noted to speak of a rate."""
        return len(self._points) >= FEWEST_POINTS

    def rate(self) -> Rate | None:
        """Return how the count grows; None where too little is known, or it does not.

        Counts in 32 equal spans are taken as Poisson ones of a rate that fluctuates as an Ornstein-Uhlenbeck process,
        as jets do: by an unknown amount, and with a memory that is unknown but not longer than what was seen. For each
        amount and memory of a grid the mean follows by generalised least squares, and their probability from its
        restricted likelihood (Patterson & Thompson, Biometrika 58, 545, 1971).
        """
        if not self.is_known:
            return None
        time, count = np.array(self._points).T
        grown, duration = float(count[-1] - count[0]), float(time[-1] - time[0])
        if not grown > 0:
            return None
        n = min(_SPANS, len(time) - 1)
        counts = np.diff(np.interp(np.linspace(time[0], time[-1], n + 1), time, count))
        span, usual = duration / n, grown / n
        apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        found = []
        for memory in np.geomspace(span, duration, 10):
            a = span / memory
            # mean covariance of the process between two spans, in units of its variance
            shape = np.exp(-a * apart) * (np.exp(a) - 2.0 + np.exp(-a)) / a**2
            np.fill_diagonal(shape, 2.0 * (a - 1.0 + np.exp(-a)) / a**2)
            for spread in _SPREADS:
                covariance = usual * np.eye(n) + (spread * usual) ** 2 * shape
                inverse = np.linalg.inv(covariance)
                information = inverse.sum()
                mean = float(inverse.sum(axis=0) @ counts / information)
                off = counts - mean
                likelihood = -0.5 * (np.linalg.slogdet(covariance)[1] + np.log(information) + off @ inverse @ off)
                rate = grown / duration
                found.append(
                    (likelihood, mean / span, information**-0.5 / span, rate + 2.0 * memory * (spread * rate) ** 2)
                )
        log_weight, per_second, error, variance = np.array(found).T
        weight = np.exp(log_weight - log_weight.max())
        return Rate(weight / weight.sum(), per_second, error, variance)

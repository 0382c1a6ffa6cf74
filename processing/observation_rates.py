"""How often each reflection will have been observed once there are more crystals."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

F64 = NDArray[np.float64]

_N_BINS = 20
_SAMPLE = 20_000
_SHAPES = np.geomspace(0.3, 300.0, 16)
_NEVER = np.concatenate([[0.0], np.geomspace(3e-4, 0.5, 15)])


class ObservationRates:
    """Rates of observation, learned from counts.

    A reflection's expected count is that of its resolution times the number of its symmetry mates, times a factor of
    its own that follows a gamma distribution (preferred orientation, gaps between panels); a share of them is never
    observed (beam stop, blind zone). So counts follow a negative binomial distribution with extra zeros, and the unseen
    reflections are the coupon collector's missing coupons, of uneven probability. Shape and share are not fitted but
    kept as a posterior on a grid, with a flat prior in their logarithms.
    """

    def __init__(self, count: NDArray[np.integer], mates: NDArray[np.integer], inverse_d: F64) -> None:
        """Learn from how often each possible reflection was observed; all arrays ``(n,)``, `inverse_d` ascending.

        `mates` is `AsymmetricUnit.mates`. Raises ValueError where nothing was observed.
        """
        if not count.any():
            raise ValueError("rates of observation need observations: there are none")
        self.n_possible = len(count)
        n_bins = max(1, min(_N_BINS, len(count) // 50))
        bins = np.arange(len(count)) * n_bins // len(count)
        per_mate = np.bincount(bins, count, n_bins) / np.bincount(bins, mates, n_bins)
        # where a whole bin is unseen the neighbours' rate is the best guess
        seen = per_mate > 0
        per_mate = np.interp(np.arange(n_bins), np.flatnonzero(seen), per_mate[seen])
        self._expected = per_mate[bins] * mates
        self._count = np.asarray(count, float)
        self._shapes, self._never, self._posterior = self._learn()
        unseen = self._expected[count == 0]
        self._unseen_rate, self._unseen_n = np.unique(unseen, return_counts=True)

    def _learn(self) -> tuple[F64, F64, F64]:
        expected, count = self._expected, self._count
        if len(count) > _SAMPLE:
            chosen = np.random.default_rng(0).choice(len(count), _SAMPLE, replace=False)
            expected, count = expected[chosen], count[chosen]
        cells, n = np.unique(np.stack([expected, count]), axis=1, return_counts=True)
        share = len(self._count) / len(count)
        shape, never = (grid.ravel() for grid in np.meshgrid(_SHAPES, _NEVER, indexing="ij"))
        log_likelihood = np.empty(len(shape))
        for i, (a, z) in enumerate(zip(shape, never, strict=True)):
            rate, k = cells[0] / (1.0 - z), cells[1]
            log_p = (
                gammaln(k + a) - gammaln(a) - gammaln(k + 1.0)
                + a * np.log(a / (a + rate)) + k * np.log(rate / (a + rate)) + np.log1p(-z)
            )  # fmt: skip
            log_p = np.where(k == 0, np.logaddexp(log_p, np.log(z) if z > 0 else -np.inf), log_p)
            log_likelihood[i] = share * float(n @ log_p)
        posterior = np.exp(log_likelihood - log_likelihood.max())
        return shape, never, posterior / posterior.sum()

    def completeness(self, factors: F64, n_draws: int, rng: np.random.Generator) -> F64:
        """Draw completeness with `factors` ``(f,)`` times as many crystals as so far, ``(n_draws, f)``."""
        unseen = int(self._unseen_n.sum())
        result = np.full((n_draws, len(factors)), 1.0 - unseen / self.n_possible)
        if not unseen:
            return result
        which = rng.choice(len(self._posterior), n_draws, p=self._posterior)
        noise = rng.normal(size=n_draws)
        for point in np.unique(which):
            shape, never = self._shapes[point], self._never[point]
            rate = self._unseen_rate / (1.0 - never)
            blind = never / (never + (1.0 - never) * (shape / (shape + rate)) ** shape)
            left = ((shape + rate) / (shape + rate * factors[:, None])) ** shape
            still = blind + (1.0 - blind) * left
            mean, variance = still @ self._unseen_n, (still * (1.0 - still)) @ self._unseen_n
            drawn = which == point
            missing = mean + np.sqrt(variance) * noise[drawn, None]
            result[drawn] = 1.0 - np.clip(missing, 0.0, unseen) / self.n_possible
        return np.asarray(np.maximum.accumulate(result, axis=1))

    def limit(self) -> float:
        """Return the completeness that is approached with ever more crystals."""
        missing = 0.0
        for shape, never, weight in zip(self._shapes, self._never, self._posterior, strict=True):
            rate = self._unseen_rate / (1.0 - never)
            blind = never / (never + (1.0 - never) * (shape / (shape + rate)) ** shape)
            missing += weight * float(blind @ self._unseen_n)
        return float(1.0 - missing / self.n_possible)

    def mean_noise(self, part: slice, factors: F64, scale_variance: float = 0.0) -> F64:
        """Return how much noise is left in a half's mean intensities, relative to that of single observations.

        The mean of 1/n over reflections with n observations in a half, of those that both halves have; `part` of the
        reflections, and `factors` ``(f,)`` times as many crystals as so far; ``(f,)``. Where the crystals' scales vary,
        with `scale_variance` relative to their squared mean, few observations may all be weak ones: 1/n becomes
        ``(1 + 2 scale_variance / n) / n``, between what counting noise and what background noise ask for.
        """
        expected, count = self._expected[part], self._count[part]
        if len(count) > _SAMPLE // 10:
            chosen = np.random.default_rng(0).choice(len(count), _SAMPLE // 10, replace=False)
            expected, count = expected[chosen], count[chosen]
        shape = float(self._shapes @ self._posterior)
        rate = 0.5 * expected * (shape + count) / (shape + expected)
        future = rate * factors[:, None]
        both = -np.expm1(-future)
        both *= both
        noise = _mean_power(future, 1) + 2.0 * scale_variance * _mean_power(future, 2)
        return np.asarray((both * noise).sum(axis=1) / both.sum(axis=1))


def _mean_power(rate: F64, power: int) -> F64:
    """Return the mean of 1/n, or of 1/n², of a Poisson distribution without its zero."""
    return np.asarray(np.exp(np.interp(np.log(rate), np.log(_RATES), _LOG_MEANS[power - 1])))


def _tabulated() -> tuple[F64, F64]:
    rates = np.geomspace(1e-3, 2000.0, 200)
    n = np.arange(1, 3000)
    p = np.exp(-rates[:, None] + n * np.log(rates[:, None]) - gammaln(n + 1.0)) / -np.expm1(-rates[:, None])
    return rates, np.log(np.stack([(p / n).sum(axis=1), (p / n**2).sum(axis=1)]))


_RATES, _LOG_MEANS = _tabulated()

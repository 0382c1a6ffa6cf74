"""When will the data be good enough? Or will they not be, at this rate?"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.data_quality import Forecast, Shell, Target
from braggwatch.processing.merge import Merge
from braggwatch.processing.merge_statistics import MergeStatistics
from braggwatch.processing.observation_rates import ObservationRates
from braggwatch.processing.progress import Progress

F64 = NDArray[np.float64]

HORIZON = 24 * 3600.0
"""Seconds; what would take longer counts as not reached."""
_MOST = 1000.0
"""Times as many crystals as so far; the future is not looked at beyond."""
_FACTORS = np.geomspace(1.0, _MOST, 300)
_DRAWS = 500
_NEIGHBOURS = 5
"""So many of the outermost shells tell what CC1/2 of the last one should be."""


class Forecaster:
    """Foretells when a merge reaches a target.

    Three things are unsure, and 500 futures are drawn of them. What the merge has: CC1/2 of the outermost shell follows
    ``S / (S + N / n)`` of signal and noise, with the mean of 1/n over its reflections (see
    `ObservationRates.mean_noise`), from its present value and that
    value's error, and will wander about its expectation while data are added. How completeness goes on: see
    `ObservationRates`. How fast crystals come: see `Rate`. The interval is that of 80 % of the futures.
    """

    def __init__(self, merge: Merge, target: Target) -> None:
        """Watch a merge, of all crystals or of a group.

        Raises ValueError where it does not extend to the target's resolution.
        """
        merge.statistics(target.d_min)
        self.merge = merge
        self.target = target
        self._progress = Progress()

    def aimed_at(self, target: Target) -> "Forecaster":
        """Return one for another target that knows all that this one has noted; raises ValueError likewise."""
        other = Forecaster(self.merge, target)
        other._progress = self._progress
        return other

    def note(self, time: float) -> None:
        """Note that it is `time`, in seconds: to be called every few seconds, whether or not crystals came."""
        self._progress.note(time, self.merge.n_crystals)

    def is_reached(self) -> bool:
        """Tell whether the merge has reached the target."""
        found = self.merge.statistics(self.target.d_min)
        return self._is_reached(found.overall, found.shells[-1])

    def forecast(self) -> Forecast:
        """Return the forecast from all that was noted; takes some 50 ms."""
        found = self.merge.statistics(self.target.d_min)
        if self._is_reached(found.overall, found.shells[-1]):
            return Forecast("reached", crystals=float(found.n_crystals))
        rate = self._progress.rate()
        if found.n_crystals < 10 or not self._progress.is_known:
            return Forecast("unknown")
        n = found.overall.n_possible
        unit = self.merge.unit
        rates = ObservationRates(self.merge.counts.sum(axis=0)[:n], unit.mates[:n], unit.inverse_d[:n])
        rng = np.random.default_rng(found.n_crystals)
        needed = self._factors_needed(found, rates, rng)
        if needed is None:
            return Forecast("unknown")
        parts = np.stack(list(needed.values()))
        factor = parts.max(axis=0)
        held_up_by = list(needed)[int(np.argmax(np.sum(parts == factor, axis=1)))]
        if rate is None:
            return Forecast("not at this rate", held_up_by=held_up_by, completeness_limit=rates.limit())
        seconds = rate.times_to_grow((factor - 1.0) * found.n_crystals, rng)
        low, middle, high = (_within_reach(value) for value in _quantiles(seconds))
        return Forecast(
            "ahead" if middle is not None else "not at this rate",
            middle, low, high, _finite(_quantiles(factor)[1] * found.n_crystals), held_up_by, rates.limit(),
        )  # fmt: skip

    def _is_reached(self, overall: Shell, outer: Shell) -> bool:
        return all(
            wanted is None or (found is not None and found >= wanted)
            for wanted, found in (
                (self.target.cc_half, outer.cc_half),
                (self.target.completeness, overall.completeness),
                (self.target.multiplicity, overall.multiplicity),
            )
        )

    def _factors_needed(
        self, found: MergeStatistics, rates: ObservationRates, rng: np.random.Generator
    ) -> dict[Literal["cc_half", "completeness", "multiplicity"], F64] | None:
        """Draw how many times the present crystals each part of the target needs; infinite: never. None: unknown."""
        needed: dict[Literal["cc_half", "completeness", "multiplicity"], F64] = {}
        completeness = rates.completeness(_FACTORS, _DRAWS, rng)
        if self.target.completeness is not None:
            needed["completeness"] = _first_reached(completeness, self.target.completeness)
        overall = found.overall
        if self.target.multiplicity is not None and overall.multiplicity is not None and overall.completeness:
            grown = overall.multiplicity * overall.completeness * _FACTORS / completeness
            needed["multiplicity"] = _first_reached(grown, self.target.multiplicity)
        if self.target.cc_half is not None:
            drawn = self._cc_half(found, rates, rng)
            if drawn is None:
                return None
            if not drawn[0, 0] >= self.target.cc_half:
                needed["cc_half"] = _first_reached(drawn, self.target.cc_half)
        return needed

    def _cc_half(self, found: MergeStatistics, rates: ObservationRates, rng: np.random.Generator) -> F64 | None:
        """Draw CC1/2 of the outermost shell as it will be seen with more crystals, ``(draws, factors)``.

        What it is now is what is seen: only its expectation is unsure, by `_expected_cc`. Noise in it is a sum of
        products of both halves' errors, which grows as a random walk in n² and is divided by n²: the longer ahead, the
        less of it is the present one's.
        """
        outer = found.shells[-1]
        if outer.cc_half is None or outer.cc_half_error is None:
            return None
        stop = found.overall.n_possible
        variance = self.merge.scale_variance
        noise = rates.mean_noise(slice(stop - outer.n_possible, stop), _FACTORS, variance)
        now = _expected_cc(found, rates, variance, rng)[:, None]
        expected = 1.0 / (1.0 + (1.0 / now - 1.0) * noise / noise[0])
        error = outer.cc_half_error / max(1.0 - outer.cc_half**2, 0.02) * (1.0 - expected**2)
        steps = np.sqrt(np.diff(_FACTORS**2)) * rng.normal(size=(_DRAWS, len(_FACTORS) - 1))
        walk = (outer.cc_half - now) / error[:, :1] + np.concatenate(
            [np.zeros((_DRAWS, 1)), np.cumsum(steps, axis=1)], axis=1
        )
        return np.asarray(expected + error * walk / _FACTORS)


def _expected_cc(
    found: MergeStatistics, rates: ObservationRates, scale_variance: float, rng: np.random.Generator
) -> F64:
    """Draw what CC1/2 of the outermost shell should be now, ``(draws,)``, from it and its neighbours.

    Signal over noise is taken to fall exponentially with 1/d² over the last shells, as it does by a B factor; the
    posterior is taken on a grid, flat in CC1/2 and in the logarithm's slope.
    """
    parts, start = [], 0
    for shell in found.shells:
        parts.append(slice(start, start + shell.n_possible))
        start += shell.n_possible
    centre = [(shell.d_max**-2 + shell.d_min**-2) / 2 for shell in found.shells]
    cc = np.linspace(0.0025, 0.9975, 200)[:, None]
    fall = np.linspace(0.0, 8.0, 33)[None, :]
    chi2 = np.zeros((200, 33))
    one = np.ones(1)
    outermost = float(rates.mean_noise(parts[-1], one, scale_variance)[0])
    n_used = min(_NEIGHBOURS, len(parts))
    for shell, part, s in list(zip(found.shells, parts, centre, strict=True))[-n_used:]:
        if shell.cc_half is None or shell.cc_half_error is None:
            continue
        noise = float(rates.mean_noise(part, one, scale_variance)[0]) / outermost
        steps = (centre[-1] - s) / centre[-1]
        expected = 1.0 / (1.0 + (1.0 / cc - 1.0) * noise * np.exp(-fall * steps * 4.0))
        chi2 += ((shell.cc_half - expected) / max(shell.cc_half_error, 0.003)) ** 2
    posterior = np.exp(-0.5 * (chi2 - chi2.min()))
    drawn = rng.choice(posterior.size, _DRAWS, p=(posterior / posterior.sum()).ravel())
    return np.asarray(cc.ravel()[drawn // fall.size] + rng.uniform(-0.0025, 0.0025, _DRAWS) * 0.99)


def _first_reached(values: F64, wanted: float) -> F64:
    """Return the factor at which each row of `values` ``(draws, factors)`` first reaches `wanted`; infinite: never."""
    reached = values >= wanted
    first = np.argmax(reached, axis=1)
    before = np.maximum(first - 1, 0)
    row = np.arange(len(values))
    low, high = values[row, before], values[row, first]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(high > low, (wanted - low) / (high - low), 1.0)
    factor = _FACTORS[before] + np.clip(share, 0.0, 1.0) * (_FACTORS[first] - _FACTORS[before])
    return np.where(reached.any(axis=1), np.where(first == 0, 1.0, factor), np.inf)


def _quantiles(values: F64) -> F64:
    """Return the 10 %, 50 % and 90 % quantiles of values that may be infinite."""
    return np.asarray(np.quantile(values, (0.1, 0.5, 0.9), method="nearest"))


def _within_reach(seconds: float) -> float | None:
    return float(seconds) if seconds <= HORIZON else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

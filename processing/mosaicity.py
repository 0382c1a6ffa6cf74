"""How large and how well aligned a crystal's blocks are, and how far it diffracts: from one shot's intensities."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.reflections import Reflections

FWHM = math.sqrt(8.0 * math.log(2.0))
"""Full width at half maximum of a normal distribution, in standard deviations."""
LIMIT_SNR = 1.0
"""Where the mean I/sigma of the reflections falls below this, a crystal's diffraction ends."""
_MOST_SNR = 10.0
"""What one reflection may add to that mean at most: a single strong one says nothing of its shell."""
_HALF_EXCITED = FWHM / 2.0
"""Standard deviations from the Ewald sphere within which a reflection shows half of its intensity, or more."""
_FEWEST_STRONG = 10
_STRONG = 2.0
"""Reflections with an I/sigma above this, so many of them, a size of the nodes is estimated from at least."""
_FEWEST = 20
"""Reflections on the sphere that a diffraction limit needs at least."""
_LEAST_VARIANCE, _LARGEST_VARIANCE = 1e-10, 1e-4
"""Bounds of the nodes' variance, 1/Angstrom²."""
_LEAST_BLOCK_SHARE = 1e-3
"""Of that variance, blocks have so much at least: larger ones than 30 times what the turns make of them never show."""
_MOST_RESIDUAL = 4.0
_MOST_STEPS = 30
_LEAST_STEP = 3e-3


def block_sigma(block_size: float) -> float:
    """Return the standard deviation, 1/Angstrom, of the reciprocal-lattice points of a cubic block.

    `block_size` is its edge, Angstrom: the shape transform has a full width at half maximum of 0.886 / edge. It is its
    own inverse.
    """
    return 0.886 / block_size / FWHM


@dataclass(frozen=True)
class BeamSpread:
    """What the beam itself adds to the excitation errors that are seen."""

    wavelength: float
    """Angstrom."""
    bandwidth: float = 0.0
    """Relative full width at half maximum of the energy spectrum."""
    divergence: float = 0.0
    """Full angle of the beam's cone at half maximum, degrees."""

    @classmethod
    def of(cls, beam: Beam, divergence: float = 0.0) -> "BeamSpread":
        """Take a beam's wavelength and bandwidth."""
        return cls(beam.wavelength, beam.bandwidth, divergence)

    def sigma(self, inverse_d: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the standard deviation ``(n,)`` of the Ewald spheres' places at `inverse_d`, both in 1/Angstrom."""
        versine = np.minimum((np.asarray(inverse_d, float) * self.wavelength) ** 2 / 2.0, 2.0)  # 1 - cos(2 theta)
        energy = self.bandwidth * versine
        divergence = math.radians(self.divergence) * np.sqrt(versine * (2.0 - versine))
        return np.asarray(np.hypot(energy, divergence) / (FWHM * self.wavelength))


@dataclass(frozen=True)
class Mosaicity:
    """The size of a crystal's reciprocal-lattice points: normal distributions, as the simulator's `Spread` has them."""

    block_size: float
    """Edge of a mosaic block, Angstrom."""
    spread: float
    """Standard deviation of the blocks' rotation about any axis, degrees."""

    def sigma(self, inverse_d: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the standard deviation ``(n,)`` of the points across the Ewald sphere at `inverse_d`, 1/Angstrom."""
        return np.asarray(np.hypot(block_sigma(self.block_size), math.radians(self.spread) * np.asarray(inverse_d)))

    def partiality(self, reflections: Reflections, beam: BeamSpread) -> NDArray[np.float32]:
        """Return ``(n,)``, in (0, 1], how much of each reflection is excited.

        The share of what it would give exactly on the sphere of a perfect beam, as `Predictions.partiality`, but for
        nodes that end softly.
        """
        own = self.sigma(reflections.inverse_d)
        total = np.hypot(own, beam.sigma(reflections.inverse_d))
        share = own / total * np.exp(-0.5 * (reflections.excitation_error / total) ** 2)
        return np.maximum(share, np.finfo(np.float32).tiny).astype(np.float32)


def estimate_mosaicity(reflections: Reflections, beam: BeamSpread) -> Mosaicity | None:
    """Return the size of a crystal's nodes; None where too few of its reflections are strong enough to tell.

    All predicted reflections count, seen or not, so that nothing depends on which were strong enough to be found:
    their mean intensity is taken as a scale and a B factor times a normal distribution of the excitation error, whose
    variance is that of the blocks, plus that of their turns times 1/d², plus the beam's. The four unknown are fitted
    by quasi-likelihood (R. W. M. Wedderburn, Biometrika 61, 439, 1974) with the variance of Wilson's distribution plus
    that of counting; residuals count for 4 standard deviations at most. That block size and spread come apart by the
    growth of the excitation errors with resolution is the idea of Sauter et al., Acta Cryst. D 70, 3299, 2014.

    Reflections should be predicted to about twice the expected standard deviation, or further.
    """
    good = reflections[reflections.good & (reflections.sigma > 0)]
    if np.count_nonzero(good.intensity > _STRONG * good.sigma) < _FEWEST_STRONG:
        return None
    q2 = good.inverse_d.astype(float) ** 2
    fit = np.empty(4)
    if not _fit(
        q2, good.excitation_error.astype(float) ** 2, beam.sigma(good.inverse_d) ** 2, good.intensity.astype(float),
        good.sigma.astype(float), fit,
    ):  # fmt: skip
        return None
    variance, share = fit[2], fit[3]
    block = math.sqrt(variance * max(1.0 - share, _LEAST_BLOCK_SHARE))
    return Mosaicity(block_sigma(block), math.degrees(math.sqrt(variance * share / q2.mean())))


def diffraction_limit(reflections: Reflections, mosaicity: Mosaicity, beam: BeamSpread) -> float:
    """Return to which d a crystal diffracts in this shot, Angstrom; NaN where that cannot be told.

    Of the reflections that are at least half excited, I/sigma (10 at most) is brought into order by 1/d, and the least
    squares curve through it that never rises is taken (isotonic regression: no shells to choose). The limit lies where
    it falls below 1. Where it never does, it is the d of the outermost reflection: the crystal diffracts as far as
    anybody looked, or further. NaN for fewer than 20 such reflections, or where it is below 1 from the beginning.
    """
    sigma = np.hypot(mosaicity.sigma(reflections.inverse_d), beam.sigma(reflections.inverse_d))
    on = reflections.good & (np.abs(reflections.excitation_error) <= _HALF_EXCITED * sigma) & (reflections.sigma > 0)
    if np.count_nonzero(on) < _FEWEST:
        return math.nan
    inverse_d = reflections.inverse_d[on].astype(float)
    order = np.argsort(inverse_d, kind="stable")
    snr = np.minimum(reflections.intensity[on] / reflections.sigma[on], _MOST_SNR).astype(float)[order]
    _make_never_rising(snr)
    above = int(np.count_nonzero(snr >= LIMIT_SNR))
    if above == 0:
        return math.nan
    outermost = inverse_d[order[above - 1 : above + 1]]
    return float(1.0 / outermost.mean())


def warm_up() -> None:
    """Compile, so that the first crystal takes no longer than the rest."""
    ones = np.ones(4)
    _fit(ones, ones, ones, ones, ones, np.empty(4))
    _make_never_rising(np.ones(2))


@njit(nogil=True, cache=True)
def _fit(q2, error2, beam, intensity, sigma, fit):  # type: ignore[no-untyped-def]
    """Fit log scale, half the B factor, log variance of the nodes at mean 1/d² and the turns' share of it.

    `q2`, `error2`, `beam` ``(n,)``: squares of 1/d and excitation error, and the beam's variance, 1/Angstrom². Returns
    the variance, 1/Angstrom², and its share in `fit` ``(4,)``, and whether the fit came to an end.
    """
    middle, typical_beam = np.mean(q2), np.mean(beam)
    least, largest = math.log(_LEAST_VARIANCE), math.log(_LARGEST_VARIANCE)
    fit[0], fit[1], fit[3] = math.log(max(2.0 * np.mean(intensity), 1e-3)), 0.0, 0.5
    fit[2] = min(max(math.log(max(np.median(error2), 1e-30)), least), largest)
    normal, gradient, slope = np.empty((4, 4)), np.empty(4), np.ones(4)
    stride, last = 1.0, 0.0
    for _ in range(_MOST_STEPS):
        normal[:], gradient[:] = 0.0, 0.0
        at_mean = math.exp(fit[2])
        typical = at_mean + typical_beam
        for i in range(len(q2)):
            growth = q2[i] / middle
            node = at_mean * (1.0 + fit[3] * (growth - 1.0))
            variance = node + beam[i]
            mean = math.exp(fit[0] - fit[1] * q2[i] - error2[i] / (2.0 * variance)) * math.sqrt(typical / variance)
            by_variance = (error2[i] / variance - 1.0) / (2.0 * variance)
            slope[1] = -q2[i]
            slope[2] = by_variance * node + 0.5 * at_mean / typical
            slope[3] = by_variance * at_mean * (growth - 1.0)
            deviation = math.sqrt(mean * mean + sigma[i] * sigma[i])
            residual = min(max((intensity[i] - mean) / deviation, -_MOST_RESIDUAL), _MOST_RESIDUAL)
            weight = mean / deviation
            for j in range(4):
                gradient[j] += slope[j] * weight * residual
                for k in range(4):
                    normal[j, k] += slope[j] * weight * slope[k] * weight
        # B within a few hundred, and the share somewhere between 0 and 1: what is so before any reflection was seen
        normal[0, 0] += 1e-6
        normal[1, 1] += 1e-4
        normal[3, 3] += 1.0
        gradient[3] += 0.5 - fit[3]
        for j, lowest, highest in ((2, least, largest), (3, 0.0, 1.0)):
            if (fit[j] <= lowest and gradient[j] < 0.0) or (fit[j] >= highest and gradient[j] > 0.0):
                normal[j, :], normal[:, j], gradient[j] = 0.0, 0.0, 0.0
                normal[j, j] = 1.0
        step = np.linalg.solve(normal, gradient)
        if last * step[2] < 0.0:  # it goes to and fro
            stride *= 0.6
        last = step[2]
        if not np.isfinite(step).all():
            return False
        for j, most in enumerate((1.0, 20.0, 1.0, 0.3)):
            fit[j] += min(max(step[j], -most * stride), most * stride)
        fit[2], fit[3] = min(max(fit[2], least), largest), min(max(fit[3], 0.0), 1.0)
        if max(abs(step[2]), abs(step[3])) < _LEAST_STEP:
            break
    fit[2] = math.exp(fit[2])
    return max(abs(step[2]), abs(step[3])) < 10.0 * _LEAST_STEP


@njit(nogil=True, cache=True)
def _make_never_rising(values):  # type: ignore[no-untyped-def]
    """Replace values by the least squares curve that never rises: neighbours that rise are put together."""
    n = len(values)
    mean, count = np.empty(n), np.empty(n, np.int64)
    blocks = 0
    for i in range(n):
        mean[blocks], count[blocks] = values[i], 1
        blocks += 1
        while blocks > 1 and mean[blocks - 2] <= mean[blocks - 1]:
            both = count[blocks - 2] + count[blocks - 1]
            mean[blocks - 2] += (mean[blocks - 1] - mean[blocks - 2]) * count[blocks - 1] / both
            count[blocks - 2] = both
            blocks -= 1
    at = 0
    for block in range(blocks):
        for _ in range(count[block]):
            values[at] = mean[block]
            at += 1

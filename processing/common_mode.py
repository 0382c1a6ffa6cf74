"""The level that a whole panel rises and falls by from shot to shot: six ways to find it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing import common_mode_kernels as kernels
from braggwatch.processing.cspad_sensors import cspad_sensors
from braggwatch.processing.detector import Detector

Method = Literal["mean", "median", "mode", "gaussian", "chebyshev", "robust"]
_ROW_TERMS, _COLUMN_TERMS = 5, 10
"""Chebyshev polynomials along ss and along fs, as the older tools took them."""
_REACH_IN_NOISES = 12.0
"""How far from 0 ``robust`` looks, in noises, or 40 ADU if that is further."""


class CommonMode:
    """Finds the common mode of each panel, an ASIC of a CSPAD, in images from which the dark was subtracted.

    The first five methods are those of cctbx.xfel's ``common_mode_correction``, with its limits, taken panel by panel:

    - ``mean``: of the pixels below two standard deviations of their own noise;
    - ``median``: of all;
    - ``mode``: the middle of the fullest of 100 bins from -40 to 40 ADU;
    - ``gaussian``: the centre of a Gaussian fitted to these bins;
    - ``chebyshev``: the mean of all, and what varies smoothly along ss (5 polynomials), then along fs (10). The two
      ASICs of a CSPAD's sensor vary alike, and along ss both sensors of a detector that has two.

    All of them take light for common mode: a water ring across a panel lifts them. ``robust`` looks for the peak of the
    pixels without a photon, the lowest one in the histogram, and fits a Gaussian to its lower flank alone, to which
    photons add nothing. It needs photons that stand apart from the noise, and some pixels without one.

    A panel without enough pixels is left as it is.
    """

    def __init__(self, method: Method, detector: Detector, noise: NDArray[np.generic] | None = None) -> None:
        """`noise`: standard deviation of each pixel in the dark, ``(ss, fs)``, ADU; masked pixels are not looked at.

        Raises ValueError where a method is unknown or ``mean`` or ``robust`` has no noise, or one of another shape.
        """
        if method not in ("mean", "median", "mode", "gaussian", "chebyshev", "robust"):
            raise ValueError(f"common_mode must be mean, median, mode, gaussian, chebyshev or robust, found {method!r}")
        if noise is None and method in ("mean", "robust"):
            raise ValueError(
                f'common_mode = "{method}" needs noise: the standard deviation of each pixel in dark images'
            )
        if noise is not None and noise.shape != detector.shape:
            raise ValueError(f"the noise's shape is {noise.shape}, expected the image's {detector.shape}")
        self.method = method
        self._panels = np.array([(p.ss_start, p.ss_stop, p.fs_start, p.fs_stop) for p in detector.panels], np.int64)
        self._usable = ~detector.mask
        self._noise = np.ones(detector.shape, np.float32) if noise is None else noise.astype(np.float32)
        if noise is not None:
            self._usable &= np.isfinite(self._noise) & (self._noise > 0)
        n_ss, n_fs = (max(p.shape[axis] for p in detector.panels) for axis in (0, 1))
        self.along_ss = np.zeros((len(self._panels), n_ss), np.float32)
        """``(n_panels, ss)``, ADU: what was found in the last image; the common mode of a pixel is the sum of this and
        `along_fs`. Methods other than ``chebyshev`` find one number a panel."""
        self.along_fs = np.zeros((len(self._panels), n_fs), np.float32)
        """``(n_panels, fs)``, ADU."""
        self._alike_along_fs = cspad_sensors(detector)
        pairs = [sensor for sensor in self._alike_along_fs if len(sensor) == 2]
        is_2x2 = len(pairs) == 2 and len(self._panels) == 4
        self._alike_along_ss = ((*pairs[0], *pairs[1]),) if is_2x2 else self._alike_along_fs
        self._values = np.empty(n_ss * n_fs, np.float32)
        self._scale = np.array(
            [_median(self._noise[panel.slices][self._usable[panel.slices]]) for panel in detector.panels]
        )

    def find(self, image: NDArray[np.float32]) -> None:
        """Find the common mode of an image ``(ss, fs)`` less its dark, ADU, into `along_ss` and `along_fs`.

        NaN and infinities are not looked at.
        """
        self.along_ss[:] = 0
        self.along_fs[:] = 0
        if self.method == "chebyshev":
            self._fit_profiles(image)
            return
        for number in range(len(self._panels)):
            self.along_ss[number] = self._level(image, number)

    @property
    def levels(self) -> NDArray[np.float32]:
        """``(n_panels,)``, ADU: the mean of what was found on each panel."""
        sizes = self._panels[:, 1] - self._panels[:, 0], self._panels[:, 3] - self._panels[:, 2]
        ss = [row[:n].mean() for row, n in zip(self.along_ss, sizes[0], strict=True)]
        fs = [row[:n].mean() for row, n in zip(self.along_fs, sizes[1], strict=True)]
        return np.add(ss, fs).astype(np.float32)

    def _level(self, image: NDArray[np.float32], number: int) -> float:
        panel = self._panels[number]
        below = 2.0 if self.method == "mean" else np.inf
        n = kernels.gather(image, self._usable, self._noise, panel, below, self._values)
        values = self._values[:n]
        if n == 0:
            return 0.0
        if self.method == "mean":
            return float(values.mean(dtype=np.float64))
        if self.method == "median":
            return float(kernels.median(values))
        if self.method == "robust":
            return float(kernels.zero_peak(values, self._scale[number], kernels.REACH, _REACH_IN_NOISES))
        counts = kernels.histogram(values, -kernels.REACH, kernels.REACH, kernels.N_BINS)
        mode = float(kernels.mode_of(counts))
        if self.method == "mode":
            return mode
        centre = float(kernels.gaussian_centre(counts))
        return mode if not abs(centre - mode) <= 1000 else centre

    def _fit_profiles(self, image: NDArray[np.float32]) -> None:
        for alike in self._alike_along_ss:
            rows = np.full((len(alike), self._n(alike[0], 0)), np.nan)
            for number, means in zip(alike, rows, strict=True):
                panel, along_ss = self._panels[number], self.along_ss[number, : rows.shape[1]]
                along_ss[:] = kernels.panel_mean(image, self._usable, panel)
                kernels.row_means(image, self._usable, panel, along_ss, means)
            self._add(self.along_ss, alike, rows, _ROW_TERMS)
        for alike in self._alike_along_fs:
            columns = np.full((len(alike), self._n(alike[0], 1)), np.nan)
            for number, means in zip(alike, columns, strict=True):
                along_ss = self.along_ss[number, : self._n(number, 0)]
                kernels.column_means(image, self._usable, self._panels[number], along_ss, means)
            self._add(self.along_fs, alike, columns, _COLUMN_TERMS)

    def _n(self, number: int, axis: int) -> int:
        """Return how many pixels a panel has along ss (0) or fs (1)."""
        return int(self._panels[number, 2 * axis + 1] - self._panels[number, 2 * axis])

    def _add(self, to: NDArray[np.float32], alike: tuple[int, ...], means: NDArray[np.float64], terms: int) -> None:
        """Add the smooth part of the mean of some panels' `means` to each of them that has values."""
        profile = _smooth(_mean_of_known(means), terms)
        for number, own in zip(alike, means, strict=True):
            if np.isfinite(own).any():
                to[number, : profile.size] += profile


def _mean_of_known(means: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(means)
    n = known.sum(axis=0)
    return np.where(n > 0, np.where(known, means, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan)


def _smooth(means: NDArray[np.float64], terms: int) -> NDArray[np.float64]:
    """Fit Chebyshev polynomials to what is no NaN, the two ends left out; zero where there is too little to fit."""
    x = np.linspace(-1, 1, len(means))
    known = np.isfinite(means)
    known[[0, -1]] = False
    if known.sum() <= terms:
        return np.zeros(len(means))
    fit = np.polynomial.chebyshev.chebfit(x[known], means[known], terms - 1)
    return np.asarray(np.polynomial.chebyshev.chebval(x, fit))


def _median(values: NDArray[np.float32]) -> float:
    return float(np.median(values)) if values.size else 1.0

"""What blanks say of the calibration while the stream runs: whether the dark still fits, which pixels went bad."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing import common_mode_kernels as kernels
from braggwatch.processing.average_files import blank_detector
from braggwatch.processing.averaging import RunningMoments
from braggwatch.processing.bad_pixels import bad_pixels
from braggwatch.processing.detector import Detector

EVERY_S = 1.0
"""s between two blanks that are looked at: what they tell changes slowly."""
N_LEVELS = 30
"""Blanks from which the level of a panel is told."""
N_IMAGES = 100
"""Blanks from which bad pixels are told."""
_TOLERANCE = 1.0
"""A dark fits no more when blanks lie further from it than this many noises."""
_REACH_IN_NOISES = 300.0
"""How far off a dark may be to be noticed, in noises."""
_ROWS = 64
"""Rows of a panel that are judged at a time: their neighbours' noise is compared with theirs."""
_JUDGED_AT_ONCE = 140_000
"""Pixels after which a blank has judged enough, so that no frame waits longer than some 15 ms."""


class DarkDrift:
    """Follows where the pixels without a photon lie in blanks; in corrected images that is at 0 ADU."""

    def __init__(self, detector: Detector, noise: NDArray[np.float32]) -> None:
        """`detector` and its `noise`, ``(ss, fs)`` in ADU, are those of corrected images."""
        self._panels = np.array([(p.ss_start, p.ss_stop, p.fs_start, p.fs_stop) for p in detector.panels], np.int64)
        self._names = [panel.name for panel in detector.panels]
        self._usable = ~detector.mask & np.isfinite(noise) & (noise > 0)
        self._ones = np.ones(detector.shape, np.float32)
        usual = [noise[p.slices][self._usable[p.slices]] for p in detector.panels]
        self._scale = np.array([np.median(values) if values.size else np.nan for values in usual])
        self._values = np.empty(max(p.shape[0] * p.shape[1] for p in detector.panels), np.float32)
        self._levels = np.full((N_LEVELS, len(self._panels)), np.nan)
        self._n = 0
        self.look(np.zeros(detector.shape, np.float32))  # compile now rather than at the first blank
        self._n = 0

    def look(self, image: NDArray[np.float32], common_mode: NDArray[np.float32] | None = None) -> str | None:
        """Look at a corrected blank ``(ss, fs)``; return a sentence while the dark does not fit, else None.

        `common_mode`, ``(n_panels,)`` in ADU, is what was already taken away from it: it must be 0 on average.
        """
        row = self._levels[self._n % N_LEVELS]
        for number, panel in enumerate(self._panels):
            if np.isfinite(self._scale[number]):
                n = kernels.gather(image, self._usable, self._ones, panel, np.inf, self._values)
                row[number] = kernels.zero_peak(self._values[:n], self._scale[number], 0.0, _REACH_IN_NOISES)
        if common_mode is not None:
            row += common_mode
        self._n += 1
        if self._n < N_LEVELS or np.isnan(self._scale).all():
            return None
        drift = np.nanmean(self._levels, axis=0) / self._scale
        worst = int(np.nanargmax(np.abs(drift)))
        if abs(drift[worst]) <= _TOLERANCE:
            return None
        off = int(np.count_nonzero(np.abs(drift) > _TOLERANCE))
        return (
            f"the dark fits no more: blanks lie {drift[worst] * self._scale[worst]:+.1f} ADU from it on panel "
            f"{self._names[worst]}, whose noise is {self._scale[worst]:.1f} ADU, and by more than their noise on {off} "
            f"of {len(drift)} panels; take a new one with `braggwatch dark`"
        )


class BadPixelSearch:
    """Tells bad pixels from the moments of a hundred blanks, again and again."""

    def __init__(self, detector: Detector) -> None:
        """`detector` is that of corrected images."""
        self._detector = detector
        self._moments = RunningMoments(detector)
        RunningMoments(blank_detector((1, 1))).add_stack(np.zeros((1, 1, 1), np.float32))  # compile now
        self._judging: Iterator[NDArray[np.bool_] | None] | None = None

    def look(self, image: NDArray[np.float32]) -> NDArray[np.bool_] | None:
        """Take a corrected blank ``(ss, fs)``; return a mask ``(ss, fs)`` of the bad pixels when there is a new one.

        Pixels that the detector masks are not judged. Once there are enough blanks, each further one judges some rows.
        """
        if self._judging is None:
            self._moments.add_stack(np.ascontiguousarray(image, np.float32)[None])
            if self._moments.n_images < N_IMAGES:
                return None
            self._judging = self._judge()
        found = next(self._judging)
        if found is not None:
            self._moments = RunningMoments(self._detector)
            self._judging = None
        return found

    def _judge(self) -> Iterator[NDArray[np.bool_] | None]:
        mean, stddev = self._moments.mean, self._moments.stddev
        mean[self._detector.mask] = np.nan
        bad = np.zeros(mean.shape, np.bool_)
        judged = 0
        for panel in self._detector.panels:
            for top in range(panel.ss_start, panel.ss_stop, _ROWS):
                rows = np.s_[top : min(top + _ROWS, panel.ss_stop), panel.fs_start : panel.fs_stop]
                for mask in bad_pixels(mean[rows], stddev[rows]).values():
                    bad[rows] |= mask
                judged += bad[rows].size
                if judged >= _JUDGED_AT_ONCE:
                    judged = 0
                    yield None
        yield bad & ~self._detector.mask

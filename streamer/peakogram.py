"""Counts spots by resolution and strength: what shows saturation and the resolution limit at a glance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.streamer.messages import unpack_peaks
from braggwatch.streamer.picture_messages import Peakogram

SHAPE = (100, 100)
"""Bins along 1/d, and along the logarithm of the highest pixel."""
LOG10_MAX_VALUE = (0.0, 6.0)


class SpotCounts:
    """The spots of hits, counted in bins of 1/d and of the logarithm of their highest pixel."""

    def __init__(self, d_min: float) -> None:
        """`d_min`: resolution at the outermost pixel of the detector, Angstrom."""
        if not 0 < d_min < float("inf"):
            raise ValueError(f"the detector's best resolution must be positive and finite, found {d_min} Angstrom")
        self._inverse_d_max = 1.0 / d_min
        self._counts = np.zeros(SHAPE, np.uint32)
        self._n_peaks = 0
        self._n_shots = 0

    def add(self, shots: Sequence[bytes]) -> None:
        """Count the spots of shots, each as rows of `PEAK`.

        Spots of unknown resolution or strength are left out; those beyond the scale go to its end. Raises ValueError
        where a shot's spots are no whole rows.
        """
        for packed in shots:
            unpack_peaks(packed)
        peaks = unpack_peaks(b"".join(shots))
        self._n_peaks += _count(
            _plain(peaks["inverse_d"]), _plain(peaks["max_value"]), self._inverse_d_max, *LOG10_MAX_VALUE, self._counts
        )
        self._n_shots += len(shots)

    def message(self) -> Peakogram:
        """Return the counts so far."""
        return Peakogram(
            shape=SHAPE, counts=self._counts.astype("<u4", copy=False).tobytes(),
            inverse_d=(0.0, self._inverse_d_max), log10_max_value=LOG10_MAX_VALUE, n_peaks=self._n_peaks,
            n_shots=self._n_shots,
        )  # fmt: skip


def _plain(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)


@njit(nogil=True, cache=True)
def _count(inverse_d, max_value, inverse_d_max, log_min, log_max, counts):  # type: ignore[no-untyped-def]
    """Add spots to ``counts[1/d, log10 of max_value]``; return how many were counted."""
    n_d, n_log = counts.shape
    n = 0
    for i in range(inverse_d.size):
        d, value = inverse_d[i], max_value[i]
        if not (0.0 <= d < np.inf) or np.isnan(value):
            continue
        log = np.log10(value) if value > 0.0 else log_min
        along_d = min(d / inverse_d_max, 1.0) * n_d
        along_log = min(max((log - log_min) / (log_max - log_min), 0.0), 1.0) * n_log
        counts[min(int(along_d), n_d - 1), min(int(along_log), n_log - 1)] += 1
        n += 1
    return n

"""JUNGFRAU's raw numbers, which say in which of three gain stages they were taken, as keV."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.processing.array_files import load_array, load_stages
from braggwatch.processing.average_files import PEDESTALS, STDDEV
from braggwatch.processing.detector import Detector

STAGE_CODES = (0x0000, 0x4000, 0xC000)
"""What the two highest bits say: G0, G1, G2. The fourth code, 0x8000, does not exist."""
ADC = 0x3FFF
"""The fourteen bits of the measurement."""
SATURATED = 0xC000
"""G2 with an ADC of 0: no stage reaches further."""
ERROR = 0xFFFF
"""What receivers write for pixels that were not transferred."""
_TOGETHER = 64
"""Pixels that are looked at together: most often all of them are in G0, and corrected as vectors."""
_LISTED = 65536
"""Pixels of which those in other stages are listed before they are corrected: their part of all arrays is still in the
second cache."""


class JungfrauCalibration:
    """Subtracts the pedestal of the stage in which a pixel was read, and divides by that stage's gain.

    Pixels of the code that does not exist, and of 0xFFFF, become NaN. Saturated ones (0xC000) become the highest value
    that any pixel can have, which is the ``max_adu`` of the panels of `corrected`. It stands where `Calibration` would.
    """

    def __init__(
        self,
        detector: Detector,
        pedestals: NDArray[np.generic],
        gains: NDArray[np.generic],
        noise: NDArray[np.generic] | None = None,
    ) -> None:
        """`pedestals` in ADU and `gains` in ADU/keV are ``(3, ss, fs)``; those of G1 and G2 are negative.

        A pixel whose G0 has no finite pedestal, or no gain, is masked; without those of another stage it is NaN when it
        is in that stage. `noise` ``(ss, fs)`` in ADU of G0 masks the pixels where it is not positive. Raises ValueError
        for other shapes, and where no pixel is left.
        """
        shape = detector.shape
        for name, array in (("pedestals", pedestals), ("gains", gains)):
            if array.shape != (3, *shape):
                raise ValueError(f"the shape of the {name} is {array.shape}, expected {(3, *shape)}: (stage, ss, fs)")
        if noise is not None and noise.shape != shape:
            raise ValueError(f"the noise's shape is {noise.shape}, expected the image's {shape}")
        self._detector = detector
        self.common_mode = None
        """Nothing of the kind is taken away."""
        slopes = gains.astype(np.float64)
        with np.errstate(divide="ignore"):
            factors = np.where(slopes != 0, 1.0 / slopes, np.nan).astype(np.float32)
        stage_pedestals = np.array(pedestals, np.float32, order="C")
        self.mask = ~(np.isfinite(stage_pedestals[0]) & np.isfinite(factors[0]))
        """``(ss, fs)`` bool, True where a pixel must not be used."""
        self._noise = None
        if noise is not None:
            deviation = noise.astype(np.float32)
            self.mask |= ~((deviation > 0) & np.isfinite(deviation))
            self._noise = np.nan_to_num(deviation * np.abs(factors[0]), posinf=0.0)
        if self.mask.all():
            raise ValueError("pedestals, gains and noise leave no pixel")
        # in G2 the ADC falls as the charge rises
        reach = -stage_pedestals[2] * factors[2]
        reach = np.where(self.mask | ~np.isfinite(reach), -np.inf, reach)
        self._highest = np.float32(reach.max() if np.isfinite(reach).any() else np.finfo(np.float32).max)
        self._g0 = stage_pedestals[0].reshape(-1).copy(), factors[0].reshape(-1)
        # what one pixel needs lies together: the few that are in these stages cost a miss of the cache each
        others = [stage_pedestals[1], factors[1], stage_pedestals[2], factors[2]]
        self._others = np.stack(others, axis=-1).reshape(-1, 2, 2)
        self._listed = np.empty(_LISTED, np.int64)
        self._output = np.empty(shape, np.float32)

    @classmethod
    def load(
        cls, detector: Detector, pedestals: str | Path, gains: str | Path, noise: str | Path | None = None
    ) -> "JungfrauCalibration":
        """Read pedestals and gains as `load_stages` does, the noise as `load_array` does."""
        shape = detector.shape
        return cls(
            detector,
            load_stages(pedestals, shape, PEDESTALS),
            load_stages(gains, shape),
            None if noise is None else load_array(noise, shape, STDDEV),
        )

    @property
    def corrected(self) -> Detector:
        """The detector for corrected images: further pixels masked, bad values NaN already, saturation in keV."""
        panels = tuple(replace(panel, max_adu=float(self._highest)) for panel in self._detector.panels)
        return replace(self._detector.with_mask(self.mask).without_flags(), panels=panels, noise=self._noise)

    def mask_pixels(self, bad: NDArray[np.bool_]) -> None:
        """Make further pixels NaN in all images from now on; `bad` is ``(ss, fs)``."""
        if bad.shape != self.mask.shape:
            raise ValueError(f"the mask's shape is {bad.shape}, expected the image's {self.mask.shape}")
        self._g0[0][bad.reshape(-1)] = np.nan
        self._others[bad.reshape(-1)] = np.nan
        self.mask |= bad

    def __call__(self, image: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the image in keV, ``(ss, fs)`` float32; the next call overwrites it.

        Raises ValueError for another shape and for another type than uint16.
        """
        if image.shape != self.mask.shape:
            raise ValueError(f"the image's shape is {image.shape}, the pedestals' is {self.mask.shape}")
        if image.dtype.newbyteorder("=") != np.uint16:
            raise ValueError(f"expected JUNGFRAU's raw pixels as uint16, found {image.dtype}")
        native = np.ascontiguousarray(image, np.uint16)
        flat = self._output.reshape(-1)
        _convert(native.reshape(-1), *self._g0, self._others, self._highest, self._listed, flat)
        return self._output


@njit(nogil=True, cache=True)
def _convert(image, pedestals, factors, others, highest, listed, out):  # type: ignore[no-untyped-def]
    for part in range(0, image.size, listed.size):
        end = min(part + listed.size, image.size)
        n = 0
        for start in range(part, end, _TOGETHER):
            stop = min(start + _TOGETHER, end)
            raw, target = image[start:stop], out[start:stop]
            pedestal, factor = pedestals[start:stop], factors[start:stop]
            for i in range(raw.size):
                target[i] = (np.float32(raw[i]) - pedestal[i]) * factor[i]
            # The largest tells whether any is in another stage: an "or" of all would be one of 64 bits each, and slow.
            largest = raw[0]
            for i in range(raw.size):
                largest = max(largest, raw[i])
            if largest > ADC:
                for i in range(raw.size):  # no branch, which scattered pixels would make the processor guess wrong
                    listed[n] = start + i
                    n += raw[i] > ADC
        # One after the other they are fetched from memory several at a time, and do not hold up the vectors above.
        for k in range(n):
            i = listed[k]
            out[i] = _other_stage(image[i], others[i], highest)


@njit(nogil=True, cache=True)
def _other_stage(raw, stages, highest):  # type: ignore[no-untyped-def]
    stage = raw >> 14
    if stage == 2 or raw == ERROR:
        return np.float32(np.nan)
    if raw == SATURATED:
        return highest if stages[1, 0] == stages[1, 0] else np.float32(np.nan)
    which = 0 if stage == 1 else 1
    return (np.float32(raw & ADC) - stages[which, 0]) * stages[which, 1]

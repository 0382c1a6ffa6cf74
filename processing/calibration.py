"""From the numbers that a detector sends to corrected ones: dark, common mode, gain."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.processing.array_files import load_array
from braggwatch.processing.average_files import MEAN, STDDEV
from braggwatch.processing.common_mode import CommonMode, Method
from braggwatch.processing.detector import Detector


class Calibration:
    """Subtracts the dark and the common mode, multiplies by the gain, and says which pixels the noise rules out.

    The order is that of the older tools: dark, common mode, gain. A pixel that the detector says is saturated (its raw
    value reaches the panel's ``max_adu``) is given the largest value that any corrected pixel can have without being
    so, which is the ``max_adu`` in `corrected`: it stays saturated for whoever integrates it, and no other becomes so.
    """

    def __init__(
        self,
        detector: Detector,
        dark: NDArray[np.generic] | None = None,
        noise: NDArray[np.generic] | None = None,
        *,
        max_noise: float | None = None,
        gain: NDArray[np.generic] | None = None,
        gain_level: float | None = None,
        common_mode: Method | None = None,
    ) -> None:
        """`dark` and `noise` are mean and standard deviation of dark images, ADU, `gain` a factor; all ``(ss, fs)``.

        Pixels whose noise is 0, above `max_noise` or not finite are masked, and so are those of no finite dark and
        those whose gain is not positive. With `gain_level` the gain only says where: pixels of 0 are multiplied by it,
        all others by 1. Values that mean bad, and saturation, are those of `detector`, before anything is subtracted;
        of integers the largest is always one that means bad, and of signed ones the smallest. Raises ValueError where
        shapes differ, where numbers make no sense, and where no pixel is left.
        """
        shape = detector.shape
        for name, array in (("dark", dark), ("noise", noise), ("gain map", gain)):
            if array is not None and array.shape != shape:
                raise ValueError(f"the {name}'s shape is {array.shape}, expected the image's {shape}")
        for name, value, needs, what in (
            ("max_noise", max_noise, noise, "noise"),
            ("gain_level", gain_level, gain, "gain map"),
        ):
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, found {value}")
            if value is not None and needs is None:
                raise ValueError(f"{name} needs a {what}, found none")
        self._detector = detector
        self.dark = np.zeros(shape, np.float32) if dark is None else np.array(dark, np.float32, order="C")
        """``(ss, fs)`` float32, ADU; NaN where a pixel was masked while images came."""
        self.gain = None if gain is None else _factors(gain, gain_level)
        """``(ss, fs)`` float32, or None."""
        self.mask = ~np.isfinite(self.dark)
        """``(ss, fs)`` bool, True where a pixel must not be used."""
        if noise is not None:
            deviation = noise.astype(np.float64)
            self.mask |= ~((deviation > 0) & (deviation <= (max_noise or np.inf)) & np.isfinite(deviation))
        if self.gain is not None:
            self.mask |= ~(np.isfinite(self.gain) & (self.gain > 0))
        if self.mask.all():
            raise ValueError(
                "dark, noise and gain map leave no pixel: each one is without a finite dark, a positive noise below "
                "max_noise, or a positive gain"
            )
        self._noise = None if noise is None else np.nan_to_num(noise, posinf=0.0, neginf=0.0).astype(np.float32)
        if self._noise is not None and self.gain is not None:
            self._noise *= self.gain
        self.common_mode = None
        if common_mode is not None:
            self.common_mode = CommonMode(common_mode, detector.with_mask(self.mask), noise)
        self._panels = np.array([(p.ss_start, p.ss_stop, p.fs_start, p.fs_stop) for p in detector.panels], np.int64)
        self._saturated = np.array([p.max_adu for p in detector.panels], np.float64)
        self._saturated_as = np.float32(self._highest())
        self._output = np.full(shape, np.nan, np.float32)

    @classmethod
    def load(
        cls,
        detector: Detector,
        dark: str | Path | None = None,
        noise: str | Path | None = None,
        *,
        max_noise: float | None = None,
        gain: str | Path | None = None,
        gain_level: float | None = None,
        common_mode: Method | None = None,
    ) -> "Calibration":
        """Read `dark`, `noise` and `gain` as `load_array` does; of an average, its mean and its standard deviation."""
        shape, panels = detector.shape, [panel.slices for panel in detector.panels]
        return cls(
            detector,
            None if dark is None else load_array(dark, shape, MEAN, panels=panels),
            None if noise is None else load_array(noise, shape, STDDEV, panels=panels),
            max_noise=max_noise,
            gain=None if gain is None else load_array(gain, shape, panels=panels),
            gain_level=gain_level,
            common_mode=common_mode,
        )

    @property
    def corrected(self) -> Detector:
        """The detector for corrected images: more pixels masked, bad values NaN already, with saturation and noise."""
        saturated = float(self._saturated_as)
        panels = tuple(
            replace(panel, max_adu=saturated) if np.isfinite(panel.max_adu) else panel
            for panel in self._detector.panels
        )
        corrected = self._detector.with_mask(self.mask).without_flags()
        return replace(corrected, panels=panels, noise=self._noise)

    def mask_pixels(self, bad: NDArray[np.bool_]) -> None:
        """Make further pixels NaN in all images from now on; `bad` is ``(ss, fs)``."""
        if bad.shape != self.dark.shape:
            raise ValueError(f"the mask's shape is {bad.shape}, expected the image's {self.dark.shape}")
        self.dark[bad] = np.nan
        self.mask |= bad

    def __call__(self, image: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the corrected image, ``(ss, fs)`` float32, ADU; NaN where the value of `image` means bad.

        The array returned is the same each time: the next call overwrites it. Raises ValueError for another shape and
        for what is not an image of numbers.
        """
        if image.shape != self.dark.shape:
            raise ValueError(f"the image's shape is {image.shape}, the dark image's is {self.dark.shape}")
        if image.dtype.kind not in "iuf":
            raise ValueError(f"expected an image of integers or floats, found {image.dtype}")
        native = np.ascontiguousarray(image, image.dtype.newbyteorder("="))
        bad, low, high = self._bad_values(native.dtype), self._detector.flag_below, self._detector.flag_above
        gain = _NO_GAIN if self.gain is None or self.common_mode is not None else self.gain
        _correct(native, self.dark, gain, self._panels, bad, low, high, self._output)
        if self.common_mode is not None:
            self.common_mode.find(self._output)
            found = self.common_mode
            gain = _NO_GAIN if self.gain is None else self.gain
            _take_common_mode(self._output, self._panels, found.along_ss, found.along_fs, gain)
        if np.isfinite(self._saturated).any():
            limits = _limits(self._saturated, native.dtype)
            _mark_saturated(native, self._panels, limits, self._saturated_as, self._output)
        return self._output

    def _highest(self) -> float:
        """Return the highest corrected value that a pixel can have without being saturated, ADU."""
        highest = -np.inf
        for panel in self._detector.panels:
            if np.isfinite(panel.max_adu):
                values = panel.max_adu - self.dark[panel.slices].astype(np.float64)
                if self.gain is not None:
                    values *= self.gain[panel.slices]
                highest = max(highest, values[~self.mask[panel.slices]].max(initial=-np.inf))
        return float(highest)

    def _bad_values(self, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """Return the values that mean bad as an array of the image's dtype, those that it cannot hold left out."""
        flags = self._detector.flag_values
        if dtype.kind == "f":
            return np.array(flags, dtype)
        limits = np.iinfo(dtype.name)
        values = {limits.max, *([limits.min] if limits.min else [])}
        values |= {int(value) for value in flags if value == int(value) and limits.min <= value <= limits.max}
        return np.array(sorted(values), dtype)


_NO_GAIN = np.empty((0, 0), np.float32)


def _factors(gain: NDArray[np.generic], level: float | None) -> NDArray[np.float32]:
    factors = np.array(gain, np.float32, order="C")
    if level is not None:
        factors = np.where(factors == 0, np.float32(level), np.float32(1))
    return factors


def _limits(saturated: NDArray[np.float64], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Return the numbers at which panels are saturated in the image's own type, which is compared twice as fast.

    What an integer type cannot hold becomes its largest value, which means bad and is NaN before this is looked at.
    """
    if dtype.kind == "f" or dtype.itemsize == 8:
        return saturated
    limits = np.iinfo(dtype.name)
    return np.ceil(np.clip(saturated, limits.min, limits.max)).astype(dtype)


@njit(nogil=True, cache=True)
def _correct(image, dark, gain, panels, bad_values, low, high, out):  # type: ignore[no-untyped-def]
    """Write ``(image - dark) gain``, or NaN for `bad_values` and outside of `low` to `high`; images are ``(ss, fs)``.

    An empty `gain` is one of ones.
    """
    limited = low > -np.inf or high < np.inf
    for panel in range(len(panels)):
        left, right = panels[panel, 2], panels[panel, 3]
        for row in range(panels[panel, 0], panels[panel, 1]):
            source, subtrahend, target = image[row, left:right], dark[row, left:right], out[row, left:right]
            if gain.size:
                factor = gain[row, left:right]
                for i in range(len(source)):
                    target[i] = (np.float32(source[i]) - subtrahend[i]) * factor[i]
            else:
                for i in range(len(source)):
                    target[i] = np.float32(source[i]) - subtrahend[i]
            # one sweep a value, over a row still in cache: this vectorises, a test of all values a pixel does not
            for value in bad_values:
                for i in range(len(source)):
                    target[i] = np.nan if source[i] == value else target[i]
            if limited:
                for i in range(len(source)):
                    target[i] = target[i] if low <= source[i] <= high else np.nan


@njit(nogil=True, cache=True)
def _take_common_mode(image, panels, along_ss, along_fs, gain):  # type: ignore[no-untyped-def]
    """Subtract what each panel has in common, in place, and multiply by `gain` where it is not empty."""
    for panel in range(len(panels)):
        left, right = panels[panel, 2], panels[panel, 3]
        columns = along_fs[panel]
        for row in range(panels[panel, 0], panels[panel, 1]):
            target, level = image[row, left:right], along_ss[panel, row - panels[panel, 0]]
            for i in range(len(target)):
                target[i] -= level + columns[i]
            if gain.size:
                factor = gain[row, left:right]
                for i in range(len(target)):
                    target[i] *= factor[i]


@njit(nogil=True, cache=True)
def _mark_saturated(image, panels, saturated, value, out):  # type: ignore[no-untyped-def]
    """Write `value` where the raw value reaches its panel's number in `saturated` and means something."""
    for panel in range(len(panels)):
        limit = saturated[panel]
        left, right = panels[panel, 2], panels[panel, 3]
        for row in range(panels[panel, 0], panels[panel, 1]):
            source, target = image[row, left:right], out[row, left:right]
            highest = source[0]
            for i in range(len(source)):
                highest = source[i] if source[i] > highest else highest
            if highest < limit:  # not where the row begins with NaN
                continue
            for i in range(len(source)):
                # NaN stays NaN: what means bad, and what is masked, is above or below nothing
                target[i] = value if (source[i] >= limit) & (target[i] == target[i]) else target[i]

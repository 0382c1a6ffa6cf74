"""Bragg spots in one image, in the spirit of the older tools' finder: on planes under boxes of pixels."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from braggwatch.processing import box_peak_search as kernels
from braggwatch.processing.detector import Detector
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.pixel_values import ValidRange, plain_image
from braggwatch.processing.radial_bins import LEFT_OUT, Window, radial_bins


class BoxPeakFinder:
    """Finds spots in the manner of DISTL (Zhang et al., J. Appl. Cryst. 39, 112, 2006), the finder of ``mod_hitfind``.

    Each panel is cut into boxes, and a plane is fitted to the background of each, pixels that stand out left out.
    Touching pixels (corners too) that stand `minimum_signal_height` standard deviations above it are a spot if one of
    them stands `minimum_spot_height` above it, and if there are neither too few nor too many of them. docs/hit-rules.md
    says where it differs from DISTL.

    One finder serves one thread at a time: its work space is its own.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        minimum_signal_height: float = 2.5,
        minimum_spot_height: float = 3.5,
        minimum_spot_area: int = 3,
        spot_area_maximum_factor: float = 20.0,
        scanbox_window: int = 51,
        peripheral_margin: int = 1,
        minimum_value: float = -np.inf,
        min_radius: float | None = None,
        max_radius: float | None = None,
        d_min: float | None = None,
        d_max: float | None = None,
        max_peaks: int = 2048,
        panels: Sequence[int] | None = None,
    ) -> None:
        """Get ready for a detector.

        Heights are in standard deviations of the background, or of the pixel in the dark where the detector knows that
        and it is larger; areas and `scanbox_window`, the side of a box, in pixels. Within `peripheral_margin` pixels of
        a panel's edge no spot is looked for. The highest pixel of a spot is above `minimum_value`, ADU, background
        included. `min_radius`, `max_radius` (pixels from the beam) and `d_min`, `d_max`
        (Angstrom) bound the area searched, `panels` names those to search (all if None). The search ends after
        `max_peaks` spots. Raises ValueError for values that make no sense.
        """
        if not (0 < minimum_signal_height < np.inf and 0 < minimum_spot_height < np.inf):
            raise ValueError(
                "minimum_signal_height and minimum_spot_height must be positive, found "
                f"{minimum_signal_height} and {minimum_spot_height}"
            )
        if minimum_spot_area < 1 or not 1 <= spot_area_maximum_factor < np.inf:
            raise ValueError(
                "minimum_spot_area and spot_area_maximum_factor must be one or more, found "
                f"{minimum_spot_area} and {spot_area_maximum_factor}"
            )
        if scanbox_window < 10 or peripheral_margin < 0 or not 1 <= max_peaks <= 1_000_000:
            raise ValueError(
                "expected a scanbox_window of at least 10 pixels, a peripheral_margin of at least 0 and max_peaks from "
                f"1 to 1000000, found {scanbox_window}, {peripheral_margin} and {max_peaks}"
            )
        self.detector = detector
        self._numbers = tuple(range(len(detector.panels))) if panels is None else tuple(panels)
        if not set(self._numbers) <= set(range(len(detector.panels))):
            raise ValueError(f"there are panels 0 to {len(detector.panels) - 1}, found {list(self._numbers)}")
        self._usable: NDArray[np.bool_] = (
            radial_bins(detector, Window(min_radius, max_radius, d_min, d_max)) != LEFT_OUT
        )
        self._panels = np.array([(p.ss_start, p.ss_stop, p.fs_start, p.fs_stop) for p in detector.panels], np.int64)
        heights = minimum_signal_height, max(minimum_spot_height, minimum_signal_height)
        self._heights = np.float32(heights[0]), np.float32(heights[1])
        self._areas = int(minimum_spot_area), int(minimum_spot_area * spot_area_maximum_factor)
        self._minimum_value = float(minimum_value)
        self._margin = int(peripheral_margin)
        self._noise = np.empty((0, 0), np.float32) if detector.noise is None else detector.noise
        self._edges = [
            (_edges(panel.shape[0], scanbox_window), _edges(panel.shape[1], scanbox_window))
            for panel in detector.panels
        ]
        self._boxes = [np.zeros((len(rows) - 1, len(columns) - 1, 6)) for rows, columns in self._edges]
        shape = max(p.shape[0] for p in detector.panels), max(p.shape[1] for p in detector.panels)
        self._pixels = np.empty(shape, np.float32)
        self._threshold = np.empty(shape, np.float32)
        self._signal = np.empty(shape, np.uint8)
        # Memory that is never written costs nothing; only a spot as large as a panel would touch all of it.
        self._queue = np.empty((shape[0] * shape[1], 2), np.int32)
        self._found = np.empty((8, max_peaks), np.float32)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """``(ss, fs)``: pixels that are not masked and lie in the area searched, on any panel."""
        return self._usable

    @property
    def searches_all(self) -> bool:
        """Whether no panel is left out."""
        return len(self._numbers) == len(self.detector.panels)

    def warm_up(self, dtype: DTypeLike) -> None:
        """Compile for images of one type, so that the first real image takes no longer than the rest."""
        self(np.zeros(self.detector.shape, dtype))

    def __call__(self, image: NDArray[Any]) -> Peaks:
        """Return the spots of an image ``(ss, fs)``; types, and values that do not count, as for `PeakFinder`."""
        n = 0
        for number in self._fitted(image):
            rows, columns = self._edges[number]
            n = kernels.search(
                self._pixels, self._boxes[number], rows, columns, self._noise, self._panels[number], number,
                self._margin, *self._heights, *self._areas, self._minimum_value,
                self._threshold, self._signal, self._queue, self._found, n,
            )  # fmt: skip
            if n == self._found.shape[1]:
                break
        fs, ss, panel, intensity, mean, snr, n_pixels, max_value = self._found[:, :n].copy()
        return Peaks(fs, ss, panel.astype(np.int16), intensity, mean, snr, n_pixels.astype(np.int32), max_value)

    def threshold_map(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Return what each pixel of an image must exceed to be part of a spot, ``(ss, fs)`` float32, ADU.

        NaN where no spot can be: masked, outside the area searched, on other panels than those searched.
        """
        found = np.full(self.detector.shape, np.nan, np.float32)
        for number in self._fitted(image):
            panel, (rows, columns) = self._panels[number], self._edges[number]
            kernels.thresholds(
                self._boxes[number], rows, columns, self._heights[0], self._noise, panel, self._threshold
            )
            found[panel[0] : panel[1], panel[2] : panel[3]] = self._threshold[: rows[-1], : columns[-1]]
        found[~self._usable | ~np.isfinite(found)] = np.nan
        return found

    def _fitted(self, image: NDArray[Any]) -> Iterator[int]:
        """Yield the panels to search, one after the other; its pixels and its boxes' planes stand in the work space."""
        flat = plain_image(image, self.detector)
        valid = ValidRange.of(flat.dtype, self.detector)
        slab = flat.reshape(self.detector.shape)
        for number in self._numbers:
            panel, (rows, columns) = self._panels[number], self._edges[number]
            kernels.fill_panel(slab, self._usable, valid.low, valid.high, valid.flagged, panel, self._pixels)
            kernels.fit_boxes(self._pixels, rows, columns, self._heights[0], self._boxes[number])
            yield number


def central_panels(detector: Detector, n: int) -> tuple[int, ...]:
    """Return the numbers of the `n` panels whose middles lie nearest the beam, nearest first; of all if n is 0."""
    middle = np.array([[(p.fs_start + p.fs_stop) / 2, (p.ss_start + p.ss_stop) / 2] for p in detector.panels])
    position = detector.position(middle[:, 0], middle[:, 1], np.arange(len(middle)))
    order = np.argsort(np.hypot(position[:, 0], position[:, 1]), kind="stable")
    return tuple(int(number) for number in order[: n if n else None])


def _edges(size: int, window: int) -> NDArray[np.int64]:
    """Cut `size` pixels into boxes of nearly `window` pixels, all of one size within a pixel."""
    return np.linspace(0, size, max(round(size / window), 1) + 1).astype(np.int64)

"""Bragg spots in one image: peakfinder8, on the detector's own numbers."""

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from braggwatch.processing import peak_search
from braggwatch.processing.detector import Detector
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.pixel_values import ValidRange, plain_image
from braggwatch.processing.radial_background import RadialBackground
from braggwatch.processing.radial_bins import RingPixels, Window, radial_bins

SAMPLES_PER_RING = 128
"""Pixels that stand for a ring with sampled statistics."""

_NO_NOISE = np.empty((0, 0), np.float32)


class PeakFinder:
    """Finds spots as peakfinder8 does (Barty et al., J. Appl. Cryst. 47, 1118, 2014; Cheetah, OM, CrystFEL).

    Mean and standard deviation of the background are taken for each ring of pixels about the beam, outliers cut in five
    rounds. Touching pixels (corners too) above their ring's mean plus `min_snr` standard deviations, and above
    `threshold`, are one spot. It counts if it has `min_pixels` to `max_pixels` pixels, if its intensity above the local
    background is at least `min_snr` standard deviations of that background, and if no background pixel around it is
    higher. A spot lies on one panel, and so does its background; one that lies wholly in a panel's outermost row or
    column is not taken, since part of it is missing. Where the detector knows each pixel's noise, a spot's pixels also
    stand `min_snr` times that above their ring's mean: a noisy pixel is not taken for a spot.

    It differs from other programs' peakfinder8 in three places, where those lose good spots: a ring whose
    pixels all have one value keeps its statistics instead of losing them, a local background with no spread counts as a
    standard deviation of 0.01 ADU instead of refusing the spot, and the highest background pixel may be negative.

    One finder serves one thread at a time: its work space is its own.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        threshold: float = 5.0,
        min_snr: float = 5.0,
        min_pixels: int = 2,
        max_pixels: int = 200,
        local_bg_radius: int = 3,
        min_radius: float | None = None,
        max_radius: float | None = None,
        d_min: float | None = None,
        d_max: float | None = None,
        max_peaks: int = 2048,
        statistics: Literal["sampled", "exact"] = "sampled",
    ) -> None:
        """Get ready for a detector: everything that is the same for all images is computed here.

        `threshold` (ADU) is the least that a spot's pixel exceeds, whatever the statistics say. `local_bg_radius`
        (pixels): the local background is taken from a disc of twice this radius. `min_radius`, `max_radius` (pixels
        from the beam) and `d_min`, `d_max` (Angstrom) bound the area searched; None leaves a side open. The search ends
        after `max_peaks` spots. `statistics` are taken over all pixels of a ring (``exact``) or over about 128 of them
        (``sampled``, much faster). Raises ValueError for values that make no sense.
        """
        _check(threshold, min_snr, min_pixels, max_pixels, local_bg_radius, max_peaks, statistics)
        self.detector = detector
        self._bins = radial_bins(detector, Window(min_radius, max_radius, d_min, d_max))
        if statistics == "exact":
            pixels = RingPixels.every(detector, self._bins)
        else:
            pixels = RingPixels.sample(detector, self._bins, SAMPLES_PER_RING)
        self._background = RadialBackground(pixels, threshold=threshold, min_snr=min_snr)
        self._tiles = peak_search.Tiles.of(detector, self._bins)
        self._lowest = np.empty((self._tiles.n_levels, self._background.n_bins), np.float32)
        self._panels = np.array([(p.ss_start, p.ss_stop, p.fs_start, p.fs_stop) for p in detector.panels], np.int32)
        self._disc = peak_search.disc(2 * local_bg_radius)
        self._min_snr = float(min_snr)
        self._noise = _NO_NOISE if detector.noise is None else detector.noise
        self._sizes = (int(min_pixels), int(max_pixels))
        self._seen = np.zeros(detector.shape, np.uint8)
        self._stamp = 0
        # Memory that is never written costs nothing; only a spot as large as a panel would touch all of it.
        self._queue = np.empty((max(p.shape[0] * p.shape[1] for p in detector.panels), 2), np.int32)
        self._found = np.empty((8, max_peaks), np.float32)
        self._by_dtype: dict[str, tuple[ValidRange, NDArray[Any]]] = {}

    def warm_up(self, dtype: DTypeLike) -> None:
        """Compile for images of one type, so that the first real image takes no longer than the rest."""
        self(np.zeros(self.detector.shape, dtype))

    def __call__(self, image: NDArray[Any]) -> Peaks:
        """Return the spots of an image ``(ss, fs)``, or of more dimensions (see `Detector.as_slab`), in ADU.

        uint8, uint16, uint32, int16, int32 and float32 in C order are read as they are; float64, the other byte order
        and strided views are copied first. The largest integer of the image's type, the detector's flag values, NaN and
        infinities count as masked. Raises ValueError for another shape, TypeError for other types.
        """
        flat = plain_image(image, self.detector)
        valid, floors = self._prepared(flat.dtype)
        background, tiles = self._background, self._tiles
        background.update(flat, valid)
        peak_search.set_floors(background.cut, tiles.rings, self._lowest, valid.high, floors)
        n = peak_search.search(
            flat.reshape(self.detector.shape), self._bins, valid.low, valid.high, valid.flagged, valid.truth,
            tiles.strips, tiles.columns, floors, background.cut, background.mean, self._noise, self._panels, self._disc,
            self._min_snr, *self._sizes, self._seen, self._next_stamp(), self._queue, self._found,
        )  # fmt: skip
        fs, ss, panel, intensity, mean, snr, n_pixels, max_value = self._found[:, :n].copy()
        return Peaks(fs, ss, panel.astype(np.int16), intensity, mean, snr, n_pixels.astype(np.int32), max_value)

    def threshold_map(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Return what each pixel of an image must exceed to be part of a spot, ``(ss, fs)`` float32, ADU.

        NaN where no spot can be: masked, outside the area searched, or in a ring that has no pixel with a value.
        `image` as for a call.
        """
        flat = plain_image(image, self.detector)
        self._background.update(flat, self._prepared(flat.dtype)[0])
        threshold = self._background.cut[self._bins]
        if self._noise.size:
            mean = np.append(self._background.mean, np.float32(0))[np.minimum(self._bins, self._background.n_bins)]
            np.maximum(threshold, mean + np.float32(self._min_snr) * self._noise, out=threshold)
        threshold[~np.isfinite(threshold)] = np.nan
        return threshold

    def _prepared(self, dtype: np.dtype[Any]) -> tuple[ValidRange, NDArray[Any]]:
        """Return what depends on the image's type: the values that count, and work space for the tiles' floors."""
        prepared = self._by_dtype.get(dtype.name)
        if prepared is None:
            prepared = ValidRange.of(dtype, self.detector), np.empty(len(self._tiles.rings), dtype)
            self._by_dtype[dtype.name] = prepared
        return prepared

    def _next_stamp(self) -> np.uint8:
        """A new mark for pixels seen, so that the map of them need not be wiped for each image."""
        if self._stamp == 255:
            self._seen[:] = 0
            self._stamp = 0
        self._stamp += 1
        return np.uint8(self._stamp)


def _check(
    threshold: float,
    min_snr: float,
    min_pixels: int,
    max_pixels: int,
    local_bg_radius: int,
    max_peaks: int,
    statistics: str,
) -> None:
    if not 0 <= threshold < np.inf:
        raise ValueError(f"threshold must be zero or more ADU, found {threshold}")
    if not 0 < min_snr < np.inf:
        raise ValueError(f"min_snr must be positive, found {min_snr}")
    if not 1 <= min_pixels <= max_pixels:
        raise ValueError(f"expected 1 <= min_pixels <= max_pixels, found {min_pixels} and {max_pixels}")
    if not 1 <= local_bg_radius <= 100:
        raise ValueError(f"local_bg_radius must lie between 1 and 100 pixels, found {local_bg_radius}")
    if not 1 <= max_peaks <= 1_000_000:
        raise ValueError(f"max_peaks must lie between 1 and 1000000, found {max_peaks}")
    if statistics not in ("sampled", "exact"):
        raise ValueError(f'statistics must be "sampled" or "exact", found {statistics!r}')

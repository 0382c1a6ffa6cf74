"""Intensities at predicted places: summation with a local background, or a fit of profiles."""

import math
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.pixel_values import ValidRange, plain_image
from braggwatch.processing.polarisation import Polarisation
from braggwatch.processing.prediction import Predictions
from braggwatch.processing.profile_fitting import ProfileFitter
from braggwatch.processing.reflections import Flag, Reflections
from braggwatch.processing.spot_background import clip, gather_ring, level_at_spot
from braggwatch.processing.spot_pixels import has_value, span

_SATURATED, _MASKED, _OVERLAPPED, _EDGE, _NO_BACKGROUND = (int(flag) for flag in Flag)
_LARGEST_RADIUS = 50.0
_MOST_NEIGHBOURS = 32
_FEWEST_BACKGROUND = 4
"""Pixels that a background, and the plane through it, needs at least."""


class Integrator:
    """Measures spots at predicted places, as three-radius integration does (CrystFEL's ``rings``).

    Pixels whose centres lie within `inner` of the predicted place are the spot; those between `middle` and `outer` tell
    the background, unless they belong to another reflection's spot, are masked, or stand out. Their mean, or the plane
    fitted to them, is taken off under the spot. Spots are not corrected for partiality or Lorentz factor, nor for the
    beam's polarisation unless one is given.

    The variance is that of counting: every photon adds `gain` squared, every pixel `noise` squared, and the
    background's own uncertainty, which all pixels of the spot share, adds up once for each two of them. Photons are
    taken as the counted ones, one at least, or, where the sum above the background is negative, as the background's: a
    spot that happens to lack photons must not look better determined than it is.

    With the method ``profile``, unflagged spots are then fitted with the profile that the strong spots of the images
    before had there, once these were enough: see `ProfileFitter`. `Reflections.fitted` says which.

    One integrator serves one thread at a time: its work space is its own.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        inner: float = 4.0,
        middle: float = 5.0,
        outer: float = 7.0,
        background: Literal["mean", "plane"] = "mean",
        method: Literal["summation", "profile"] = "summation",
        gain: float = 1.0,
        noise: float = 0.0,
        polarisation: Polarisation | None = None,
    ) -> None:
        """Get ready for a detector, whose mask, flag values and saturation count.

        `inner`, `middle`, `outer`: radii in pixels. `gain`: ADU of one photon; `noise`: standard deviation of a pixel
        that got none, ADU. `polarisation`: intensities and their sigmas are divided by its factor. Raises ValueError
        for values that make no sense.
        """
        if not 0.5 <= inner <= middle < outer <= _LARGEST_RADIUS:
            raise ValueError(
                f"expected radii 0.5 <= inner <= middle < outer <= {_LARGEST_RADIUS:g} pixels, "
                f"found {inner:g}, {middle:g}, {outer:g}"
            )
        if background not in ("mean", "plane"):
            raise ValueError(f"the background is taken as 'mean' or as 'plane', found {background!r}")
        if method not in ("summation", "profile"):
            raise ValueError(f"intensities come by 'summation' or by 'profile', found {method!r}")
        if not (0 < gain < math.inf and 0 <= noise < math.inf):
            raise ValueError(f"gain must be positive and noise not negative, found {gain:g} and {noise:g} ADU")
        self.detector = detector
        self._radii = float(inner), float(middle), float(outer)
        self._plane = background == "plane"
        self._counting = float(gain), float(noise) ** 2
        self._bounds = np.array([(p.ss_start, p.ss_stop, p.fs_start, p.fs_stop) for p in detector.panels], np.int64)
        self._full = np.array([p.max_adu for p in detector.panels])
        self._ring = np.empty((3, (2 * math.ceil(outer) + 2) ** 2))
        self._profiles = ProfileFitter(detector, radius=inner, gain=gain, noise=noise) if method == "profile" else None
        self._polarisation = polarisation

    def warm_up(self, dtype: DTypeLike) -> None:
        """Compile for images of one type, so that the first real image takes no longer than the rest."""
        self(np.zeros(self.detector.shape, dtype), _NO_PREDICTIONS)

    def __call__(self, image: NDArray[Any], predictions: Predictions) -> Reflections:
        """Return the intensities at predicted places of an image ``(ss, fs)``, types as for `PeakFinder`.

        Places on the image of which nothing could be measured come with NaN and a flag. Raises ValueError for another
        shape and for a place on no panel, TypeError for other types.
        """
        flat = plain_image(image, self.detector)
        n = len(predictions)
        panel = np.ascontiguousarray(predictions.panel, np.int64)
        if n and not 0 <= panel.min() <= panel.max() < len(self._bounds):
            raise ValueError(f"expected panels from 0 to {len(self._bounds) - 1}, found {panel.min()} to {panel.max()}")
        place = np.ascontiguousarray(np.stack([predictions.fs, predictions.ss], axis=1), np.float64)
        if not np.isfinite(place).all():
            raise ValueError("a predicted place is no number")
        measured = np.empty((5, n))
        flags = np.zeros(n, np.uint8)
        valid = ValidRange.of(flat.dtype, self.detector)
        pixels = flat.reshape(self.detector.shape)
        _integrate(
            pixels, self.detector.mask, valid.low, valid.high, valid.flagged, place, panel,
            np.argsort(place[:, 1], kind="stable"), self._bounds, self._full, *self._radii, self._plane,
            *self._counting, self._ring, measured, flags,
        )  # fmt: skip
        fitted = np.zeros(n, np.bool_)
        if self._profiles is not None:
            fitted = self._profiles(pixels, valid, place, panel, measured, flags)
        if self._polarisation is not None:
            measured[:2] /= self._polarisation.factor(self.detector.position(place[:, 0], place[:, 1], panel))
        intensity, sigma, background, peak, _ = measured.astype(np.float32)
        return Reflections(
            hkl=predictions.hkl, fs=predictions.fs, ss=predictions.ss, panel=predictions.panel,
            intensity=intensity, sigma=sigma, background=background, peak=peak, flags=flags,
            excitation_error=predictions.excitation_error, partiality=predictions.partiality,
            inverse_d=predictions.inverse_d, fitted=fitted,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def _integrate(  # type: ignore[no-untyped-def]
    image, mask, low, high, flagged, place, panel, by_row, bounds, full, inner, middle, outer, plane, gain, variance,
    ring, out, flags,
):  # fmt: skip
    """Integrate at each `place` ``(n, 2)`` (fs, ss) on its `panel`; `by_row` ``(n,)`` are the places in order of ss.

    `bounds` ``(n_panels, 4)``: first and last + 1 row, then column. `ring` ``(3, m)``: room for the values and places
    of background pixels. Writes intensity, sigma, background, peak, and the background's variance in units of one
    pixel's, into `out` ``(5, n)`` and adds bits to `flags`.
    """
    ring_area = math.pi * (outer * outer - middle * middle)
    others = np.empty((_MOST_NEIGHBOURS, 2))
    for rank in range(len(place)):
        i = by_row[rank]
        box = bounds[panel[i]]
        n_others, nearest = _find_neighbours(place, panel, by_row, rank, inner + outer, others)
        if nearest < 2.0 * inner:
            flags[i] |= _OVERLAPPED
        fs, ss = place[i]
        if not (box[0] <= ss - inner and ss + inner <= box[1] and box[2] <= fs - inner and fs + inner <= box[3]):
            flags[i] |= _EDGE
        n, total, top, masked = _sum_spot(image, mask, low, high, flagged, fs, ss, box, inner)
        if masked:
            flags[i] |= _MASKED
        if top >= full[panel[i]]:
            flags[i] |= _SATURATED
        m = gather_ring(
            image, mask, low, high, flagged, fs, ss, box, middle, outer, others[:n_others], inner, ring
        )  # fmt: skip
        m = clip(ring, m, gain, variance)
        if m < 0.5 * ring_area:
            flags[i] |= _NO_BACKGROUND
        if n == 0 or m < _FEWEST_BACKGROUND:
            out[:, i] = np.nan
            continue
        level, share = level_at_spot(ring, m, plane)
        under = level * n
        signal = total - under
        counted = max(total if signal > 0.0 else under, gain)  # none counted does not mean that none ever comes
        background = gain * max(level, 0.0) + variance
        out[0, i] = signal
        out[1, i] = math.sqrt(gain * counted + n * variance + n * n * share * background)
        out[2, i] = level
        out[3, i] = top
        out[4, i] = share


@njit(nogil=True, cache=True)
def _find_neighbours(place, panel, by_row, rank, reach, others):  # type: ignore[no-untyped-def]
    """Write the places on the same panel within `reach`, as many as there is room for.

    Returns their number and the distance of the nearest.
    """
    i = by_row[rank]
    n, nearest = 0, np.inf
    for direction in (-1, 1):
        at = rank + direction
        while 0 <= at < len(by_row) and abs(place[by_row[at], 1] - place[i, 1]) < reach:
            j = by_row[at]
            at += direction
            distance = math.hypot(place[j, 0] - place[i, 0], place[j, 1] - place[i, 1])
            if panel[j] == panel[i] and distance < reach:
                nearest = min(nearest, distance)
                if n < len(others):
                    others[n] = place[j]
                    n += 1
    return n, nearest


@njit(nogil=True, cache=True)
def _sum_spot(image, mask, low, high, flagged, fs, ss, box, radius):  # type: ignore[no-untyped-def]
    """Return how many pixels the spot has, their sum, the highest one, and whether some have no value."""
    n, total, top, masked = 0, 0.0, -np.inf, False
    first_row, last_row = span(ss, radius, box[0], box[1])
    first_column, last_column = span(fs, radius, box[2], box[3])
    for row in range(first_row, last_row):
        y2 = (row + 0.5 - ss) ** 2
        for column in range(first_column, last_column):
            if y2 + (column + 0.5 - fs) ** 2 > radius * radius:
                continue
            value = image[row, column]
            if mask[row, column] or not has_value(value, low, high, flagged):
                masked = True
                continue
            n += 1
            total += value
            top = max(top, float(value))
    return n, total, top, masked


_NO_PREDICTIONS = Predictions(
    hkl=np.empty((0, 3), np.int32), fs=np.empty(0, np.float32), ss=np.empty(0, np.float32),
    panel=np.empty(0, np.int16), excitation_error=np.empty(0, np.float32), partiality=np.empty(0, np.float32),
    inverse_d=np.empty(0, np.float32),
)  # fmt: skip

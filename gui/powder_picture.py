"""From a powder as it travels to the picture of the detector, with its rings."""

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.image_assembly import Assembly
from braggwatch.gui.image_rings import Ring, resolution_rings
from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.streamer.picture_messages import Powder

F32 = NDArray[np.float32]

MAX_PLACES = 2**24
"""More pixels in a powder are not believed."""
_LZ4_AT_BEST = 255
"""LZ4 never makes more bytes than this of one."""


def unpacked_pixels(packed: bytes, shape: tuple[int, int]) -> F32:
    """Return the pixels ``shape`` of a powder; raises ValueError before any memory is taken where sizes do not fit."""
    n_rows, n_columns = shape
    if not (n_rows > 0 and n_columns > 0 and n_rows * n_columns <= MAX_PLACES):
        raise ValueError(f"{n_rows} × {n_columns} pixels, expected at least one each way and at most {MAX_PLACES}")
    if len(packed) * _LZ4_AT_BEST < 4 * n_rows * n_columns:
        raise ValueError(f"{n_rows} × {n_columns} float32 cannot be packed into {len(packed)} bytes")
    pixels = np.empty(shape, np.float32)
    decompress(packed, Encoding("bslz4", "hdf5"), shape, "float32", pixels)
    return pixels


def unpacked_profile(powder: Powder) -> tuple[F32, F32]:
    """Return q (1/Angstrom) and the profile, ``(n,)`` each, those bins that have a value; raises ValueError."""
    if len(powder.q) != len(powder.profile) or len(powder.q) % 4 or len(powder.q) > 4 * 2**16:
        raise ValueError(
            f"a radial profile has as many float32 as its q, at most {2**16}; found {len(powder.q)} bytes of q and "
            f"{len(powder.profile)} of profile"
        )
    q, profile = np.frombuffer(powder.q, "<f4"), np.frombuffer(powder.profile, "<f4")
    known = np.isfinite(q) & np.isfinite(profile) & (q > 0) & (q < 100)
    q, profile = q[known], profile[known]
    order = np.argsort(q, kind="stable")
    return q[order], profile[order]


class PowderLayout:
    """Lays a powder's pixels out as the detector's panels lie."""

    def __init__(self, detector: Detector, binning: int, shape: tuple[int, int]) -> None:
        """Raise ValueError where a powder of this binning and shape is not of this detector."""
        if binning < 1 or any(
            abs(n * binning - whole) >= binning for n, whole in zip(shape, detector.shape, strict=True)
        ):
            raise ValueError(
                f"{shape[0]} × {shape[1]} pixels, binned {binning} × {binning}, are not those of the detector's "
                f"{detector.shape[0]} × {detector.shape[1]}"
            )
        self._shape = shape
        assembly = Assembly(detector)
        self._lookup: NDArray[np.int64] | None = None
        if assembly.lookup is not None:
            middle = min(binning // 2, *(n - 1 for n in assembly.lookup.shape))
            seen = assembly.lookup[middle::binning, middle::binning].astype(np.int64)
            row, column = np.divmod(seen, detector.shape[1])
            row, column = np.minimum(row // binning, shape[0] - 1), np.minimum(column // binning, shape[1] - 1)
            self._lookup = np.where(seen < 0, -1, row * shape[1] + column)
        self.rings = tuple(Ring(ring.d, ring.points / binning) for ring in resolution_rings(assembly))

    def picture(self, pixels: F32) -> F32:
        """Return the picture of binned pixels, ``(rows, columns)``, NaN where there is nothing."""
        if self._lookup is None:
            return pixels
        picture = pixels.ravel()[self._lookup]
        picture[self._lookup < 0] = np.nan
        return picture

    def gaps(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return where a picture of this shape shows no panel."""
        return np.zeros(shape, bool) if self._lookup is None else self._lookup < 0


def levels_of(picture: F32) -> tuple[float, float]:
    """Return what is drawn at both ends of the colours: percentiles of the pixels that are numbers.

    Where most are 0, the upper one is a percentile of those above 0.
    """
    known = picture[np.isfinite(picture)]
    known = known[:: max(1, len(known) // 100_000)]
    if not len(known):
        return 0.0, 1.0
    low, high = (float(level) for level in np.percentile(known, (1.0, 99.7)))
    above = known[known > 0]
    if not high > low and len(above):
        low, high = min(low, 0.0), float(np.percentile(above, 95.0))
    return (low, high) if high > low else (low, low + 1.0)

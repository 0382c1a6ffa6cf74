"""Which numeric types images may have, and which of their values mean that a pixel knows nothing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from braggwatch.processing.detector import Detector

IMAGE_DTYPES = ("uint8", "uint16", "uint32", "int16", "int32", "float32")
"""Images of these types are worked on as they are, in the machine's byte order."""


@dataclass(frozen=True, eq=False)
class ValidRange:
    """The values of one image type that count as measured; everything in the image's own type."""

    low: Any
    """Lowest value that counts."""
    high: Any
    """Highest value that counts: one below the largest integer, which detectors write for pixels that know nothing."""
    flagged: NDArray[Any]
    """``(n,)``: values in between that the detector's description sets aside."""
    truth: NDArray[Any]
    """``(0,)``: unsigned integers as wide as a pixel, the type in which kernels keep answers about pixels."""

    @classmethod
    def of(cls, dtype: DTypeLike, detector: Detector) -> "ValidRange":
        """Return the range for images of one type on a detector. NaN and infinities never count."""
        kind = np.dtype(dtype)
        low: Any
        high: Any
        if kind.kind == "f":
            largest = float(np.finfo(np.float32).max)
            low = np.float32(max(detector.flag_below, -largest))
            high = np.float32(min(detector.flag_above, largest))
        else:
            limits = np.iinfo(kind)
            bottom = _into(detector.flag_below, limits.min, limits.max, math.ceil)
            top = _into(detector.flag_above, limits.min, limits.max - 1, math.floor)
            # Flags at the ends of the range, as DECTRIS has them, cost nothing as part of its bounds.
            while top in detector.flag_values and top > bottom:
                top -= 1
            while bottom in detector.flag_values and bottom < top:
                bottom += 1
            low, high = kind.type(bottom), kind.type(top)
        between = [flag for flag in detector.flag_values if low <= flag <= high]
        flagged = np.array([flag for flag in between if kind.kind == "f" or flag == int(flag)]).astype(kind)
        flagged.flags.writeable = False
        return cls(low, high, flagged, np.empty(0, f"u{kind.itemsize}"))


def _into(value: float, low: int, high: int, whole: Callable[[float], int]) -> int:
    return low if value <= low else high if value >= high else whole(value)


def plain_image(image: NDArray[Any], detector: Detector) -> NDArray[Any]:
    """Return an image as one row of pixels in C order, native byte order and a type of `IMAGE_DTYPES`, read-only.

    Nothing is copied where the image is so already; a view of strides, the other byte order and float64 are copied.
    Raises ValueError where the shape is not the detector's, TypeError for other types.
    """
    image = np.asarray(image)
    dtype = image.dtype.newbyteorder("=")
    if dtype == np.float64:
        dtype = np.dtype(np.float32)
    if dtype.name not in IMAGE_DTYPES:
        raise TypeError(
            f"the image's type is {image.dtype}, expected one of {', '.join(IMAGE_DTYPES)} or float64: "
            "convert it with image.astype(...)"
        )
    with np.errstate(over="ignore"):
        flat = np.ascontiguousarray(detector.as_slab(image), dtype=dtype).reshape(-1)
    # Kernels are compiled once for read-only and once for writable arrays: hand them one kind only.
    flat = flat.view()
    flat.flags.writeable = False
    return flat

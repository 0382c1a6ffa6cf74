"""What travels from the detector to a worker: a series, and its still compressed frames."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray


class Encoding(msgspec.Struct, frozen=True):
    """How a frame's pixels were packed."""

    algorithm: str = "none"
    """``none``, ``bslz4`` (bitshuffle, then LZ4), ``bszstd`` or ``lz4``."""
    framing: str = "hdf5"
    """How the blocks are framed; ignored for ``none``.

    ``hdf5``: as the HDF5 filter of that name stores a chunk (12 bytes of header: total and block size; then each block
    behind its length). ``headerless``: the same without the 12 bytes. ``zero_header``: 12 bytes that say nothing.
    ``bare``: one LZ4 block.
    """


class Series(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What is true for every frame of one run, as the detector said it; None where it said nothing."""

    key: str
    """Tells this run from every other that this processor sees, also where a restarted detector counts from 1 again."""
    number: int
    """The detector's own number of the series."""
    name: str = ""
    """The detector's unique id of the series, if it sends one."""
    n_frames: int | None = None
    """How many frames were ordered."""
    shape: tuple[int, int] | None = None
    """``(ss, fs)``."""
    dtype: str | None = None
    """numpy's name, such as ``uint16``."""
    photon_energy: float | None = None
    """eV."""
    distance: float | None = None
    """Sample to detector, m."""
    beam_center: tuple[float, float] | None = None
    """``(fs, ss)``, pixels from the outer corner of the first pixel."""
    pixel_size: tuple[float, float] | None = None
    """``(fs, ss)``, m."""
    saturation_value: float | None = None
    """A pixel at or above this value is saturated."""
    error_value: int | None = None
    """A pixel of exactly this value was not measured."""
    frame_time: float | None = None
    """s."""
    count_time: float | None = None
    """s."""
    sensor_material: str | None = None
    sensor_thickness: float | None = None
    """m."""
    detector: str = ""
    """The detector's description."""
    serial_number: str = ""
    mask: NDArray[Any] | None = None
    """``(ss, fs)`` bool, True where a pixel must not be used."""
    joined_late: bool = False
    """The start message was never seen: the reader joined in mid-series."""


class Frame(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One exposure, its pixels still packed."""

    series: str
    """`Series.key`."""
    number: int
    """Frame number within the series, from 0."""
    payload: Any
    """The packed pixels: bytes or any buffer."""
    shape: tuple[int, int]
    """``(ss, fs)``."""
    dtype: str
    """numpy's name, little-endian unless it says otherwise, such as ``uint16`` or ``>u2``."""
    encoding: Encoding
    timestamp: float | None = None
    """When the exposure started, s since 1970 (or since the series started, where the detector says no more)."""
    values: dict[str, float | int | str] = {}
    """Per-shot values such as pulse energy (J) or laser state, by name."""


class SeriesEnd(msgspec.Struct, frozen=True):
    """The detector said that a series is over."""

    series: str


class Refused(msgspec.Struct, frozen=True):
    """A message that could not be understood or was not safe to accept."""

    reason: str
    """What was wrong, what was expected and what was found, in one line."""
    kind: str
    """A short stable name of the reason, to log once a kind and to count."""
    series: str | None = None
    number: int | None = None
    """Series and frame number, where they could be read."""


Event = Series | Frame | SeriesEnd | Refused
"""What a source says."""


def image_nbytes(shape: tuple[int, int], dtype: str) -> int:
    """Return how many bytes the unpacked pixels take."""
    return shape[0] * shape[1] * np.dtype(dtype).itemsize

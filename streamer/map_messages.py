"""What viewers ask of the archive about the pixels: dark, noise, gain and mask by which images are corrected."""

import msgspec

from braggwatch.processing.frame import Encoding
from braggwatch.processing.pixel_maps import MapKind

MAP_ENCODING = Encoding("bslz4", "hdf5")
"""How the pixels of a `Map` are packed."""


class MapWanted(msgspec.Struct, frozen=True, tag="map"):
    """Give me a map of the pixels by the settings in force, for the detector of a run."""

    series: str
    """`Series.key`."""
    kind: MapKind
    stage: int = 0
    """Of a JUNGFRAU's pedestals and gains."""


class Map(msgspec.Struct, frozen=True, kw_only=True, tag="map"):
    """One number for each pixel, or why there is none."""

    series: str
    kind: MapKind
    stage: int = 0
    n_stages: int = 1
    """How many gain stages there is such a map of."""
    shape: tuple[int, int] = (0, 0)
    """``(ss, fs)``."""
    dtype: str = "float32"
    """``uint8`` for a mask, whose bits are those of `processing.pixel_maps`."""
    unit: str = ""
    source: str = ""
    """The file, as the processor's settings name it; empty where there are several."""
    payload: bytes = b""
    """Packed as `MAP_ENCODING` says; the answer's second part on the wire. Empty where there is none."""
    problem: str = ""
    """Why there is none, as a sentence."""

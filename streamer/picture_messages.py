"""What the feed says besides numbers: where the pixels are, shots with their pixels, pictures made of many shots."""

import zlib
from typing import Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.processing.panel import Panel
from braggwatch.streamer.messages import Result

Vector = tuple[float, float, float]
MAX_PIXELS = 2**28
"""A detector of more pixels is not believed."""
FARTHEST = 1e4
"""Nor one that is farther away, m."""


class PanelPlace(msgspec.Struct, frozen=True, array_like=True):
    """A panel: `processing.panel.Panel`, as it travels."""

    name: str
    fs_start: int
    fs_stop: int
    ss_start: int
    ss_stop: int
    corner: Vector
    fs: Vector
    ss: Vector
    max_adu: float

    def check(self) -> None:
        """Raise ValueError for a panel that is nowhere a detector can be: at the sample, or beyond `FARTHEST`."""
        n_fs, n_ss = self.fs_stop - self.fs_start, self.ss_stop - self.ss_start
        for i, j in ((0, 0), (0, n_ss), (n_fs, 0), (n_fs, n_ss)):
            place = [c + i * fs + j * ss for c, fs, ss in zip(self.corner, self.fs, self.ss, strict=True)]
            if not 1e-9 < max(map(abs, place)) <= FARTHEST:
                raise ValueError(f"panel {self.name} has a corner {place} m from the sample; is the distance known?")


class Geometry(msgspec.Struct, frozen=True, kw_only=True):
    """Where the pixels of the present run are, and which are masked."""

    series: str
    """`Series.key`."""
    run: int
    """The detector's number of the series."""
    alike: tuple[str, ...] = ()
    """Earlier series (`Series.key`) of which all this is true too, as far as they are known."""
    shape: tuple[int, int]
    panels: tuple[PanelPlace, ...]
    photon_energy: float | None
    """eV."""
    mask: bytes
    """One bit a pixel, 1 where it must not be used, packed with zlib."""
    flag_values: tuple[float, ...] = ()
    """Pixels of these values are bad."""
    flag_below: float = float("-inf")
    """So are those below this value, ADU."""
    flag_above: float = float("inf")
    """And those above this one, ADU."""

    @classmethod
    def of(cls, series: str, run: int, detector: Detector) -> Self:
        """Pack a detector."""
        return cls(
            series=series, run=run, shape=detector.shape,
            panels=tuple(
                PanelPlace(
                    p.name, p.fs_start, p.fs_stop, p.ss_start, p.ss_stop, _vector(p.corner), _vector(p.fs),
                    _vector(p.ss), float(p.max_adu),
                )
                for p in detector.panels
            ),
            photon_energy=None if detector.beam is None else detector.beam.photon_energy,
            mask=zlib.compress(np.packbits(detector.mask).tobytes(), 1),
            flag_values=tuple(float(value) for value in detector.flag_values),
            flag_below=float(detector.flag_below),
            flag_above=float(detector.flag_above),
        )  # fmt: skip

    def detector(self) -> Detector:
        """Unpack it; raises ValueError where the message makes no sense."""
        if not 0 < self.shape[0] * self.shape[1] <= MAX_PIXELS or min(self.shape) < 1:
            raise ValueError(f"a detector of {self.shape[0]} × {self.shape[1]} pixels")
        for place in self.panels:
            place.check()
        return Detector(
            tuple(Panel(*msgspec.structs.astuple(place)) for place in self.panels),
            self.shape,
            None if self.photon_energy is None else Beam(self.photon_energy),
            self._unpacked_mask(),
            self.flag_values,
            self.flag_below,
            self.flag_above,
        )

    def _unpacked_mask(self) -> NDArray[np.bool_]:
        n_pixels = self.shape[0] * self.shape[1]
        n_bytes = (n_pixels + 7) // 8
        unpacker = zlib.decompressobj()
        try:
            bits = unpacker.decompress(self.mask, n_bytes)
        except zlib.error as error:
            raise ValueError(f"the mask cannot be unpacked: {error}") from None
        if len(bits) != n_bytes:
            raise ValueError(f"a mask of {n_pixels} pixels takes {n_bytes} bytes, found {len(bits)}")
        return np.unpackbits(np.frombuffer(bits, np.uint8), count=n_pixels).reshape(self.shape).astype(bool)


class SettingsInForce(msgspec.Struct, frozen=True, kw_only=True):
    """The complete settings by which shots are judged now."""

    version: int
    """Rises with every change."""
    time: float
    """Since when they are in force, s since 1970."""
    text: str
    """TOML."""


ImageKind = Literal["blank", "hit", "indexed"]


class ShotImage(msgspec.Struct, frozen=True, kw_only=True):
    """One shot: what was found, and its pixels as the detector packed them.

    On the wire the payload is a fourth part, so that it is never copied; here it is put into its place.
    """

    kind: ImageKind
    result: Result
    time: float
    """When its result came, s since 1970."""
    shape: tuple[int, int]
    """``(ss, fs)``."""
    dtype: str
    encoding: Encoding
    payload: bytes = b""
    """For `processing.decompression.decompress`; empty where the pixels are not to be had."""


class Peakogram(msgspec.Struct, frozen=True, kw_only=True):
    """How many spots of all hits were how strong at which resolution."""

    shape: tuple[int, int]
    """Bins along 1/d, and along the logarithm of the highest pixel."""
    counts: bytes
    """uint32, little-endian, in C order."""
    inverse_d: tuple[float, float]
    """From and to, 1/Angstrom."""
    log10_max_value: tuple[float, float]
    """From and to, log10 of ADU."""
    n_peaks: int
    n_shots: int


PowderKind = Literal["hits", "all", "spots"]


class Powder(msgspec.Struct, frozen=True, kw_only=True):
    """Many shots in one picture, binned for display."""

    kind: PowderKind
    """Pixels of hits, pixels of all frames (each of a sample, see `n_shots`), or only the spots of every hit."""
    n_shots: int
    """How many shots were added up."""
    of: int
    """How many there were."""
    binning: int
    """Pixels of the image array along each side of one of these."""
    shape: tuple[int, int]
    sum: bytes
    """float32, packed with bitshuffle and LZ4 as an HDF5 chunk: ADU a detector's pixel (the mean of a block's pixels)
    over all `n_shots`; for spots the intensity of those in the whole block. NaN where masked."""
    maximum: bytes
    """Likewise; empty for spots."""
    q: bytes = b""
    """float32: middle of each bin of the radial profile, 1/Angstrom."""
    profile: bytes = b""
    """float32: mean of the pixels in each bin and shot, ADU."""


def _vector(values: Vector) -> Vector:
    x, y, z = values
    return float(x), float(y), float(z)

"""All that takes long to work out of a shot or a map before it is shown; it runs in a thread of its own. Free of Qt."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.image_assembly import DATA, GAP, Assembly
from braggwatch.gui.image_levels import Levels
from braggwatch.gui.image_picture import PackedPixels, Picture, PictureMaker, check_shape, checked_dtype
from braggwatch.gui.image_rings import Ring, beam_centre, resolution_rings
from braggwatch.gui.image_spots import Spots, predicted_points, spots_of
from braggwatch.gui.mask_sources import categories, counted
from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.processing.pixel_values import ValidRange
from braggwatch.streamer.map_messages import MAP_ENCODING, Map
from braggwatch.streamer.picture_messages import SettingsInForce, ShotImage

_NO_MEMORY = "there is not enough memory for the picture"


@dataclass(frozen=True, eq=False)
class PreparedShot:
    """A shot, ready to be shown."""

    shot: ShotImage
    assembly: Assembly
    geometry_known: bool
    picture: Picture | None
    spots: Spots
    rings: tuple[Ring, ...]
    centre: tuple[float, float] | None
    problem: str
    """Why there is no picture, or why something is missing from it."""


@dataclass(frozen=True, eq=False)
class PreparedMap:
    """A map of the pixels, ready to be shown."""

    found: Map
    assembly: Assembly
    geometry_known: bool
    picture: Picture | None
    masked_by: tuple[int, ...]
    """How many pixels each of `mask_sources.SOURCES` masks; empty for other maps."""
    problem: str


@dataclass(frozen=True)
class _Packed:
    """Pixels as `PictureMaker` takes them."""

    shape: tuple[int, int]
    dtype: str
    encoding: Encoding
    payload: bytes


class Preparation:
    """Belongs to the thread that unpacks."""

    def __init__(self) -> None:
        self._maker = PictureMaker()
        self._made_for: tuple[Detector | None, tuple[int, int]] = (None, (0, 0))
        self._assembly = Assembly(_array_only((1, 1), None))
        self._overlays: tuple[tuple[Ring, ...], tuple[float, float] | None] = ((), None)
        self._geometry_known = False

    def shot(
        self, shot: ShotImage, detector: Detector | None, settings: SettingsInForce | None, predict: bool
    ) -> PreparedShot:
        """Unpack, assemble and bin a shot, and find the places of what was found in it."""
        picture, spots, problem = None, Spots(), ""
        try:
            self._lay_out(shot, detector)
            spots = spots_of(shot.result, self._assembly)
            if shot.payload:
                picture = _ready(self._maker.make(shot, self._assembly))
            if predict:
                spots = replace(spots, predicted=predicted_points(shot.result, self._assembly, settings))
        except (ValueError, OverflowError) as error:
            problem = str(error)
        except MemoryError:
            problem = _NO_MEMORY
        return PreparedShot(shot, self._assembly, self._geometry_known, picture, spots, *self._overlays, problem)

    def map(self, found: Map, detector: Detector | None) -> PreparedMap:
        """Unpack, assemble and bin a map of the pixels."""
        picture, problem = None, found.problem
        masked_by: tuple[int, ...] = ()
        try:
            if not problem:
                pixels = _Packed(found.shape, found.dtype, MAP_ENCODING, found.payload)
                self._lay_out(pixels, detector)
                if found.kind == "mask":
                    picture, masked_by = self._mask(pixels)
                else:
                    flagless = self._assembly.detector.without_flags()
                    picture = _ready(PictureMaker().make(pixels, self._assembly, flags_of=flagless))
        except (ValueError, OverflowError) as error:
            problem = str(error)
        except MemoryError:
            problem = _NO_MEMORY
        return PreparedMap(found, self._assembly, self._geometry_known, picture, masked_by, problem)

    def beyond(self, pixels: PackedPixels, detector: Detector, limit: float, *, below: bool) -> NDArray[np.bool_]:
        """Return ``(ss, fs)`` bool: which pixels are below a limit, or above it; none of a value that means bad.

        Raises ValueError where the pixels are not what they should be, MemoryError.
        """
        dtype = checked_dtype(pixels, detector.shape)
        values = np.empty(pixels.shape, dtype)
        decompress(pixels.payload, pixels.encoding, pixels.shape, pixels.dtype, values)
        valid = ValidRange.of(dtype, detector)
        chosen = values < limit if below else values > limit
        chosen &= (values >= valid.low) & (values <= valid.high)
        for flag in valid.flagged:
            chosen &= values != flag
        return np.asarray(chosen)

    def _mask(self, pixels: _Packed) -> tuple[Picture, tuple[int, ...]]:
        dtype = checked_dtype(pixels, self._assembly.detector.shape)
        bits = np.empty(pixels.shape, dtype)
        decompress(pixels.payload, pixels.encoding, pixels.shape, pixels.dtype, bits)
        shown = replace(pixels, encoding=Encoding(), payload=categories(bits).tobytes())
        # All pixels count here, so that masked ones are seen from afar as well.
        states = np.where(self._assembly.states == GAP, np.uint8(GAP), np.uint8(DATA))
        flagless = self._assembly.detector.without_flags()
        return _ready(PictureMaker().make(shown, self._assembly, flags_of=flagless, states=states)), counted(bits)

    def _lay_out(self, pixels: PackedPixels, detector: Detector | None) -> None:
        shape = pixels.shape
        if self._made_for == (detector, shape):
            return
        check_shape(pixels)
        self._geometry_known = detector is not None and detector.shape == shape
        self._assembly = Assembly(
            detector if detector is not None and self._geometry_known else _array_only(shape, detector)
        )
        self._overlays = (
            (resolution_rings(self._assembly), beam_centre(self._assembly)) if self._geometry_known else ((), None)
        )
        self._made_for = detector, shape


def map_pixels(found: Map) -> PackedPixels:
    """Return a map's pixels as those of a shot."""
    return _Packed(found.shape, found.dtype, MAP_ENCODING, found.payload)


def _ready(picture: Picture) -> Picture:
    """Have the kernel compiled here, once a type of pixels, and not while the window waits for it."""
    picture.draw(0.0, 0.0, 1.0, 1.0, 1.0, Levels(0.0, 1.0), "linear")
    return picture


def _array_only(shape: tuple[int, int], other: Detector | None) -> Detector:
    """Return a detector for images of a shape for which there is no geometry: nothing of it but its shape is true."""
    flags: tuple[Any, ...] = () if other is None else other.flag_values
    return Detector.single_panel(shape, pixel_size=1e-4, distance=1.0, beam_center=(0.0, 0.0), flag_values=flags)

"""One shot's pixels, ready to be drawn at any zoom."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.image_assembly import DATA, Assembly
from braggwatch.gui.image_levels import Histogram, Levels, Scale, axis_for, shade_table
from braggwatch.gui.image_pixels import assemble, bin_by_two, count_values, draw
from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, image_nbytes
from braggwatch.processing.pixel_values import IMAGE_DTYPES, ValidRange
from braggwatch.streamer.picture_messages import MAX_PIXELS

_SMALLEST = 64
"""Pictures are binned until neither side is longer than this, pixels."""
_LARGEST_RATIO = 300
"""LZ4 packs 255 bytes into one at best; memory is not taken for what so few bytes cannot hold."""
_COARSER = 1.25
"""How much larger than the screen's pixels those of a level may be: it keeps the work at 2.6 of them a pixel."""
_COUNTED = 60_000
"""About how many pixels of each level its histogram is made of."""


class PackedPixels(Protocol):
    """What a `ShotImage` has of an image."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(ss, fs)``."""

    @property
    def dtype(self) -> str:
        """numpy's name."""

    @property
    def encoding(self) -> Encoding:
        """How the pixels were packed."""

    @property
    def payload(self) -> bytes:
        """The packed pixels."""


@dataclass(frozen=True, eq=False)
class Level:
    """The picture, binned; the pixels that count are those of `image_pixels`."""

    values: NDArray[Any]
    """``(rows, columns)`` of the detector's dtype."""
    states: NDArray[np.uint8]
    """``(rows, columns)``."""
    low: Any
    high: Any
    flagged: NDArray[Any]
    histogram: Histogram


@dataclass(frozen=True, eq=False)
class Drawing:
    """A part of the picture as it goes on the screen."""

    colours: NDArray[np.uint8]
    """``(rows, columns)``: entries of a table of 256 colours (`image_pixels`)."""
    rectangle: tuple[float, float, float, float]
    """Left, top, width and height of its place in the picture, pixels."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A shot's assembled pixels and smaller versions of them; in picture coordinates (`Assembly`)."""

    assembly: Assembly
    levels: tuple[Level, ...]
    """Each binned 2 x 2 from the one before; the first is the detector's own pixels."""

    def level_for(self, size: float) -> int:
        """Return the level to draw where one of the screen's pixels covers `size` of ours."""
        return level_for(size, len(self.levels))

    def draw(
        self, left: float, top: float, right: float, bottom: float, size: float, shades: Levels, scale: Scale,
        masked: bool = True,
    ) -> Drawing | None:  # fmt: skip
        """Draw what lies between four sides in picture coordinates, for a screen whose pixels cover `size` of ours.

        Every pixel reaches the screen: where several share a place, the highest value wins. Places are multiples of
        their size from the picture's corner, so that nothing flickers while the picture is moved. `masked`: whether
        pixels that do not count take a colour of their own. None where nothing of the picture is in there.
        """
        index = self.level_for(size)
        level = self.levels[index]
        part = seen_part(left, top, right, bottom, size, 2**index, level.values.shape)
        if part is None:
            return None
        colours = np.empty(part.screen, np.uint8)
        table, black, factor = shade_table(shades, scale)
        draw(
            level.values[part.slices], level.states[part.slices], level.low, level.high, level.flagged, part.columns,
            part.rows, table, black, factor, masked, colours,
        )  # fmt: skip
        return Drawing(colours, part.rectangle)

    def value_at(self, x: float, y: float) -> Any:
        """Return the pixel's value at a place that `Assembly.locate` finds, as a Python number."""
        return self.levels[0].values[int(y), int(x)].item()

    def counts_at(self, x: float, y: float) -> bool:
        """Return whether the pixel there counts: it is neither masked nor of a value that means bad."""
        level = self.levels[0]
        value = level.values[int(y), int(x)]
        state = level.states[int(y), int(x)]
        return bool(state == DATA and level.low <= value <= level.high and value not in level.flagged)


@dataclass(frozen=True, eq=False)
class SeenPart:
    """The part of a binned picture that is seen, and where its bins fall on the screen."""

    slices: tuple[slice, slice]
    """Rows and columns of the binned picture."""
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    """On which place of the screen each of them falls, from 0."""
    screen: tuple[int, int]
    """How many places there are, rows and columns."""
    rectangle: tuple[float, float, float, float]
    """As that of a `Drawing`."""


def level_for(size: float, n_levels: int) -> int:
    """Return which of so many levels to draw where one of the screen's pixels covers `size` of the picture's.

    The level's pixels are at most a quarter larger than the screen's.
    """
    return min(max(math.floor(math.log2(max(size * _COARSER, 1.0)) + 1e-9), 0), n_levels - 1)


def seen_part(
    left: float, top: float, right: float, bottom: float, size: float, binning: int, shape: tuple[int, int]
) -> SeenPart | None:
    """Return what lies between four sides, of a picture binned to a shape; None where nothing does."""
    first_column, end_column = _span(left, right, binning, shape[1])
    first_row, end_row = _span(top, bottom, binning, shape[0])
    if first_column >= end_column or first_row >= end_row:
        return None
    place = max(size, float(binning))
    columns, x = _places(first_column, end_column, binning, place)
    rows, y = _places(first_row, end_row, binning, place)
    n_rows, n_columns = int(rows[-1]) + 1, int(columns[-1]) + 1
    part = np.s_[first_row:end_row, first_column:end_column]
    return SeenPart(part, rows, columns, (n_rows, n_columns), (x, y, n_columns * place, n_rows * place))


def _span(begin: float, end: float, binning: int, n: int) -> tuple[int, int]:
    return max(math.floor(begin / binning), 0), min(math.ceil(end / binning), n)


def _places(first: int, end: int, binning: int, size: float) -> tuple[NDArray[np.int64], float]:
    """Return for each bin which place on the screen its centre falls on, from 0, and where the first place begins."""
    places = np.floor((np.arange(first, end) + 0.5) * (binning / size)).astype(np.int64)
    return places - places[0], float(places[0] * size)


class PictureMaker:
    """Makes pictures in memory that is used again: a picture stays good until two more have been made."""

    def __init__(self) -> None:
        self._memory: list[dict[str, NDArray[Any]]] = [{}, {}]
        self._between: dict[str, NDArray[Any]] = {}
        self._size: tuple[object, ...] = ()

    def make(
        self,
        shot: PackedPixels,
        assembly: Assembly,
        *,
        flags_of: Detector | None = None,
        states: NDArray[np.uint8] | None = None,
    ) -> Picture:
        """Unpack, assemble and bin a shot's pixels, or those of a map.

        Which values mean bad, `flags_of` says, or else the assembly's detector; what is masked, `states`, or else the
        assembly. Raises ValueError, with a sentence, where the pixels are not what the shot says or not the detector's.
        """
        dtype = checked_dtype(shot, assembly.detector.shape)
        self._forget_other_sizes((assembly.shape, shot.shape, dtype.name))
        memory = self._memory[0]
        assembled = assembly.lookup is not None
        # where it is only on the way to the assembled picture, one array of the detector's pixels is enough
        image = _taken(self._between if assembled else memory, "image", shot.shape, dtype)
        decompress(shot.payload, shot.encoding, shot.shape, shot.dtype, image)
        values = image
        if assembled:
            values = _taken(memory, "assembled", assembly.shape, dtype)
            assemble(image.reshape(-1), assembly.lookup, values)
        valid = ValidRange.of(dtype, flags_of or assembly.detector)
        levels = [_level(values, assembly.states if states is None else states, valid.low, valid.high, valid.flagged)]
        lowest, highest = _limits(dtype)
        none = np.empty(0, dtype)
        while max(levels[-1].values.shape) > _SMALLEST:
            above = levels[-1]
            shape = (above.values.shape[0] + 1) // 2, (above.values.shape[1] + 1) // 2
            binned = _taken(memory, f"level {len(levels)}", shape, dtype)
            states = _taken(memory, f"states {len(levels)}", shape, np.dtype(np.uint8))
            bin_by_two(above.values, above.states, above.low, above.high, above.flagged, binned, states)
            levels.append(_level(binned, states, lowest, highest, none))
        self._memory.reverse()
        return Picture(assembly, tuple(levels))

    def _forget_other_sizes(self, size: tuple[object, ...]) -> None:
        if size != self._size:
            self._size, self._memory, self._between = size, [{}, {}], {}


def check_shape(shot: PackedPixels) -> None:
    """Raise ValueError, with a sentence, where a shot has no pixels or more than any detector."""
    if min(shot.shape) < 1 or shot.shape[0] * shot.shape[1] > MAX_PIXELS:
        raise ValueError(f"an image of {shot.shape[0]} × {shot.shape[1]} pixels cannot be shown")


def checked_dtype(shot: PackedPixels, shape: tuple[int, int]) -> np.dtype[Any]:
    """Return the type of a shot's pixels in the machine's byte order, before memory is taken for them.

    Raises ValueError, with a sentence, where they cannot be what the shot says, or are not of the detector's `shape`.
    """
    try:
        dtype = np.dtype(shot.dtype).newbyteorder("=")
    except (TypeError, ValueError, SyntaxError):
        dtype = np.dtype(object)
    if dtype.name not in IMAGE_DTYPES:
        raise ValueError(f"pixels of type {shot.dtype[:40]!r} cannot be shown, expected {', '.join(IMAGE_DTYPES)}")
    check_shape(shot)
    if tuple(shot.shape) != shape:
        raise ValueError(
            f"the image has {shot.shape[0]} × {shot.shape[1]} pixels, the geometry {shape[0]} × {shape[1]} (ss × fs)"
        )
    expected = image_nbytes(shot.shape, shot.dtype)
    if shot.encoding.algorithm == "none" and len(shot.payload) != expected:
        raise ValueError(f"the image takes {expected} bytes, {len(shot.payload)} have come")
    if shot.encoding.algorithm != "bszstd" and len(shot.payload) * _LARGEST_RATIO < expected:
        raise ValueError(f"the image takes {expected} bytes, which {len(shot.payload)} packed ones cannot hold")
    return dtype


def _taken(memory: dict[str, NDArray[Any]], what: str, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    if what not in memory:
        memory[what] = np.empty(shape, dtype)
    return memory[what]


def _level(values: NDArray[Any], states: NDArray[np.uint8], low: Any, high: Any, flagged: NDArray[Any]) -> Level:
    axis = axis_for(_are_whole(values))
    counts = np.zeros(len(axis.values), np.int64)
    # a step that shares no factor with the length of a row, so that all columns are counted
    step = max(values.size // _COUNTED, 1)
    while math.gcd(step, values.shape[1]) > 1:
        step += 1
    count_values(values, states, low, high, flagged, step, axis.scale, axis.start, axis.width, axis.bin_of, counts)
    return Level(values, states, low, high, flagged, Histogram(counts, axis))


def _are_whole(values: NDArray[Any]) -> bool:
    """Return whether all pixels are whole numbers, by a look at some thousands; detectors send such as floats too."""
    if values.dtype.kind != "f":
        return True
    some = values.reshape(-1)[:: max(values.size // 5000, 1)]
    some = some[np.isfinite(some)]
    return bool(len(some)) and bool((some == np.rint(some)).all())


def _limits(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    if dtype.kind == "f":
        return dtype.type(-np.inf), dtype.type(np.inf)
    return dtype.type(np.iinfo(dtype).min), dtype.type(np.iinfo(dtype).max)

"""A shot's pixels, assembled, binned and drawn."""

from typing import Any

import msgspec
import numpy as np
import pytest
from messages_by_hand import detector as plain_detector
from messages_by_hand import result, shot_image
from numpy.typing import NDArray
from test_image_assembly import two_panels

from braggwatch.gui.image_assembly import Assembly
from braggwatch.gui.image_levels import Levels, axis_for, from_axis, shade_table, to_axis
from braggwatch.gui.image_picture import Picture, PictureMaker
from braggwatch.gui.image_pixels import FIRST_COLOUR, GAP_COLOUR, LAST_COLOUR, MASKED_COLOUR
from braggwatch.gui.image_spots import spots_of
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.streamer.messages import PEAK, Result
from braggwatch.streamer.picture_messages import ShotImage

LINEAR = Levels(0.0, 253.0)
"""By which a value v takes colour 2 + v."""


def shot_of(image: NDArray[Any], **changes: Any) -> ShotImage:
    values: dict[str, Any] = {
        "kind": "hit", "result": result(1), "time": 1.0, "shape": image.shape, "dtype": image.dtype.name,
        "encoding": Encoding("none"), "payload": image.tobytes(),
    }  # fmt: skip
    return ShotImage(**(values | changes))


def one_panel(shape: tuple[int, int], **options: Any) -> Detector:
    return Detector.single_panel(shape, pixel_size=1e-4, distance=0.1, beam_center=(0.0, 0.0), **options)


def picture_of(image: NDArray[Any], detector: Detector | None = None) -> Picture:
    return PictureMaker().make(shot_of(image), Assembly(detector or one_panel(image.shape)))


def drawn(picture: Picture, size: float = 1.0, masked: bool = True) -> NDArray[np.uint8]:
    n_rows, n_columns = picture.assembly.shape
    drawing = picture.draw(0.0, 0.0, n_columns, n_rows, size, LINEAR, "linear", masked)
    assert drawing is not None
    return drawing.colours


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32", "float32"])
def test_each_type_of_pixels_is_drawn_by_its_values(dtype: str) -> None:
    image = np.arange(12, dtype=dtype).reshape(3, 4)
    assert np.array_equal(drawn(picture_of(image)), FIRST_COLOUR + image.astype(int))


def test_pixels_of_the_other_byte_order_are_drawn_alike() -> None:
    image = np.arange(12, dtype=">u2").reshape(3, 4)
    shot = shot_of(image, dtype=">u2")
    picture = PictureMaker().make(shot, Assembly(one_panel((3, 4))))
    assert np.array_equal(drawn(picture), FIRST_COLOUR + image.astype(int))


def test_the_value_under_a_point_is_the_arrays_on_every_pixel_of_every_panel() -> None:
    detector = two_panels(second_turned=True)
    image = np.arange(48, dtype=np.uint16).reshape(8, 6)
    picture = picture_of(image, detector)
    for ss in range(8):
        for fs in range(6):
            ((x, y),) = picture.assembly.to_picture([fs + 0.5], [ss + 0.5])
            place = picture.assembly.locate(float(x), float(y))
            assert place is not None and (int(place.fs), int(place.ss)) == (fs, ss)
            assert picture.value_at(float(x), float(y)) == image[ss, fs]


def test_spots_are_drawn_on_the_pixels_that_they_are() -> None:
    detector = two_panels(second_turned=True)
    image = np.zeros((8, 6), np.uint16)
    places = [(0, 0), (5, 3), (0, 4), (5, 7)]
    peaks = np.zeros(4, PEAK)
    for row, (fs, ss) in zip(peaks, places, strict=True):
        image[ss, fs] = 200
        row["fs"], row["ss"] = fs + 0.5, ss + 0.5
    picture = picture_of(image, detector)
    points = spots_of(replace_peaks(peaks), picture.assembly).found
    assert len(points) == 4
    for x, y in points:
        assert picture.value_at(x, y) == 200


def replace_peaks(peaks: NDArray[Any]) -> Result:
    return msgspec.structs.replace(result(1), peaks=peaks.tobytes())


def test_spots_are_told_apart_by_the_lattice_that_explains_them_and_those_nowhere_are_left_out() -> None:
    peaks = np.zeros(5, PEAK)
    peaks["fs"], peaks["ss"] = [1, 2, 3, np.nan, 999], 1
    peaks["lattice"] = [0, 1, 2, 0, 0]
    spots = spots_of(replace_peaks(peaks), Assembly(plain_detector()))
    assert spots.found.tolist() == [[1, 1]] and spots.indexed.tolist() == [[2, 1]]
    assert spots.further.tolist() == [[3, 1]]


def test_a_single_bright_pixel_is_seen_at_every_zoom() -> None:
    image = np.zeros((301, 257), np.uint16)
    image[300, 256] = image[0, 0] = image[123, 200] = 250
    picture = picture_of(image)
    for size in np.geomspace(1.0, 40.0, 23):
        colours = drawn(picture, float(size))
        assert (colours == FIRST_COLOUR + 250).sum() >= min(3, colours.size)
        assert colours[0, 0] == colours[-1, -1] == FIRST_COLOUR + 250


def test_binned_pictures_hold_the_highest_value_that_counts() -> None:
    random = np.random.default_rng(1)
    image = random.integers(0, 250, (70, 131)).astype(np.uint16)
    image[random.random(image.shape) < 0.3] = 65535
    mask = random.random(image.shape) < 0.2
    picture = picture_of(image, one_panel(image.shape, mask=mask, flag_values=(65535.0,)))
    counting = np.where(mask | (image == 65535), -1, image.astype(int))
    padded = np.full((70, 132), -1)
    padded[:, :131] = counting
    expected = padded.reshape(35, 2, 66, 2).max(axis=(1, 3))
    level = picture.levels[1]
    assert np.array_equal(np.where(level.states == 0, level.values.astype(int), -1), expected)


def test_masked_and_flagged_pixels_take_their_own_colour_or_their_values_as_wished() -> None:
    image = np.array([[5, 65535, 7], [8, 9, 65534]], np.uint16)
    mask = np.array([[1, 0, 0], [0, 0, 0]], bool)
    picture = picture_of(image, one_panel((2, 3), mask=mask, flag_values=(65534.0,)))
    hidden, shown = drawn(picture), drawn(picture, masked=False)
    assert hidden.tolist() == [[MASKED_COLOUR, MASKED_COLOUR, 9], [10, 11, MASKED_COLOUR]]
    assert shown.tolist() == [[7, LAST_COLOUR, 9], [10, 11, LAST_COLOUR]]


def test_pixels_that_are_no_numbers_are_masked_and_saturated_ones_are_the_last_shade() -> None:
    image = np.array([[np.nan, np.inf, -np.inf, 1e30, -1e30, 4.0]], np.float32)
    picture = picture_of(image)
    assert drawn(picture).tolist() == [[MASKED_COLOUR, MASKED_COLOUR, MASKED_COLOUR, LAST_COLOUR, FIRST_COLOUR, 6]]
    assert drawn(picture, masked=False)[0, 0] == MASKED_COLOUR
    assert not picture.counts_at(0.5, 0.5) and picture.counts_at(5.5, 0.5)


def test_gaps_between_panels_are_clear() -> None:
    picture = picture_of(np.ones((8, 6), np.uint16), two_panels())
    assert (drawn(picture)[:, 6:8] == GAP_COLOUR).all() and (drawn(picture)[:, :6] == FIRST_COLOUR + 1).all()


def test_an_image_without_a_pixel_that_counts_has_levels_all_the_same() -> None:
    picture = picture_of(np.zeros((80, 90), np.float32) + np.float32(np.nan))
    assert picture.levels[0].histogram.n_pixels == 0
    assert Levels.chosen(picture.levels[0].histogram, "log") == Levels(0.0, 1.0)
    assert (drawn(picture) == MASKED_COLOUR).all() and (drawn(picture, 7.0) == MASKED_COLOUR).all()


def test_an_image_of_one_pixel_is_drawn() -> None:
    picture = picture_of(np.array([[7]], np.int32))
    assert drawn(picture).tolist() == [[9]] and picture.value_at(0.5, 0.5) == 7
    levels = Levels.chosen(picture.levels[0].histogram, "linear")
    assert levels.low == 7.0 and levels.high > 7.0


def test_what_is_drawn_lies_where_it_was_asked_for() -> None:
    picture = picture_of((np.arange(100 * 120) % 250).astype(np.uint8).reshape(100, 120))
    drawing = picture.draw(10.3, 20.7, 14.2, 23.1, 0.01, LINEAR, "linear")
    assert drawing is not None and drawing.rectangle == (10.0, 20.0, 5.0, 4.0)
    assert np.array_equal(drawing.colours, FIRST_COLOUR + picture.levels[0].values[20:24, 10:15])
    assert picture.draw(-50.0, -50.0, -10.0, -10.0, 1.0, LINEAR, "linear") is None


@pytest.mark.parametrize("size", [1.3, 1.7, 5.9])
def test_the_picture_stays_put_on_the_screen_while_it_is_moved(size: float) -> None:
    picture = picture_of(np.random.default_rng(5).integers(0, 250, (300, 300)).astype(np.uint8))
    before = picture.draw(0.0, 0.0, 300.0, 300.0, size, LINEAR, "linear")
    moved = picture.draw(3 * size, 5 * size, 300.0, 300.0, size, LINEAR, "linear")
    assert before is not None and moved is not None
    place = before.rectangle[2] / before.colours.shape[1]
    row, column = (round((moved.rectangle[i] - before.rectangle[i]) / place) for i in (1, 0))
    assert row >= 2 and column >= 1
    assert np.array_equal(moved.colours[2:, 2:], before.colours[row + 2 :, column + 2 :])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"payload": b"123"}, "the image takes 24 bytes, 3 have come"),
        ({"dtype": "complex64"}, "pixels of type 'complex64' cannot be shown"),
        ({"dtype": "(((", }, "cannot be shown"),
        ({"dtype": "O"}, "cannot be shown"),
        ({"shape": (3, 5)}, "the image has 3 × 5 pixels, the geometry 3 × 4"),
        ({"shape": (0, 4)}, "an image of 0 × 4 pixels cannot be shown"),
        ({"shape": (1 << 20, 1 << 20)}, "cannot be shown"),
        ({"encoding": Encoding("bslz4", "hdf5")}, "header says"),
        ({"encoding": Encoding("rar", "hdf5")}, "cannot be unpacked"),
    ],
)  # fmt: skip
def test_pixels_that_are_not_what_the_shot_says_are_refused_with_a_sentence(
    changes: dict[str, Any], message: str
) -> None:
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        PictureMaker().make(shot_of(image, **changes), Assembly(one_panel((3, 4))))


def test_so_few_packed_bytes_that_they_cannot_hold_an_image_take_no_memory() -> None:
    shot = shot_of(np.zeros((1, 1), np.uint16), shape=(16384, 16384), encoding=Encoding("bslz4", "hdf5"))
    with pytest.raises(ValueError, match="cannot hold"):
        PictureMaker().make(shot, Assembly(one_panel((16384, 16384))))


def test_a_picture_stays_as_it_is_while_the_next_one_is_made_or_fails() -> None:
    maker, assembly = PictureMaker(), Assembly(plain_detector())
    first = maker.make(shot_image(1), assembly)
    before = first.levels[0].values.copy(), first.levels[1].values.copy()
    for _ in range(3):
        with pytest.raises(ValueError, match=r"block|bytes"):
            bad = shot_image(2)
            maker.make(msgspec.structs.replace(bad, payload=bad.payload[:-400]), assembly)
    maker.make(shot_image(3), assembly)
    assert np.array_equal(first.levels[0].values, before[0]) and np.array_equal(first.levels[1].values, before[1])


def test_percentiles_are_those_of_the_pixels() -> None:
    image = np.random.default_rng(2).poisson(30.0, (300, 300)).astype(np.uint16)
    histogram = picture_of(image).levels[0].histogram
    assert histogram.n_pixels == image.size
    for part in (0.01, 0.5, 0.9):
        assert abs(histogram.percentile(part) - np.percentile(image, 100 * part)) <= 1.0
    levels = Levels.chosen(histogram, "linear")
    assert np.percentile(image, 1) - 1 <= levels.low < levels.high <= image.max() + 1


def test_negative_and_fractional_values_have_their_place_on_the_axis() -> None:
    image = np.random.default_rng(2).normal(-3.0, 40.0, (200, 200)).astype(np.float32)
    histogram = picture_of(image).levels[0].histogram
    assert histogram.percentile(0.5) == pytest.approx(float(np.median(image)), abs=0.5)
    edges, counts = histogram.occupied()
    assert counts.sum() == image.size and len(edges) == len(counts) + 1
    assert from_axis(edges[0]) <= image.min() and from_axis(edges[-1]) >= image.max()
    assert from_axis(to_axis(-123.4)) == pytest.approx(-123.4)


def test_each_bin_of_whole_numbers_holds_one_at_least() -> None:
    axis = axis_for(True)
    middle = (axis.values > 0) & (axis.values < 1e5)
    assert (np.diff(axis.values[middle]) >= 1).all() and (axis.values == np.rint(axis.values)).all()


def test_shades_rise_with_the_value_and_faster_for_weak_pixels_on_the_other_scales() -> None:
    tables = {scale: shade_table(Levels(0.0, 1000.0), scale)[0] for scale in ("linear", "sqrt", "log")}
    for table in tables.values():
        assert table[0] == FIRST_COLOUR and table[-1] == LAST_COLOUR and (np.diff(table.astype(int)) >= 0).all()
    tenth = len(tables["linear"]) // 10
    assert tables["linear"][tenth] < tables["sqrt"][tenth] < tables["log"][tenth]


def test_levels_are_apart_whatever_is_asked() -> None:
    assert Levels.between(5.0, 2.0) == Levels(2.0, 5.0)
    same = Levels.between(3e6, 3e6)
    assert same.high > same.low

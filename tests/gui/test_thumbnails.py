"""Small pictures of shots."""

import threading
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - registers the filters that the frames are packed with
import msgspec
import numpy as np
import pytest
from messages_by_hand import SHAPE, detector, shot_image
from numpy.typing import NDArray

from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.thumbnails import BRIGHTEST, NOTHING, Frame, Thumbnail, ThumbnailMaker, strongest, thumbnail
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.processing.panel import Panel


def pooled_slowly(image: NDArray[np.uint16], good: NDArray[np.bool_], frame: Frame) -> NDArray[np.float32]:
    """The same with plain NumPy, pixel by pixel of each panel."""
    out = np.full(frame.shape, -np.inf, np.float32)
    for (fs0, fs1, ss0, ss1), (fs, ss, origin) in zip(frame.bounds, frame.forward, strict=True):
        rows, columns = np.mgrid[ss0:ss1, fs0:fs1]
        place = np.floor((columns + 0.5)[..., None] * fs + (rows + 0.5)[..., None] * ss + origin).astype(int)
        kept = good[ss0:ss1, fs0:fs1]
        kept = kept & (place >= 0).all(axis=-1) & (place < [frame.shape[1], frame.shape[0]]).all(axis=-1)
        np.maximum.at(out, (place[..., 1][kept], place[..., 0][kept]), image[ss0:ss1, fs0:fs1][kept])
    out[np.isneginf(out)] = np.nan
    return out


def turned(degrees: float) -> Detector:
    """Two panels side by side, the second one turned in its plane."""
    c, s = np.cos(np.radians(degrees)) * 1e-4, np.sin(np.radians(degrees)) * 1e-4
    return Detector(
        (
            Panel("left", 0, 60, 0, 100, (-0.0065, -0.005, 0.1), (1e-4, 0.0, 0.0), (0.0, 1e-4, 0.0), np.inf),
            Panel("right", 60, 120, 0, 100, (0.0005, -0.005, 0.1), (c, s, 0.0), (-s, c, 0.0), np.inf),
        ),
        (100, 120),
        flag_values=(65535.0,),
    )  # fmt: skip


@pytest.mark.parametrize(
    # a panel that is turned very little is taken as straight: its pixels may fall one place off
    ("made", "alike"),
    [(detector(), 1.0), (turned(0.0), 1.0), (turned(0.2), 0.75), (turned(15.0), 1.0)],
)
def test_each_place_has_its_strongest_pixel(made: Detector, alike: float) -> None:
    random = np.random.default_rng(1)
    image = random.poisson(3.0, made.shape).astype(np.uint16)
    image[random.random(made.shape) < 0.01] = 65535
    image[20:60, 30:50] = 65535
    frame = Frame.of(made, 40)
    got = strongest(image, frame)
    expected = pooled_slowly(image, image != 65535, frame)
    assert max(frame.shape) == 40 and min(frame.shape) >= 30
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    assert same.mean() >= alike
    assert np.nanmax(got) == np.nanmax(expected)


def test_masked_and_flagged_pixels_do_not_count() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[:100] = True
    masked = Detector.single_panel(
        SHAPE, pixel_size=75e-6, distance=0.02, beam_center=(120, 100), mask=mask, flag_values=(65535.0, 700.0)
    )
    image = np.full(SHAPE, 5, np.uint16)
    image[10, 10], image[150, 20], image[160, 30] = 900, 700, 600
    got = strongest(image, Frame.of(masked, 96))
    assert np.isnan(got[: got.shape[0] // 2 - 1]).all()
    assert np.nanmax(got) == 600


def test_spots_are_dark_background_is_bright_and_gaps_are_nothing() -> None:
    image = np.full(SHAPE, 10, np.uint16)
    image[100:110] = 65535
    image[40, 60] = 900
    shot = msgspec.structs.replace(shot_image(1), payload=bslz4_chunk(image))
    made = Detector.single_panel(SHAPE, pixel_size=75e-6, distance=0.02, beam_center=(120, 100), flag_values=(65535.0,))
    got = thumbnail(shot, Frame.of(made, 96))
    assert got.shape == (80, 96) and got.dtype == np.uint8
    assert got[16, 24] < 60
    assert (got[:10] == BRIGHTEST).all()
    assert (got[41:43] == NOTHING).all()


def test_the_beams_of_a_real_frame_are_where_the_spots_are(shared: Path) -> None:
    made = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        which = file["/crystfel_peakfinder8/frame"][:]
        peaks = file["/crystfel_peakfinder8/fs_ss_intensity"][:][which == which[0]]
        data = file["/entry/data/data"]
        _, chunk = data.id.read_direct_chunk((int(which[0]), 0, 0))
        shape = data.shape[1:]
    shot = msgspec.structs.replace(shot_image(1), shape=shape, payload=bytes(chunk), encoding=Encoding("bslz4", "hdf5"))
    got = thumbnail(shot, Frame.of(made))
    strong = peaks[peaks[:, 2] > np.median(peaks[:, 2])]
    places = (strong[:, :2] * max(got.shape) / max(shape)).astype(int)
    assert np.median(got[places[:, 1], places[:, 0]]) < np.percentile(got, 10)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"shape": (10, 10)}, r"the image has \(10, 10\) pixels, the geometry \(200, 240\)"),
        ({"dtype": "object"}, "pixels of type 'object' cannot be shown"),
        ({"dtype": "float64"}, "pixels of type 'float64' cannot be shown"),
        ({"payload": b"short"}, "the image takes 96000 bytes, which 5 packed ones cannot hold"),
        ({"payload": bytes(2000)}, "the header says 0"),
    ],
)
def test_pixels_that_make_no_sense_are_refused(change: dict[str, object], problem: str) -> None:
    shot = msgspec.structs.replace(shot_image(1), **change)
    with pytest.raises(ValueError, match=problem):
        thumbnail(shot, Frame.of(detector()))


def test_a_shot_without_pixels_that_count_is_nothing() -> None:
    shot = msgspec.structs.replace(shot_image(1), payload=bslz4_chunk(np.full(SHAPE, 65535, np.uint16)))
    assert (thumbnail(shot, Frame.of(detector())) == NOTHING).all()


def test_the_maker_makes_what_is_wanted_the_last_first_and_none_of_what_is_damaged() -> None:
    first, done = threading.Event(), threading.Semaphore(0)
    order: list[ShotKey] = []
    made: dict[ShotKey, Thumbnail | None] = {}

    def note() -> None:
        new = maker.take()
        order.extend(new)
        made.update(new)
        first.wait(10)  # until more was asked for
        done.release()

    maker = ThumbnailMaker(note)
    damaged = msgspec.structs.replace(shot_image(4), payload=b"")
    on = detector()
    maker.want([(shot_image(1), on)])
    maker.want([(shot_image(2), on), (damaged, on), (shot_image(3), on)])
    first.set()
    while ShotKey("run-1", 2) not in made:
        assert done.acquire(timeout=30)
    assert [key.number for key in order] in ([3, 4, 2], [1, 3, 4, 2])
    assert made[ShotKey("run-1", 3)] is not None and made[ShotKey("run-1", 2)] is not None
    assert made[ShotKey("run-1", 4)] is None


def test_a_picture_that_was_made_and_not_taken_is_not_made_again() -> None:
    done = threading.Semaphore(0)
    maker = ThumbnailMaker(done.release)
    for shots in ([shot_image(1)], [shot_image(2), shot_image(1)]):
        maker.want((shot, detector()) for shot in shots)
        assert done.acquire(timeout=30)
    assert {key.number for key in maker.take()} == {1, 2}

"""Virtual powders are what NumPy makes of the same shots, whatever is masked, flagged or not a number."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.processing.panel import Panel
from braggwatch.streamer import powder as powders
from braggwatch.streamer.messages import PEAK
from braggwatch.streamer.picture_messages import Powder
from braggwatch.streamer.powder import N_RINGS, BinnedDetector, PixelPowder, SpotPowder, binning_of

CHUNK = Encoding("bslz4", "hdf5")


def detector(shape: tuple[int, int], **changes: Any) -> Detector:
    options: dict[str, Any] = {"photon_energy": 12_400.0, "beam_center": (shape[1] / 2 + 0.3, shape[0] / 2)}
    return Detector.single_panel(shape, pixel_size=75e-6, distance=0.1, **{**options, **changes})


def unpacked(packed: bytes, shape: tuple[int, int]) -> NDArray[np.float32]:
    out = np.empty(shape, np.float32)
    decompress(packed, CHUNK, shape, "float32", out)
    return out


def pictures(powder: Powder) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return unpacked(powder.sum, powder.shape), unpacked(powder.maximum, powder.shape)


def powder_of(where: Detector, *images: NDArray[Any]) -> Powder:
    powder = PixelPowder("all", BinnedDetector(where))
    for image in images:
        powder.add(image)
    return powder.message(of=len(images))


def blocks(image: NDArray[Any], binning: int) -> NDArray[Any]:
    """Cut an image into blocks: ``(ss, fs, pixels)``, NaN beyond the edge."""
    n_ss, n_fs = (-(-side // binning) for side in image.shape)
    padded = np.full((n_ss * binning, n_fs * binning), np.nan)
    padded[: image.shape[0], : image.shape[1]] = image
    return padded.reshape(n_ss, binning, n_fs, binning).transpose(0, 2, 1, 3).reshape(n_ss, n_fs, -1)


@pytest.fixture
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have also small images binned."""
    monkeypatch.setattr(powders, "MAX_BLOCKS", 2000)


@pytest.mark.parametrize(
    ("shape", "binning"),
    [
        ((1, 1), 1), ((512, 512), 1), ((1024, 1024), 1), ((1024, 1025), 2),
        ((4362, 4148), 5),  # EIGER 16M
        ((2162, 2068), 3),  # EIGER 4M
        ((8192, 128), 1),  # AGIPD 1M, its 128 panels one after another
        ((16384, 1024), 4),  # JUNGFRAU 16M
        ((11840, 194), 2),  # CSPAD
        ((1, 2**28), 256), ((2**28, 1), 256), ((2**14, 2**14), 16),
    ],
)  # fmt: skip
def test_pixels_are_binned_only_as_far_as_the_picture_would_have_more_than_a_million(
    shape: tuple[int, int], binning: int
) -> None:
    assert binning_of(shape) == binning
    assert math.prod(-(-side // binning) for side in shape) <= 2**20


def test_the_powder_of_a_million_pixels_in_a_long_slab_is_the_image_itself() -> None:
    shape = (8192, 128)
    image = np.random.default_rng(4).poisson(3, shape).astype(np.uint16)
    powder = powder_of(detector(shape), image)
    assert (powder.binning, powder.shape) == (1, shape)
    for picture in pictures(powder):
        np.testing.assert_array_equal(picture, image)


@pytest.mark.usefixtures("small_pictures")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32", "float32", ">u2"])
@pytest.mark.parametrize(("shape", "binning"), [((20, 30), 1), ((1500, 40), 6), ((7, 2049), 4)])
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:All-NaN slice")
def test_sum_and_maximum_are_those_of_numpy(dtype: str, shape: tuple[int, int], binning: int) -> None:
    random = np.random.default_rng(1)
    mask = random.random(shape) < 0.2
    where = detector(shape, mask=mask, flag_values=(77.0,))
    images = [random.integers(0, 120, shape).astype(dtype) for _ in range(3)]
    known = np.array([np.where(mask | (image == 77), np.nan, image.astype(float)) for image in images])
    powder = powder_of(where, *images)
    assert powder.binning == binning
    values = np.concatenate([blocks(image, binning) for image in known], axis=2)
    total, largest = pictures(powder)
    np.testing.assert_allclose(total, 3 * np.nanmean(values, axis=2), rtol=1e-6)
    np.testing.assert_array_equal(largest, np.nanmax(values, axis=2))


def test_where_all_is_masked_nothing_is_known() -> None:
    shape = (8, 9)
    powder = powder_of(detector(shape, mask=np.ones(shape, bool)), np.ones(shape, np.uint16))
    for picture in (*pictures(powder), np.frombuffer(powder.profile, np.float32)):
        assert np.isnan(picture).all()


def test_a_pixel_that_is_not_a_number_or_infinite_in_one_shot_counts_in_the_others() -> None:
    image = np.full((4, 4), 5.0, np.float32)
    spoilt = image.copy()
    spoilt[0, 0], spoilt[1, 1], spoilt[2, 2] = np.nan, np.inf, -np.inf
    total, largest = pictures(powder_of(detector((4, 4)), image, spoilt))
    np.testing.assert_array_equal(total, np.full((4, 4), 10.0))
    np.testing.assert_array_equal(largest, np.full((4, 4), 5.0))


def test_saturated_pixels_count_and_those_that_know_nothing_do_not() -> None:
    image = np.array([[65533, 65534], [65535, 1]], np.uint16)
    total, largest = pictures(powder_of(detector((2, 2), max_adu=60_000.0, flag_values=(65535.0, 65534.0)), image))
    expected = np.array([[65533, np.nan], [np.nan, 1]], np.float32)
    np.testing.assert_array_equal(total, expected)
    np.testing.assert_array_equal(largest, expected)


def test_one_pixel_is_a_picture() -> None:
    powder = powder_of(detector((1, 1)), np.array([[7]], np.uint16))
    total, largest = pictures(powder)
    assert (total.tolist(), largest.tolist()) == ([[7.0]], [[7.0]])
    assert np.nansum(np.frombuffer(powder.profile, np.float32)) == 7.0


def test_without_a_shot_nothing_is_known() -> None:
    total, largest = pictures(powder_of(detector((3, 3))))
    assert np.isnan(total).all()
    assert np.isnan(largest).all()


def test_the_profile_is_the_mean_of_each_ring() -> None:
    shape = (300, 260)
    where = detector(shape, mask=np.random.default_rng(2).random(shape) < 0.1)
    image = np.random.default_rng(3).poisson(30, shape).astype(np.uint16)
    powder = powder_of(where, image, image)
    q = where.q_map().astype(float)
    edges = np.linspace(0, float(where.q_map().max()), N_RINGS + 1)
    good = ~where.mask
    n, _ = np.histogram(q[good], edges)
    total, _ = np.histogram(q[good], edges, weights=image[good])
    profile = np.frombuffer(powder.profile, np.float32)
    np.testing.assert_allclose(np.frombuffer(powder.q, np.float32), (edges[1:] + edges[:-1]) / 2, rtol=1e-5)
    close = np.isclose(profile, np.divide(total, n, where=n > 0, out=np.full(N_RINGS, np.nan)), equal_nan=True)
    assert close.mean() > 0.98, "but for pixels on the very edge between two rings"


def two_panels() -> Detector:
    """One panel at the beam, one far out, side by side in the image array; beyond them, none."""
    pitch = 1e-4
    near = Panel("near", 0, 1100, 0, 5, (-550 * pitch, 0.0, 0.1), (pitch, 0.0, 0.0), (0.0, pitch, 0.0))
    far = Panel("far", 1100, 2200, 0, 5, (0.2, 0.2, 0.1), (0.0, pitch, 0.0), (-pitch, 0.0, 0.0))
    return Detector((near, far), (6, 2206), Beam(12_400.0))


@pytest.mark.usefixtures("small_pictures")
def test_blocks_with_pixels_of_two_panels_are_in_the_picture_and_not_in_the_profile() -> None:
    where = two_panels()
    image = np.full(where.shape, 3, np.uint16)
    image[:, 1100:] = 50
    powder = powder_of(where, image)
    assert powder.binning == 3
    total, _ = pictures(powder)
    assert total[0, 365] == 3
    assert total[0, 366] == pytest.approx((2 * 3 + 50) / 3)
    assert total[1, 367] == 50
    assert np.isnan(total[:, 734:]).all()
    profile = np.frombuffer(powder.profile, np.float32)
    assert set(np.unique(profile[np.isfinite(profile)])) == {3.0, 50.0}


def test_without_a_photon_energy_there_is_a_picture_and_no_profile() -> None:
    powder = powder_of(detector((4, 4), photon_energy=None), np.ones((4, 4), np.uint16))
    assert (powder.q, powder.profile) == (b"", b"")
    assert pictures(powder)[0].sum() == 16


def test_an_image_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="the image's shape is"):
        powder_of(detector((4, 4)), np.ones((4, 5), np.uint16))


def test_spots_are_added_where_they_lie() -> None:
    where = detector((20_480, 100), mask=np.arange(100) < 10 * np.ones((20_480, 1)))
    powder = SpotPowder(BinnedDetector(where))
    peaks = np.zeros(8, PEAK)
    peaks["fs"] = [50.0, 51.9, 52.0, 99.99, 100.0, -0.5, np.nan, 60.0]
    peaks["ss"] = [10.0, 11.9, 10.0, 20_479.9, 10.0, 10.0, 10.0, 10.0]
    peaks["intensity"] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, np.nan]
    powder.add([peaks[:3].tobytes(), peaks[3:].tobytes(), b""])
    message = powder.message(of=9)
    assert (message.n_shots, message.of, message.binning, message.maximum) == (3, 9, 2, b"")
    total = unpacked(message.sum, message.shape)
    assert total[5, 25] == 3.0
    assert total[5, 26] == 4.0
    assert total[10_239, 49] == 8.0
    assert np.nansum(total) == 15.0
    assert np.isnan(total[:, :5]).all()

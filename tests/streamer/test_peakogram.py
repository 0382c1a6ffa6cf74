"""Spots are counted where NumPy counts them, and none that nobody knows the place of."""

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from braggwatch.streamer.messages import PEAK
from braggwatch.streamer.peakogram import SHAPE, SpotCounts


def shot(inverse_d: ArrayLike, max_value: ArrayLike) -> bytes:
    peaks = np.zeros(np.size(inverse_d), PEAK)
    peaks["inverse_d"], peaks["max_value"] = inverse_d, max_value
    return peaks.tobytes()


def counts_of(spots: SpotCounts) -> NDArray[np.uint32]:
    message = spots.message()
    assert message.shape == SHAPE
    return np.frombuffer(message.counts, "<u4").reshape(message.shape)


def test_spots_are_counted_where_numpy_counts_them() -> None:
    random = np.random.default_rng(0)
    inverse_d, max_value = random.uniform(0, 0.5, 5000), 10 ** random.uniform(0, 6, 5000)
    spots = SpotCounts(d_min=2.0)
    for part in np.array_split(np.arange(5000), 7):
        spots.add([shot(inverse_d[part], max_value[part])])
    stored = inverse_d.astype(np.float32).astype(float), np.log10(max_value.astype(np.float32))
    expected, _, _ = np.histogram2d(*stored, bins=SHAPE, range=((0.0, 0.5), (0.0, 6.0)))
    moved = np.abs(counts_of(spots).astype(int) - expected).sum()
    assert moved <= 4, "but for spots on the very edge of a bin"
    message = spots.message()
    assert (message.n_peaks, message.n_shots) == (5000, 7)
    assert message.inverse_d == (0.0, 0.5)
    assert message.log10_max_value == (0.0, 6.0)


def test_spots_beyond_the_scale_go_to_its_end() -> None:
    spots = SpotCounts(d_min=2.0)
    spots.add([shot([0.0, 0.5, 9.0, 0.25, 0.25, 0.25], [10.0, 10.0, 10.0, 0.0, -5.0, np.inf])])
    counts = counts_of(spots)
    assert counts[0].sum() == 1
    assert counts[99].sum() == 2
    assert counts[50, 0] == 2
    assert counts[50, 99] == 1


def test_spots_of_unknown_resolution_or_strength_are_left_out() -> None:
    spots = SpotCounts(d_min=2.0)
    spots.add([shot([np.nan, -0.1, np.inf, 0.2], [10.0, 10.0, 10.0, np.nan]), b""])
    assert counts_of(spots).sum() == 0
    assert (spots.message().n_peaks, spots.message().n_shots) == (0, 2)


def test_no_shots_at_all_leave_everything_at_zero() -> None:
    spots = SpotCounts(d_min=2.0)
    spots.add([])
    assert not counts_of(spots).any()


def test_half_a_row_is_refused_and_nothing_is_counted() -> None:
    spots = SpotCounts(d_min=2.0)
    whole = shot([0.2], [10.0])
    with pytest.raises(ValueError, match="spots come in rows of"):
        spots.add([whole, whole[:10], whole[10:]])
    assert spots.message().n_peaks == 0


@pytest.mark.parametrize("d_min", [0.0, -1.0, float("inf"), float("nan")])
def test_a_detector_without_a_resolution_is_refused(d_min: float) -> None:
    with pytest.raises(ValueError, match="best resolution must be positive and finite"):
        SpotCounts(d_min)

"""Counting in bins of one width."""

import numpy as np
import pytest

from braggwatch.processing.uniform_bins import count_in_bins


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_the_counts_are_those_of_numpy(dtype: type) -> None:
    values: np.ndarray = np.random.default_rng(0).normal(50, 20, 10_001).astype(dtype)
    expected, _ = np.histogram(values, 37, (3.1, 87.7))
    np.testing.assert_array_equal(count_in_bins(values, 37, 3.1, 87.7), expected)


def test_what_is_no_number_or_outside_is_left_out_and_the_upper_limit_is_inside() -> None:
    values = [np.nan, np.inf, -np.inf, -1e300, 0.0, 1.0, 1.0000001, -1e-9]
    assert count_in_bins(values, 4, 0.0, 1.0).tolist() == [1, 0, 0, 1]
    assert count_in_bins([], 2, 0.0, 1.0).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("n", "low", "high"), [(0, 0.0, 1.0), (3, 1.0, 1.0), (3, 2.0, 1.0), (3, np.nan, 1.0), (3, 0.0, np.inf)]
)
def test_bins_that_cannot_be_are_refused(n: int, low: float, high: float) -> None:
    with pytest.raises(ValueError, match="expected at least one bin and low < high, found"):
        count_in_bins([1.0], n, low, high)

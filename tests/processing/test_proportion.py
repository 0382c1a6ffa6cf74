"""The interval of a proportion, against SciPy's."""

import numpy as np
import pytest
from scipy.stats import binomtest

from braggwatch.processing.proportion import wilson_interval


def test_the_interval_is_scipys_for_many_and_for_few_frames() -> None:
    random = np.random.default_rng(1)
    of = np.concatenate(([1, 1, 2, 7, 7], random.integers(1, 10_000, 60)))
    n = np.concatenate(([0, 1, 1, 0, 7], (of[5:] * random.random(60)).astype(int)))
    low, high = wilson_interval(n, of)
    for i in range(len(n)):
        expected = binomtest(int(n[i]), int(of[i])).proportion_ci(0.95, method="wilson")
        assert low[i] == pytest.approx(expected.low, abs=1e-12)
        assert high[i] == pytest.approx(expected.high, abs=1e-12)


def test_the_ends_are_exact_where_nothing_or_everything_was_hit() -> None:
    low, high = wilson_interval([0, 5], [5, 5])
    assert low[0] == 0.0 and high[1] == 1.0


def test_nothing_is_known_of_no_frames() -> None:
    low, high = wilson_interval([0, 1], [0, 4])
    assert np.isnan([low[0], high[0]]).all()
    assert np.isfinite([low[1], high[1]]).all()


@pytest.mark.parametrize(("n", "of"), [(3, 2), (-1, 2)])
def test_more_than_all_of_them_is_refused(n: int, of: int) -> None:
    with pytest.raises(ValueError, match=f"a proportion needs 0 <= n <= of; found n = {n} of {of}"):
        wilson_interval([0, n], [1, of])

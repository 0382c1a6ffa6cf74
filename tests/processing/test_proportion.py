"""The interval of a proportion, against SciPy's."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from braggwatch.processing.proportion import difference_interval, wilson_interval


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


def test_another_confidence_has_scipys_interval_too() -> None:
    expected = binomtest(7, 37).proportion_ci(0.999, method="wilson")
    low, high = wilson_interval(7, 37, norm.ppf(0.9995))
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090), ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926), ((0, 10, 0, 20), -0.1611, 0.2775), ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0000), ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
    ids=range(8),
)  # fmt: skip
def test_the_interval_of_a_difference_is_the_one_of_newcombes_table(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert difference_interval(*counts) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_a_difference_holds_the_true_one_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    held = 0
    for n1, n2 in zip(random.binomial(400, 0.12, 2000), random.binomial(300, 0.15, 2000), strict=True):
        low, high = difference_interval(int(n1), 400, int(n2), 300)
        held += low <= 0.12 - 0.15 <= high
    assert 0.94 <= held / 2000 <= 0.965


def test_a_difference_from_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="something to divide by; found 0 of 0, 1 of 2"):
        difference_interval(0, 0, 1, 2)

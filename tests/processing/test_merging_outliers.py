"""Crystals that share nothing with the rest are told by their correlations, where the two can be told apart."""

import math

import numpy as np

from braggwatch.processing.merging_outliers import FEWEST_BEFORE, OutlierTest


def judged(correlations: list[float], n_effective: float) -> list[bool]:
    test = OutlierTest()
    return [test.is_outlier(correlation, n_effective) for correlation in correlations]


def test_one_without_correlation_is_told_from_the_others_once_enough_are_known() -> None:
    assert judged([0.6] * (FEWEST_BEFORE - 1) + [0.0], 100.0)[-1] is False
    assert judged([0.6] * FEWEST_BEFORE + [0.0], 100.0)[-1] is True


def test_the_limit_lies_halfway_in_fishers_z_between_none_and_the_usual() -> None:
    halfway = math.tanh(math.atanh(0.6) / 2)
    assert judged([0.6] * FEWEST_BEFORE + [halfway - 0.01], 100.0)[-1] is True
    assert judged([0.6] * FEWEST_BEFORE + [halfway + 0.01], 100.0)[-1] is False


def test_none_is_left_out_where_halfway_is_within_three_standard_errors() -> None:
    n = (6 / math.atanh(0.3)) ** 2 + 3  # reflections by which halfway is just 3 standard errors away
    assert not any(judged([0.3] * FEWEST_BEFORE + [-0.1], n - 1))
    assert judged([0.3] * FEWEST_BEFORE + [-0.1], n + 1)[-1] is True


def test_what_says_nothing_is_no_outlier_and_does_not_count_for_the_usual() -> None:
    test = OutlierTest()
    for _ in range(FEWEST_BEFORE):
        assert not test.is_outlier(0.6, 100.0)
    for _ in range(1000):
        assert not test.is_outlier(math.nan, 100.0)
        assert not test.is_outlier(0.0, 9.0)
    assert test.is_outlier(0.0, 100.0)


def test_the_usual_follows_a_reference_that_becomes_better() -> None:
    rising = np.concatenate([np.full(100, 0.3), np.full(3000, 0.9)]).tolist()
    assert judged([0.3] * 100 + [0.3], 400.0)[-1] is False
    assert judged([*rising, 0.3], 400.0)[-1] is True


def test_a_perfect_correlation_is_no_reason_to_stumble() -> None:
    assert not any(judged([1.0] * 100, 1000.0))

"""Differences between groups, against other ways of working them out."""

import numpy as np
import pytest
from scipy.stats import binomtest, fisher_exact

from braggwatch.gui.group_differences import largest_difference


def test_pumped_less_dark_is_said_in_points_with_its_interval() -> None:
    found = largest_difference({"dark": (3353, 22_500), "pumped": (2723, 22_500)})
    assert found is not None
    assert str(found) == "pumped 12.1 % – dark 14.9 %: \u22122.8 ± 0.6 points"
    assert found.verdict == "more than chance"


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({"dark": (149, 1000), "pumped": (121, 1000)}, "no difference seen"),
        ({"dark": (149, 1000), "pumped": (113, 1000)}, "may be chance"),
        ({"dark": (149, 1000), "pumped": (80, 1000)}, "more than chance"),
        ({"dark": (0, 5), "pumped": (5, 5)}, "may be chance"),
        ({"dark": (0, 50), "pumped": (50, 50)}, "more than chance"),
        ({"dark": (0, 50), "pumped": (0, 50)}, "no difference seen"),
        ({"dark": (50, 50), "pumped": (50, 50)}, "no difference seen"),
        ({"dark": (0, 1), "pumped": (1, 1)}, "no difference seen"),
    ],
)
def test_the_verdict_is_strict(counts: dict[str, tuple[int, int]], verdict: str) -> None:
    found = largest_difference(counts)
    assert found is not None and found.verdict == verdict


def test_the_interval_is_put_together_from_scipys_two() -> None:
    random = np.random.default_rng(3)
    for _ in range(50):
        of = random.integers(1, 5000, 2)
        n = (of * random.random(2)).astype(int)
        found = largest_difference({"a": (int(n[0]), int(of[0])), "b": (int(n[1]), int(of[1]))})
        p = n / of
        a, b = (binomtest(int(k), int(m)).proportion_ci(0.95, method="wilson") for k, m in zip(n, of, strict=True))
        assert found is not None
        assert found.low == pytest.approx(p[1] - p[0] - ((p[1] - b.low) ** 2 + (a.high - p[0]) ** 2) ** 0.5, abs=1e-12)
        assert found.high == pytest.approx(p[1] - p[0] + ((b.high - p[1]) ** 2 + (p[0] - a.low) ** 2) ** 0.5, abs=1e-12)


def test_what_is_more_than_chance_is_so_by_fishers_exact_test_too() -> None:
    random = np.random.default_rng(4)
    for _ in range(200):
        of = random.integers(20, 3000, 2)
        n = random.binomial(of, random.uniform(0.02, 0.3, 2))
        found = largest_difference({"a": (int(n[0]), int(of[0])), "b": (int(n[1]), int(of[1]))})
        p = fisher_exact([[n[0], of[0] - n[0]], [n[1], of[1] - n[1]]]).pvalue
        assert found is not None
        if found.verdict == "more than chance":
            assert p < 0.004
        elif p < 2e-4:
            pytest.fail(f"{n} of {of} differ (p = {p}), and it says {found.verdict}")


@pytest.mark.parametrize("n_groups", [2, 5, 16])
def test_where_all_groups_are_alike_hardly_ever_two_are_said_to_differ(n_groups: int) -> None:
    random = np.random.default_rng(n_groups)
    verdicts = []
    for _ in range(1000):
        n = random.binomial(600, 0.12, n_groups)
        found = largest_difference({str(i): (int(k), 600) for i, k in enumerate(n)})
        assert found is not None
        verdicts.append(found.verdict)
    assert verdicts.count("more than chance") <= 5
    assert verdicts.count("may be chance") <= 80


def test_of_many_groups_the_pair_that_chance_explains_worst_is_taken_later_less_earlier() -> None:
    counts = {
        "d 0": (120, 1000),
        "d 1": (60, 1000),
        "d 2": (118, 1000),
        "d 3": (180, 1000),
        "d 4": (3, 4),
        "d 5": (0, 0),
    }
    found = largest_difference(counts)
    assert found is not None
    assert (found.one, found.other, found.verdict) == ("d 3", "d 1", "more than chance")
    assert found.points.startswith("+12.0 ± ")


@pytest.mark.parametrize("counts", [{}, {"dark": (3, 9)}, {"dark": (3, 9), "pumped": (0, 0)}], ids=range(3))
def test_one_group_differs_from_nothing(counts: dict[str, tuple[int, int]]) -> None:
    assert largest_difference(counts) is None

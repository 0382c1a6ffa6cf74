"""Whether two groups of shots differ by more than chance. Free of Qt."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import NormalDist
from typing import Literal

from braggwatch.gui.known_groups import label
from braggwatch.processing.proportion import difference_interval

Verdict = Literal["more than chance", "may be chance", "no difference seen"]
SURE, LIKELY = 0.001, 0.05
"""How often chance alone would do as much: `SURE` is strict because the numbers are looked at all night long."""
MINUS = "\u2212"


@dataclass(frozen=True)
class Difference:
    """How much more often something happens in one group than in another."""

    one: str
    other: str
    """Names of the groups; the difference is the first one's proportion less this one's."""
    n: int
    of: int
    n_other: int
    of_other: int
    low: float
    high: float
    """Its 95 % interval, Newcombe's."""
    verdict: Verdict

    @property
    def value(self) -> float:
        """The difference itself, -1 to 1."""
        return self.n / self.of - self.n_other / self.of_other

    @property
    def points(self) -> str:
        """The difference with half its 95 % interval, in percentage points."""
        sign = MINUS if self.value < 0 else "+"
        return f"{sign}{100 * abs(self.value):.1f} ± {50 * (self.high - self.low):.1f} points"

    def __str__(self) -> str:
        one, other = 100 * self.n / self.of, 100 * self.n_other / self.of_other
        return f"{label(self.one)} {one:.1f} % – {label(self.other)} {other:.1f} %: {self.points}"


def largest_difference(counts: Mapping[str, tuple[int, int]]) -> Difference | None:
    """Return the difference that chance explains worst, of how many there are in each group (n, of).

    It is taken as a later group less an earlier one. None where there are not two groups with anything in them. With
    more than two groups, the verdict allows for there being many pairs of which one stands out (Bonferroni).
    """
    known = [(name, n, of) for name, (n, of) in counts.items() if of > 0]
    pairs = list(combinations(known, 2))
    if not pairs:
        return None
    pair = max(pairs, key=_unlikeliness)
    (other, n_other, of_other), (one, n, of) = pair
    verdict: Verdict = "no difference seen"
    for chance, said in ((LIKELY, "may be chance"), (SURE, "more than chance")):
        z = NormalDist().inv_cdf(1 - chance / 2 / len(pairs))
        low, high = difference_interval(n, of, n_other, of_other, z)
        if (low > 0 or high < 0) and _unlikeliness(pair) > z:  # of a handful of shots the interval alone is too sure
            verdict = said  # type: ignore[assignment]
    low, high = difference_interval(n, of, n_other, of_other)
    return Difference(one, other, n, of, n_other, of_other, low, high, verdict)


def _unlikeliness(pair: tuple[tuple[str, int, int], tuple[str, int, int]]) -> float:
    """Return by how many standard deviations two proportions differ, were they the same."""
    (_, n1, of1), (_, n2, of2) = pair
    p = (n1 + n2) / (of1 + of2)
    spread = sqrt(p * (1 - p) * (1 / of1 + 1 / of2))
    return abs(n1 / of1 - n2 / of2) / spread if spread > 0 else 0.0

"""Whether two merges differ by more than chance: the differences of one half against those of the other."""

import numpy as np

from braggwatch.processing.data_quality import Difference
from braggwatch.processing.merge import Merge
from braggwatch.processing.merge_statistics import FEWEST_PAIRS, correlation_of_halves, shell_edges


def difference(first: Merge, second: Merge, d_min: float | None = None) -> Difference:
    """Return how far `second` differs from `first`, groups of one `Merger`, to `d_min` in Angstrom.

    The differences of the first halves are correlated with those of the second halves, as is done for anomalous
    differences: without a signal that is 0 but for its error, however noisy the data are. Scale and fall-off with
    resolution are made equal first, shell by shell, so that neither counts for a signal. Differences are taken relative
    to an expected error, as those of strong and rarely observed reflections are noisier; not to the one that the
    observations' spread shows, which is small where the halves happen to agree.
    """
    unit = first.unit
    d_min = unit.d_min if d_min is None else d_min
    seen = ((first.sums.count > 0) & (second.sums.count > 0)).all(axis=0)
    seen &= unit.inverse_d <= (1.0 + 1e-6) / d_min
    n = int(seen.sum())
    if n < FEWEST_PAIRS:
        return Difference(n)
    shell = np.searchsorted(shell_edges(unit.inverse_d, first.n_shells, d_min), unit.inverse_d, side="right")
    one, other = first.sums.joined()[0], second.sums.joined()[0]
    totals = [np.bincount(shell[seen], values[seen], int(shell.max()) + 1) for values in (one, other)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((totals[0] > 0) & (totals[1] > 0), totals[0] / totals[1], 1.0)[shell]
        typical = (totals[0] / np.bincount(shell[seen], minlength=len(totals[0])))[shell]
    other = other * ratio
    apart = second.sums.mean * ratio - first.sums.mean
    rarity = np.sqrt(sum(1.0 / np.maximum(merge.sums.count.sum(axis=0), 1) for merge in (first, second)))
    error = (np.maximum(typical, 0.0) + np.maximum(one + other, 0.0) / 2.0) * rarity
    usable = seen & (error > 0.0)
    cc, cc_error = correlation_of_halves(usable, apart / np.where(usable, error, 1.0))
    total = float(np.sum((one + other)[seen]))
    r_iso = 2.0 * float(np.sum(np.abs(one - other)[seen])) / total if total > 0.0 else None
    return Difference(n, cc, cc_error, r_iso)

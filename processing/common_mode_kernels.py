"""Loops over the pixels of a panel, and fits to their histogram, for `CommonMode`."""

import numpy as np
from numba import njit

REACH = 40.0
"""ADU: the histogram of the methods mode and gaussian goes from minus this to this."""
N_BINS = 100

_SELECT_BINS = 1024

_SMOOTHING = 0.35
"""Width of the Gaussian that smoothes the histogram before the zero peak is looked for, in noises. The noise of darks
holds the common mode's own jitter, so that it is an upper limit of the peak's width."""
_FINE = 10
"""Bins to a noise in that histogram."""
_LEAST_SHARE = 0.03
"""The zero peak is at least this high, compared with the highest peak."""
_LEAST_PIXELS = 40
"""Pixels without which no peak is believed."""
_FLANK = 0.5
"""The fit looks at what lies below the peak's centre plus so many of its standard deviations."""


@njit(nogil=True, cache=True)
def gather(image, usable, noise, panel, below, values):  # type: ignore[no-untyped-def]
    """Write a panel's usable finite values that lie below so many times their noise into `values`; return how many."""
    n = 0
    for row in range(panel[0], panel[1]):
        for column in range(panel[2], panel[3]):
            value = image[row, column]
            if usable[row, column] and np.isfinite(value) and value < below * noise[row, column]:
                values[n] = value
                n += 1
    return n


@njit(nogil=True, cache=True)
def median(values):  # type: ignore[no-untyped-def]
    """Return the median of finite values, at least one: by histograms, a third of the time that a partition takes."""
    low = _select(values, (values.size - 1) // 2)
    return low if values.size % 2 else 0.5 * (low + _select(values, values.size // 2))


@njit(nogil=True, cache=True)
def _select(values, rank):  # type: ignore[no-untyped-def]
    """Return the value of a rank, counted from 0, of finite values."""
    left = values.astype(np.float64)
    while left.size > 64:
        low, high = left.min(), left.max()
        if low == high:
            return low
        per_bin = (_SELECT_BINS - 1) / (high - low)
        counts = np.zeros(_SELECT_BINS, np.int64)
        for value in left:
            counts[int((value - low) * per_bin)] += 1
        chosen = 0
        while rank >= counts[chosen]:
            rank -= counts[chosen]
            chosen += 1
        n = 0
        for value in left:
            if int((value - low) * per_bin) == chosen:
                left[n] = value
                n += 1
        left = left[:n]
    return np.sort(left)[rank]


@njit(nogil=True, cache=True)
def histogram(values, low, high, n_bins):  # type: ignore[no-untyped-def]
    """Count values from `low` to `high`, both included, in bins of one width."""
    counts = np.zeros(n_bins)
    per_bin = n_bins / (high - low)
    for value in values:
        if low <= value <= high:
            counts[min(int((value - low) * per_bin), n_bins - 1)] += 1
    return counts


@njit(nogil=True, cache=True)
def mode_of(counts):  # type: ignore[no-untyped-def]
    """Return the middle of the fullest bin, the first of several, in ADU; 0 where all are empty."""
    if counts.max() == 0:
        return 0.0
    return -REACH + (np.argmax(counts) + 0.5) * (2 * REACH / N_BINS)


@njit(nogil=True, cache=True)
def gaussian_centre(counts):  # type: ignore[no-untyped-def]
    """Return the centre in ADU of a Gaussian fitted to the histogram's counts; infinite where no fit is found."""
    if counts.max() == 0:
        return np.inf
    width = 2 * REACH / N_BINS
    x = -REACH + (np.arange(N_BINS) + 0.5) * width
    centre = mode_of(counts)
    spread = max(counts.sum() * width / (counts.max() * np.sqrt(2 * np.pi)), width)
    return fit_gaussian(x, counts, counts.max(), centre, spread)[1]


@njit(nogil=True, cache=True)
def fit_gaussian(x, y, height, centre, sigma):  # type: ignore[no-untyped-def]
    """Least squares (Levenberg and Marquardt) for ``height exp(-(x - centre)^2 / 2 sigma^2)``; return the three.

    The centre is infinite where it does not converge.
    """
    damping = 1e-3
    cost = _cost(x, y, height, centre, sigma)
    for _ in range(100):
        normal = np.zeros((3, 3))
        right = np.zeros(3)
        for i in range(x.size):
            t = (x[i] - centre) / sigma
            e = np.exp(-0.5 * t * t)
            rest = y[i] - height * e
            slope = np.array([e, height * e * t / sigma, height * e * t * t / sigma])
            for j in range(3):
                right[j] += slope[j] * rest
                for k in range(3):
                    normal[j, k] += slope[j] * slope[k]
        for j in range(3):
            normal[j, j] *= 1 + damping
        if not np.abs(np.linalg.det(normal)) > 0:
            return height, np.inf, sigma
        step = np.linalg.solve(normal, right)
        new = _cost(x, y, height + step[0], centre + step[1], sigma + step[2])
        if new < cost and sigma + step[2] > 0:
            small = abs(step[1]) < 1e-4 * sigma and abs(step[2]) < 1e-4 * sigma
            height, centre, sigma, cost = height + step[0], centre + step[1], sigma + step[2], new
            damping = max(damping * 0.1, 1e-9)
            if small:
                return height, centre, sigma
        else:
            damping *= 10
            if damping > 1e12:
                return height, centre, sigma
    return height, np.inf, sigma


@njit(nogil=True, cache=True)
def _cost(x, y, height, centre, sigma):  # type: ignore[no-untyped-def]
    cost = 0.0
    for i in range(x.size):
        t = (x[i] - centre) / sigma
        rest = y[i] - height * np.exp(-0.5 * t * t)
        cost += rest * rest
    return cost


@njit(nogil=True, cache=True)
def zero_peak(values, noise, least_reach, reach_in_noises):  # type: ignore[no-untyped-def]
    """Return where the pixels without a photon lie, ADU; 0 where no peak is found.

    It is looked for from minus to plus `least_reach` ADU or so many noises, whichever is further.
    """
    reach = max(least_reach, reach_in_noises * noise)
    n_bins = int(2 * reach / noise * _FINE) + 1
    width = 2 * reach / n_bins
    counts = histogram(values, -reach, reach, n_bins)
    smooth = _smoothed(counts, _SMOOTHING * noise / width)
    # A Gaussian of that many pixels and of the noise's width would be so high.
    least = max(_LEAST_SHARE * smooth.max(), _LEAST_PIXELS * width / (noise * np.sqrt(2 * np.pi)))
    top = -1
    for i in range(1, n_bins - 1):
        if smooth[i] >= least and smooth[i] >= smooth[i - 1] and smooth[i] > smooth[i + 1]:
            top = i
            break
    if top < 0:
        return 0.0
    left = top
    while left > 0 and smooth[left] > 0.6065 * smooth[top]:
        left -= 1
    x = -reach + (np.arange(n_bins) + 0.5) * width
    centre, height = x[top], smooth[top]
    sigma = max((top - left) * width, width)
    for _ in range(8):
        low, high = np.searchsorted(x, centre - 4 * sigma), np.searchsorted(x, centre + _FLANK * sigma)
        if high - low < 4:
            break
        new_height, new_centre, new_sigma = fit_gaussian(x[low:high], counts[low:high], height, centre, sigma)
        if not abs(new_centre - x[top]) <= 2 * noise or not 0.1 * noise <= new_sigma <= 2 * noise:
            break
        done = abs(new_centre - centre) < 0.005 * noise
        height, centre, sigma = new_height, new_centre, new_sigma
        if done:
            break
    return centre


@njit(nogil=True, cache=True)
def _smoothed(counts, sigma):  # type: ignore[no-untyped-def]
    reach = int(np.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    smooth = np.zeros(counts.size)
    for i in range(counts.size):
        if counts[i] == 0:
            continue
        for k in range(max(-reach, -i), min(reach + 1, counts.size - i)):
            smooth[i + k] += counts[i] * kernel[k + reach]
    return smooth


@njit(nogil=True, cache=True)
def panel_mean(image, usable, panel):  # type: ignore[no-untyped-def]
    """Return the mean of a panel's usable finite values; 0 where there is none."""
    n = 0
    total = 0.0
    for row in range(panel[0], panel[1]):
        for column in range(panel[2], panel[3]):
            value = image[row, column]
            if usable[row, column] and np.isfinite(value):
                total += value
                n += 1
    return total / n if n else 0.0


@njit(nogil=True, cache=True)
def row_means(image, usable, panel, less, means):  # type: ignore[no-untyped-def]
    """Write the mean of each row of a panel, less ``less[row]``; rows without values are left as they are."""
    for row in range(panel[0], panel[1]):
        n = 0
        total = 0.0
        for column in range(panel[2], panel[3]):
            value = image[row, column]
            if usable[row, column] and np.isfinite(value):
                total += value
                n += 1
        if n:
            means[row - panel[0]] = total / n - less[row - panel[0]]


@njit(nogil=True, cache=True)
def column_means(image, usable, panel, less, means):  # type: ignore[no-untyped-def]
    """Write the mean of each column of a panel, each value less ``less[row]``; empty columns are left as they are."""
    n_fs = panel[3] - panel[2]
    n, total = np.zeros(n_fs), np.zeros(n_fs)
    for row in range(panel[0], panel[1]):
        for i in range(n_fs):
            value = image[row, panel[2] + i]
            if usable[row, panel[2] + i] and np.isfinite(value):
                total[i] += value - less[row - panel[0]]
                n[i] += 1
    for i in range(n_fs):
        if n[i]:
            means[i] = total[i] / n[i]

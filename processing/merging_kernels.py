"""Loops of live merging; `braggwatch.processing.merging` is their checked entry.

An observation is ``I = g J`` with J the merged intensity and g the crystal's scale, ``g = k exp(-B / (2 d²))``, times
the partiality where that counts. Merged are the ``I / g`` with weights g: ``sum I / sum g``, which is what maximum
likelihood says for counts. Sums are ``(2, n)`` arrays, a row for each half: `count` (int32), `weight` (sum of g),
`mean`, `squares`, `products` and `weights2` (sums of I², g I and g²) and `noise` (sum of the observations' own
variances).
"""

import math

from numba import njit

FEWEST_FOR_REFERENCE = 2
"""So many observations make a reflection part of the reference."""
FEWEST_FOR_REJECTION = 10
"""With so many, a reflection's spread says what an outlier is."""
REJECT_BEYOND = 6.0
"""Standard deviations."""
LOG_K_SIGMA = 1.0
"""The restraint of the logarithm of a crystal's scale towards that of the rest: crystals differ by some such factor."""
B_SIGMA = 10.0
"""Angstrom²: the restraint of a crystal's B towards 0."""


@njit(nogil=True, cache=True)
def select(flags, intensity, sigma, partiality, index, least_partiality, out):  # type: ignore[no-untyped-def]
    """Write which reflections can be merged and return their number: none flagged, unmeasured, or off the table."""
    n = 0
    for i in range(index.shape[0]):
        usable = flags[i] == 0 and index[i] >= 0 and partiality[i] >= least_partiality
        if usable and math.isfinite(intensity[i]) and sigma[i] > 0 and math.isfinite(sigma[i]):
            out[n] = i
            n += 1
    return n


@njit(nogil=True, cache=True)
def pooled(count, weight, mean, h):  # type: ignore[no-untyped-def]
    """Return number, weight and mean of both halves together."""
    total = weight[0, h] + weight[1, h]
    if total <= 0.0:
        return 0, 0.0, 0.0
    average = (weight[0, h] * mean[0, h] + weight[1, h] * mean[1, h]) / total
    return count[0, h] + count[1, h], total, average


@njit(nogil=True, cache=True)
def wilson_scale(index, intensity, partiality, shell, shell_sum, shell_weight):  # type: ignore[no-untyped-def]
    """Return a crystal's scale against the shells' mean intensities; 0 where these are unknown."""
    observed, expected = 0.0, 0.0
    for i in range(index.shape[0]):
        s = shell[index[i]]
        if shell_weight[s] > 0.0:
            observed += intensity[i]
            expected += partiality[i] * shell_sum[s] / shell_weight[s]
    return observed / expected if observed > 0.0 and expected > 0.0 else 0.0


@njit(nogil=True, cache=True)
def fit_scale(  # type: ignore[no-untyped-def]
    index, intensity, sigma, partiality, inverse_d, shell, shell_sum, shell_weight, count, weight, mean, start, with_b
):  # fmt: skip
    """Fit a crystal's k and B to the reference and return them with the number of common reflections.

    Solves ``sum w u (I - g J) = 0``, and with B ``sum w u (I - g J) / d² = 0``, under restraints without which a weak
    crystal's k could be next to nothing and its I / k anything. Here u is what is expected at that resolution and
    ``w = 1 / (u² + mean sigma²)``. Neither depends on I or J themselves, so that the noise of the reference does not
    pull the scale as in least squares (u is an instrumental variable). Beyond 4 standard deviations, taken as
    sqrt(sigma² + (g J)² + u²), Huber's weights. `start` is where k begins; with fewer than 10 in common it is returned
    as it came.
    """
    log_k, b = math.log(start), 0.0
    noise = 0.0
    for i in range(index.shape[0]):
        noise += sigma[i] * sigma[i] / index.shape[0]
    n = 0
    for _ in range(8 if with_b else 4):
        n = 0
        a11, a12, a22, c1, c2 = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(index.shape[0]):
            h = index[i]
            s = shell[h]
            number, _total, reference = pooled(count, weight, mean, h)
            if number < FEWEST_FOR_REFERENCE or not shell_sum[s] > 0.0:
                continue
            n += 1
            half_q2 = 0.5 * inverse_d[h] * inverse_d[h]
            g = math.exp(log_k - b * half_q2) * partiality[i]
            u = g * shell_sum[s] / shell_weight[s]
            miss = intensity[i] - g * reference
            w = 1.0 / (u * u + noise)
            beyond = abs(miss) / math.sqrt(sigma[i] * sigma[i] + (g * reference) ** 2 + u * u)
            if beyond > 4.0:
                w *= 4.0 / beyond
            a11 += w * u * g * reference
            a12 -= w * u * g * reference * half_q2
            a22 += w * u * g * reference * half_q2 * half_q2
            c1 += w * u * miss
            c2 -= w * u * miss * half_q2
        if n < 10 or not a11 > 0.0:
            return start, 0.0, n
        a11 += 1.0 / (LOG_K_SIGMA * LOG_K_SIGMA)
        c1 -= log_k / (LOG_K_SIGMA * LOG_K_SIGMA)
        if with_b:
            a22 += 1.0 / (B_SIGMA * B_SIGMA)
            c2 -= b / (B_SIGMA * B_SIGMA)
            determinant = a11 * a22 - a12 * a12
            if not determinant > 0.0:
                return start, 0.0, n
            b += max(-20.0, min(20.0, (a11 * c2 - a12 * c1) / determinant))
            log_k += max(-1.0, min(1.0, (a22 * c1 - a12 * c2) / determinant))
        else:
            log_k += max(-1.0, min(1.0, c1 / a11))
    if not (abs(log_k) < 50.0 and abs(b) < 500.0):
        return start, 0.0, n
    return math.exp(log_k), b, n


@njit(nogil=True, cache=True)
def correlate(index, intensity, sigma, partiality, k, shell, shell_sum, shell_weight, count, weight, mean):  # type: ignore[no-untyped-def]
    """Return the weighted correlation of a crystal with the reference, and of how many reflections in effect.

    Both are taken relative to their shell's mean, lest the decay with resolution correlate what has nothing else in
    common; the weights take noise into account.
    """
    n = 0
    sww, sw, sx, sy, sxx, syy, sxy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(index.shape[0]):
        h = index[i]
        if h < 0:
            continue
        number, _total, reference = pooled(count, weight, mean, h)
        s = shell[h]
        if number < FEWEST_FOR_REFERENCE or not shell_sum[s] > 0.0:
            continue
        typical = shell_sum[s] / shell_weight[s]
        expected = k * partiality[i] * typical
        x = max(-6.0, min(6.0, intensity[i] / expected))
        y = max(-6.0, min(6.0, reference / typical))
        w = 1.0 / (1.0 + (sigma[i] / expected) ** 2)
        n += 1
        sww += w * w
        sw += w
        sx += w * x
        sy += w * y
        sxx += w * x * x
        syy += w * y * y
        sxy += w * x * y
    if n < 3:
        return math.nan, 0.0
    vx, vy = sxx - sx * sx / sw, syy - sy * sy / sw
    if not (vx > 0.0 and vy > 0.0):
        return math.nan, 0.0
    return (sxy - sx * sy / sw) / math.sqrt(vx * vy), sw * sw / sww


@njit(nogil=True, cache=True)
def deviations(index, intensity, sigma, partiality, k, shell, shell_sum, shell_weight, out):  # type: ignore[no-untyped-def]
    """Write each observation's deviation from its shell's mean, relative and weighted as in `correlate`, into `out`.

    They have unit length over the crystal; 0 where `index` is -1.
    """
    sw, sx, norm = 0.0, 0.0, 0.0
    for step in range(2):
        for i in range(index.shape[0]):
            s = shell[index[i]] if index[i] >= 0 else 0
            if index[i] < 0 or not shell_sum[s] > 0.0:
                out[i] = 0.0
                continue
            expected = k * partiality[i] * shell_sum[s] / shell_weight[s]
            x = max(-6.0, min(6.0, intensity[i] / expected))
            w = 1.0 / (1.0 + (sigma[i] / expected) ** 2)
            if step == 0:
                sw += w
                sx += w * x
            else:
                out[i] = w * (x - sx / sw)
                norm += out[i] * out[i]
    if norm > 0.0:
        for i in range(index.shape[0]):
            out[i] /= math.sqrt(norm)


@njit(nogil=True, cache=True)
def residual(mean, squares, products, weights2, h):  # type: ignore[no-untyped-def]
    """Return ``sum (I - g mean)²`` over both halves' observations."""
    i2, gi, g2 = squares[0, h] + squares[1, h], products[0, h] + products[1, h], weights2[0, h] + weights2[1, h]
    return max(i2 - 2.0 * mean * gi + mean * mean * g2, 0.0)


@njit(nogil=True, cache=True)
def add(  # type: ignore[no-untyped-def]
    index, intensity, sigma, partiality, inverse_d, k, b, half, shell, shell_sum, shell_weight,
    count, weight, mean, squares, products, weights2, noise,
):  # fmt: skip
    """Add a crystal's observations to one half and return how many were rejected as outliers."""
    rejected = 0
    for i in range(index.shape[0]):
        h = index[i]
        g = k * math.exp(-0.5 * b * inverse_d[h] * inverse_d[h]) * partiality[i]
        number, _total, average = pooled(count, weight, mean, h)
        if number >= FEWEST_FOR_REJECTION:
            about = residual(average, squares, products, weights2, h) / (weights2[0, h] + weights2[1, h])
            variance = about * number / (number - 1) * g * g + sigma[i] * sigma[i]
            if (intensity[i] - g * average) ** 2 > REJECT_BEYOND * REJECT_BEYOND * variance:
                rejected += 1
                continue
        count[half, h] += 1
        weight[half, h] += g
        mean[half, h] += (intensity[i] - g * mean[half, h]) / weight[half, h]
        squares[half, h] += intensity[i] * intensity[i]
        products[half, h] += g * intensity[i]
        weights2[half, h] += g * g
        noise[half, h] += sigma[i] * sigma[i]
        shell_sum[shell[h]] += intensity[i]
        shell_weight[shell[h]] += g
    return rejected


@njit(nogil=True, cache=True)
def join_halves(count, weight, mean, squares, products, weights2, noise, intensity, sigma, number):  # type: ignore[no-untyped-def]
    """Write the merged intensity, its standard deviation and the number of observations of each reflection.

    The variance is ``n / (n - 1) sum (I - g J)² / (sum g)²``, which holds whatever the observations' own variances are
    (H. White, Econometrica 48, 817, 1980); these are its lower limit, and all that there is to say for a single
    observation. NaN for reflections never observed.
    """
    for h in range(count.shape[1]):
        number[h], total, average = pooled(count, weight, mean, h)
        if number[h] == 0:
            intensity[h], sigma[h] = math.nan, math.nan
            continue
        intensity[h] = average
        variance = noise[0, h] + noise[1, h]
        if number[h] > 1:
            about = residual(average, squares, products, weights2, h)
            variance = max(variance, about * number[h] / (number[h] - 1))
        sigma[h] = math.sqrt(variance) / total

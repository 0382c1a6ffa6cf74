"""Which ring about the beam each pixel belongs to, and which pixels stand for a ring."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector

LEFT_OUT = np.uint16(65535)
"""The bin of pixels that are masked, outside the window, or on no panel."""

_SEED = 1931
"""Samples are drawn with this seed, so that a frame gives the same peaks on every node and in every run."""


@dataclass(frozen=True)
class Window:
    """Where on the detector to look; None leaves a side open."""

    min_radius: float | None = None
    """Pixels closer to the beam than this many pixels, or just as far, are left out."""
    max_radius: float | None = None
    """Pixels this many pixels from the beam, or further, are left out."""
    d_min: float | None = None
    """Pixels of a finer resolution than this, Angstrom, are left out."""
    d_max: float | None = None
    """Pixels of a coarser resolution than this, Angstrom, are left out."""

    def __post_init__(self) -> None:
        for low, high, unit in (("min_radius", "max_radius", "pixels"), ("d_min", "d_max", "Angstrom")):
            a, b = getattr(self, low), getattr(self, high)
            for name, value in ((low, a), (high, b)):
                if value is not None and not value >= 0:
                    raise ValueError(f"{name} must be zero or more {unit}, found {value}")
            if a is not None and b is not None and not a < b:
                raise ValueError(f"{low} must be smaller than {high}, found {a} and {b} {unit}")


def radial_bins(detector: Detector, window: Window) -> NDArray[np.uint16]:
    """Return for each pixel its distance from the beam, rounded to whole pixels: ``(ss, fs)`` uint16.

    Pixels that are masked or outside the window hold `LEFT_OUT`. Raises ValueError where a pixel is further from the
    beam than 65534 pixels, or where a resolution is asked for and the photon energy is unknown.
    """
    radius = detector.pixel_radius
    if window.d_min is None and window.d_max is None:
        # any array does where nothing is asked of q
        q = radius
    elif detector.beam is None:
        raise ValueError(
            "d_min and d_max need the photon energy: give the detector a beam, or use min_radius and max_radius"
        )
    else:
        q = detector.q_map()
    bins = np.empty(detector.shape, np.uint16)
    furthest = _fill_bins(
        radius,
        detector.mask,
        -1.0 if window.min_radius is None else float(window.min_radius),
        np.inf if window.max_radius is None else float(window.max_radius),
        q,
        1.0 / window.d_max if window.d_max else -1.0,
        1.0 / window.d_min if window.d_min else np.inf,
        bins,
    )
    if furthest >= LEFT_OUT:
        raise ValueError(
            f"a pixel lies {furthest:.0f} pixels from the beam, expected at most {LEFT_OUT - 1}: "
            "check the geometry's corner positions, or set max_radius"
        )
    return bins


@njit(nogil=True, cache=True)
def _fill_bins(radius, masked, r_min, r_max, q, q_min, q_max, bins):  # type: ignore[no-untyped-def]
    """Write the bin of each pixel; return the largest distance, rounded, of those that are not left out."""
    furthest = 0.0
    for row in range(bins.shape[0]):
        for column in range(bins.shape[1]):
            bins[row, column] = LEFT_OUT
            inside = r_min < radius[row, column] < r_max and q_min <= q[row, column] <= q_max
            if inside and not masked[row, column]:
                whole = np.rint(np.float64(radius[row, column]))
                furthest = max(furthest, whole)
                bins[row, column] = np.uint16(min(whole, 65535.0))
    return furthest


@dataclass(frozen=True, eq=False)
class RingPixels:
    """The pixels whose values stand for each ring, in pieces of rows, and where each value goes when sorted by ring."""

    starts: NDArray[np.int64]
    """``(n_pieces,)``: first pixel of each piece in the flat image, ascending."""
    lengths: NDArray[np.int32]
    """``(n_pieces,)``: pixels in it."""
    slots: NDArray[np.uint32]
    """``(sum of lengths,)``: where each pixel's value goes; pixels of no ring all go behind the last one."""
    first: NDArray[np.int64]
    """``(n_bins + 1,)``: where each ring's values start."""

    @classmethod
    def every(cls, detector: Detector, bins: NDArray[np.uint16]) -> "RingPixels":
        """Take every pixel."""
        return cls._from_pieces(bins, *_pieces(detector, bins, 512))

    @classmethod
    def sample(cls, detector: Detector, bins: NDArray[np.uint16], per_ring: int) -> "RingPixels":
        """Take about `per_ring` pixels of each ring, or all where it has fewer, spread evenly around the beam.

        They are drawn in pieces of 64 neighbours along a row: most of the cost is in fetching memory, which comes in
        lines and is fetched ahead along them (16 Mpx uint16: 0.6 ms, in pieces of 16 pixels 3.6 ms).
        """
        starts, lengths = _pieces(detector, bins, 64)
        order = np.random.default_rng(_SEED).permutation(len(starts))
        chosen = np.zeros(len(starts), np.bool_)
        _choose(bins.reshape(-1), starts, lengths, order, per_ring, chosen)
        return cls._from_pieces(bins, starts[chosen], lengths[chosen])

    @classmethod
    def _from_pieces(
        cls, bins: NDArray[np.uint16], starts: NDArray[np.int64], lengths: NDArray[np.int32]
    ) -> "RingPixels":
        flat = bins.reshape(-1)
        counts = np.zeros(int(LEFT_OUT) + 1, np.int64)
        _count(flat, starts, lengths, counts)
        used = np.flatnonzero(counts[:LEFT_OUT])
        n_bins = int(used[-1]) + 1 if len(used) else 0
        first = np.zeros(n_bins + 1, np.int64)
        np.cumsum(counts[:n_bins], out=first[1:])
        slots = np.empty(int(lengths.sum()), np.uint32)
        _assign_slots(flat, starts, lengths, first, slots)
        return cls(starts, lengths, slots, first)


def _pieces(detector: Detector, bins: NDArray[np.uint16], size: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Cut the rows of each panel into pieces of up to `size` pixels; leave out those with no usable pixel."""
    n_fs = detector.shape[1]
    starts, lengths = [], []
    for panel in detector.panels:
        columns = np.arange(panel.fs_start, panel.fs_stop, size)
        rows = np.arange(panel.ss_start, panel.ss_stop)
        starts.append((rows[:, None] * n_fs + columns).reshape(-1))
        lengths.append(np.tile(np.minimum(panel.fs_stop - columns, size), len(rows)))
    start, length = np.concatenate(starts), np.concatenate(lengths).astype(np.int32)
    used = np.zeros(len(start), np.bool_)
    _find_used(bins.reshape(-1), start, length, used)
    start, length = start[used], length[used]
    order = np.argsort(start, kind="stable")
    return start[order], length[order]


@njit(nogil=True, cache=True)
def _find_used(bins, starts, lengths, used):  # type: ignore[no-untyped-def]
    for piece in range(starts.size):
        for i in range(starts[piece], starts[piece] + lengths[piece]):
            if bins[i] != LEFT_OUT:
                used[piece] = True
                break


@njit(nogil=True, cache=True)
def _choose(bins, starts, lengths, order, per_ring, chosen):  # type: ignore[no-untyped-def]
    """Choose pieces in the given order: first those of which half still helps, then those that help at all."""
    have = np.zeros(LEFT_OUT, np.int64)
    for share in (2, 1000):
        for piece in order:
            if chosen[piece]:
                continue
            usable = wanted = 0
            for i in range(starts[piece], starts[piece] + lengths[piece]):
                if bins[i] != LEFT_OUT:
                    usable += 1
                    wanted += have[bins[i]] < per_ring
            if wanted * share >= usable and wanted > 0:
                chosen[piece] = True
                for i in range(starts[piece], starts[piece] + lengths[piece]):
                    if bins[i] != LEFT_OUT:
                        have[bins[i]] += 1


@njit(nogil=True, cache=True)
def _count(bins, starts, lengths, counts):  # type: ignore[no-untyped-def]
    for piece in range(starts.size):
        for i in range(starts[piece], starts[piece] + lengths[piece]):
            counts[bins[i]] += 1


@njit(nogil=True, cache=True)
def _assign_slots(bins, starts, lengths, first, slots):  # type: ignore[no-untyped-def]
    cursor = first.copy()
    j = 0
    for piece in range(starts.size):
        for i in range(starts[piece], starts[piece] + lengths[piece]):
            ring = bins[i]
            if ring == LEFT_OUT:
                slots[j] = first[-1]
            else:
                slots[j] = cursor[ring]
                cursor[ring] += 1
            j += 1

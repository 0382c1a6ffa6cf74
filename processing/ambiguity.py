"""Settings of a crystal that its spots' places cannot tell apart, and which of them each crystal is in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, eigsh

from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MAX_COPIES = 16_384
"""Crystals times settings that are clustered at once at most."""


@dataclass(frozen=True, eq=False)
class Setting:
    """One way of indexing a crystal."""

    rotation: I64
    """``(3, 3)``: makes the reference's Miller indices of the crystal's own, ``rotation @ hkl``."""
    name: str
    """Such as ``k,h,-l``."""


def settings_of(cell: UnitCell) -> tuple[Setting, ...]:
    """Return the settings of a crystal that differ in intensities but not in where the lattice's nodes are.

    One for each coset of the Laue group in the lattice's rotations, the crystal as it is first: P 6₃ has ``h,k,l`` and
    ``k,h,-l``, and P 4₃ 2₁ 2 only the first. A lattice that is more symmetric by the accident of its shape (within
    `bravais.LENGTH_TOLERANCE` and `ANGLE_TOLERANCE`) counts with what it has.
    """
    laue = cell.laue_rotations
    known = {tuple(rotation.ravel()) for rotation in laue}
    found = [np.eye(3, dtype=np.int64)]
    for rotation in sorted(cell.lattice_rotations, key=_plainness):
        if tuple(rotation.ravel()) not in known:
            found.append(np.asarray(rotation, np.int64))
            known.update(tuple(mate.ravel()) for mate in laue @ rotation)
    return tuple(Setting(rotation, _name(rotation)) for rotation in found)


def describe(cell: UnitCell) -> str | None:
    """Return a sentence that names the ambiguity of a cell's space group; None where there is none."""
    settings = settings_of(cell)
    if len(settings) == 1:
        return None
    return (
        f"{cell.space_group} can be indexed in {len(settings)} ways that the spots' places cannot tell apart: "
        f"{'; '.join(setting.name for setting in settings)}"
    )


@dataclass(frozen=True, eq=False)
class Clustering:
    """Which setting each crystal is in."""

    choice: I64
    """``(n,)``: number of the setting."""
    agreement: float
    """Share of the crystals on which two halves, clustered apart from each other, agree."""


def cluster(copies: list[csr_array], seed: int = 0) -> Clustering:
    """Sort crystals into the settings in which their intensities correlate.

    `copies`: for each setting the ``(n, n_unique)`` deviations of each crystal's intensities from their expectation,
    rows of unit length. Every crystal in every setting is a point, embedded by the leading eigenvectors of the matrix
    of their correlations: the idea of Brehm & Diederichs, Acta Cryst. D 70, 101 (2014), on all settings at once as in
    Gildea & Winter, Acta Cryst. D 74, 405 (2018). Then, crystal by crystal, the setting is taken that agrees best with
    the others' sum, until nothing changes. Settings are relative: all crystals may share one that is not the first.
    Raises ValueError for fewer than 8 crystals, or more than 16384 points.
    """
    n, m = copies[0].shape[0], len(copies)
    if n < 8 or n * m > MAX_COPIES:
        raise ValueError(f"expected between 8 crystals and {MAX_COPIES // m} in {m} settings each, found {n}")
    order = np.random.default_rng(seed).permutation(n)
    parts = np.sort(order[: n // 2]), np.sort(order[n // 2 :])
    halves = [[copy[part] for copy in copies] for part in parts]
    places = [_embedded(half) for half in halves]
    if not all(place.any() for place in places):
        return Clustering(np.zeros(n, np.int64), 0.0)  # nothing tells the settings apart
    first, second = (_cluster(half, place) for half, place in zip(halves, places, strict=True))
    # the second half's crystals as the first half's sum would have them
    theirs = np.argmax(_scores(halves[1], _sum(halves[0], first)), axis=1)
    table = np.zeros((m, m), np.int64)
    np.add.at(table, (theirs, second), 1)
    agreement = float(table.max(axis=1).sum() / len(second)) if _is_permutation(table) else 0.0
    whole = np.empty(n, np.int64)
    whole[parts[0]], whole[parts[1]] = first, theirs
    return Clustering(_improved(copies, whole), agreement)


def _cluster(copies: list[csr_array], points: F64) -> I64:
    n, m = copies[0].shape[0], len(copies)
    place = points.reshape(m, n, -1)
    # the crystal whose copies lie farthest apart is the seed: its copies are the clusters' first centres
    apart = np.sum((place - place.mean(axis=0)) ** 2, axis=(0, 2))
    centre = place[:, int(np.argmax(apart))]
    choice = np.zeros(n, np.int64)
    for _ in range(20):
        # crystal i is in setting a where its copy a lies along the first centre
        was = choice
        choice = np.argmax(np.einsum("and,d->na", place, centre[0]), axis=1)
        if (choice == was).all():
            break
        centre = place[choice, np.arange(n)].mean(axis=0)[None]
    return _improved(copies, choice)


def _embedded(copies: list[csr_array]) -> F64:
    """Return the points of all copies, setting by setting, ``(m n, dimensions)``; zeros where none correlate."""
    n, m = copies[0].shape[0], len(copies)

    def apart(values: F64) -> F64:
        """Take off what all settings of a crystal have in common."""
        shaped = values.reshape(m, n)
        return np.asarray((shaped - shaped.mean(axis=0)).ravel())

    own = [[np.asarray(a.multiply(b).sum(axis=1)).ravel() for b in copies] for a in copies]

    def correlate(values: F64) -> F64:
        """Apply the matrix of correlations; a crystal's with itself are left out."""
        parts = apart(np.ravel(values)).reshape(m, n)
        total = sum(copy.T @ part for copy, part in zip(copies, parts, strict=True))
        result = np.stack([copy @ total for copy in copies])
        for a in range(m):
            for b in range(m):
                result[a] -= own[a][b] * parts[b]
        return apart(result)

    dimensions = min(m - 1, 6)
    start = np.random.default_rng(0).normal(size=n * m)
    if not correlate(start).any():
        return np.zeros((n * m, dimensions))
    values, vectors = eigsh(
        LinearOperator((n * m, n * m), matvec=correlate, dtype=float), dimensions, which="LA", v0=start, tol=1e-3
    )
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _improved(copies: list[csr_array], choice: I64) -> I64:
    """Move every crystal to the setting in which it agrees best with all others, until none moves."""
    n = len(choice)
    own = np.stack([np.stack([np.asarray(a.multiply(b).sum(axis=1)).ravel() for b in copies]) for a in copies])
    for _ in range(30):
        scores = _scores(copies, _sum(copies, choice))
        scores -= own[:, choice, np.arange(n)].T
        best = np.argmax(scores, axis=1)
        if (best == choice).all():
            break
        choice = best
    return choice


def _sum(copies: list[csr_array], choice: I64) -> F64:
    return np.asarray(sum(copy.T @ (choice == a).astype(float) for a, copy in enumerate(copies)))


def _scores(copies: list[csr_array], reference: F64) -> F64:
    """Return how well each crystal agrees with a reference in each setting, ``(n, m)``."""
    return np.stack([copy @ reference for copy in copies], axis=1)


def _is_permutation(table: I64) -> bool:
    """Tell whether each setting of the one half is mostly one of the other's, and no two the same."""
    used = table.sum(axis=1) > 0
    best = table.argmax(axis=1)[used]
    return len(set(best.tolist())) == len(best)


def _plainness(rotation: I64) -> tuple[bool, int, int, tuple[int, ...]]:
    """Return what to sort rotations by, so that a coset goes by its plainest: twofold ones of few signs first."""
    numbers = tuple(map(int, rotation.ravel()))
    twofold = bool((rotation @ rotation == np.eye(3)).all())
    return not twofold, sum(map(abs, numbers)), sum(n < 0 for n in numbers), tuple(-n for n in numbers)


def _name(rotation: I64) -> str:
    words = []
    for row in rotation:
        terms = [
            ("-" if number < 0 else "+") + letter
            for number, letter in zip(row, "hkl", strict=True)
            for _ in range(abs(int(number)))
        ]
        words.append("".join(terms).removeprefix("+"))
    return ",".join(words)

"""How well and how fast spots of a known cell are indexed: python benchmarks/indexing.py [--shared DIR] [--random N].

Indexes the real spot lists, CrystFEL's peaks of the frames with truth and the stills that DIALS indexed, all in the
reference data, on one core, and lists of random spots with the resolutions of the real ones. For each set: lists
indexed with the right lattice, the median error of orientation, and the time a list takes (median over lists of the
least of several repeats; a repeat is the whole call from q to crystals).
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.unit_cell import UnitCell

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "processing"))
import indexing_truth as truth_of  # noqa: E402

F64 = NDArray[np.float64]
LYSOZYME = UnitCell(79.2, 79.2, 38.0, 90, 90, 90, "P 43 21 2")


def least_seconds(work: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def report(name: str, lists: Iterable[tuple[Indexer, F64, list[F64]]], repeats: int) -> None:
    """Index lists ``(indexer, q, true axes)`` and print what came of it; without true axes the cell has to do."""
    seconds, errors, lattices, extra = [], [], 0, 0
    for indexer, q, truths in lists:
        crystals = indexer(q)
        seconds.append(least_seconds(lambda indexer=indexer, q=q: indexer(q), repeats))  # type: ignore[misc]
        lattices += max(1, len(truths))
        if truths:
            nearest = [min([truth_of.misorientation(c.A, t) for c in crystals], default=180.0) for t in truths]
            errors += [error for error in nearest if error < 1.0]
            extra += sum(min(truth_of.misorientation(c.A, t) for t in truths) >= 1.0 for c in crystals)
        else:
            wanted, found = np.array(indexer.cell.parameters), np.array([c.cell for c in crystals[:1]])
            within = np.abs(found - wanted) <= np.concatenate([0.03 * wanted[:3], [2.0] * 3])
            errors += [0.0] if len(found) and within.all() else []
    error = f"median error {np.median(errors):6.3f} deg" if any(errors) else "by cell (3 %, 2 deg)   "
    print(
        f"{name:44} right {len(errors):4} of {lattices:4}, others {extra:2}, {error}, "
        f"{np.median(seconds) * 1e6:6.0f} us ({1 / np.median(seconds):5.0f}/s), worst {max(seconds) * 1e6:6.0f} us"
    )


def random_lists(lengths: list[F64], n: int) -> None:
    """Index `n` lists of 20 to 900 random spots and print how many made a lattice."""
    rng = np.random.default_rng(0)
    indexer, accepted, seconds = Indexer(LYSOZYME), 0, []
    for _ in range(n):
        size = int(np.exp(rng.uniform(np.log(20), np.log(900))))
        q = truth_of.spots_anywhere(rng, rng.choice(lengths[rng.integers(len(lengths))], size))
        start = time.perf_counter()
        accepted += bool(indexer(q))
        seconds.append(time.perf_counter() - start)
    print(f"random spots, 20-900 a list: accepted {accepted} of {n}, {np.median(seconds) * 1e6:.0f} us a list")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=HERE.parents[1] / "shared", help="folder of reference data")
    parser.add_argument("--random", type=int, default=1000, help="lists of random spots")
    parser.add_argument("--repeats", type=int, default=20, help="repeats of each timing")
    options = parser.parse_args()
    shared, repeats = options.shared, options.repeats

    real = [truth_of.real_list(path) for path in sorted((shared / "spots").glob("*.txt"))]
    report("real lists (lysozyme) and two perfect ones", [(Indexer(cell), q, []) for cell, q in real], repeats)

    detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    for name, lattices in (("lysozyme_4m", 1), ("lysozyme_4m_hard", 2)):
        indexer = Indexer(LYSOZYME, max_lattices=lattices)
        frames = truth_of.crystfel_peaks(shared / "frames" / f"{name}.h5")
        hits = [(indexer, detector.q(peaks[:, 0], peaks[:, 1]), list(axes)) for _, peaks, axes in frames]
        report(f"{name}, CrystFEL's peaks", hits, repeats)

    indexer = Indexer(LYSOZYME)
    stills = truth_of.cspad_stills(shared / "spots" / "lcls_cspad_lysozyme.npz")
    report("lysozyme stills, LCLS CSPAD", [(indexer, q, [axes]) for q, axes in stills], repeats)
    for name, cell, images in (
        ("thermolysin, LCLS CSPAD", UnitCell(92.9, 92.9, 130.4, 90, 90, 120, "P 61 2 2"), truth_of.thermolysin),
        ("thaumatin, PILATUS3 6M", UnitCell(58.4, 58.4, 152.3, 90, 90, 90, "P 41 21 2"), truth_of.thaumatin),
    ):
        indexer = Indexer(cell)
        found = [(d.q(x["fs"], x["ss"], x["panel"]), x["A"]) for d, x in images(shared)]
        report(name, [(indexer, q, [axes]) for q, axes in found], repeats)

    random_lists([np.linalg.norm(q, axis=1) for _, q in real[:15]], options.random)


if __name__ == "__main__":
    main()

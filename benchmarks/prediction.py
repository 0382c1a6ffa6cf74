"""How well and how fast reflections are predicted: python -m benchmarks.prediction [--shared DIR] [--repeats N].

For the 4 Mpx frames of lysozyme with truth: milliseconds a crystal (median over crystals of the least of several
repeats), reflections a crystal, and the share of CrystFEL's peaks within 2 pixels of one. Then milliseconds a crystal
on detectors of many panels.
"""

import argparse
import time
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from braggwatch.processing.detector import Detector
from braggwatch.processing.prediction import Predictor
from braggwatch.processing.simulation.demo import LYSOZYME
from braggwatch.processing.simulation.still import random_rotations


def report(name: str, predictor: Predictor, crystals: list[NDArray[np.float64]], repeats: int) -> None:
    seconds, numbers = [], []
    for A in crystals:
        taken = []
        for _ in range(repeats):
            start = time.perf_counter()
            found = predictor(A)
            taken.append(time.perf_counter() - start)
        seconds.append(min(taken))
        numbers.append(len(found))
    print(
        f"{name:36} {np.median(seconds) * 1e3:6.3f} ms a crystal (worst {max(seconds) * 1e3:.3f}), "
        f"{np.median(numbers):5.0f} reflections to {1 / predictor.inverse_d_max:.2f} A"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[2] / "shared")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()

    with h5py.File(options.shared / "frames" / "lysozyme_4m.h5") as file:
        frames, reciprocal = file["truth/lattice_frame"][()], file["truth/reciprocal_vectors"][()]
        frame, peaks = (file[f"crystfel_peakfinder8/{name}"][()] for name in ("frame", "fs_ss_intensity"))
    crystals = list(np.linalg.inv(reciprocal).transpose(0, 2, 1))
    predictor = Predictor(Detector.from_crystfel(options.shared / "frames" / "lysozyme_4m.geom"), LYSOZYME)
    report("lysozyme, one panel of 4 Mpx", predictor, crystals, options.repeats)
    distances = []
    for number, A in zip(frames, crystals, strict=True):
        found = predictor(A)
        tree = cKDTree(np.stack([found.fs, found.ss], axis=1))
        distances.append(tree.query(peaks[frame == number, :2])[0])
    near = np.concatenate(distances) < 2.0
    print(f"{'':36} CrystFEL's peaks within 2 pixels of one: {near.sum()} of {near.size}")

    turned = list(LYSOZYME.A @ random_rotations(np.random.default_rng(0), 16).transpose(0, 2, 1))
    for name in ("jf-swissfel-16M", "lcls-cxi-jungfrau4M", "agipd_mar18_v11"):
        detector = Detector.from_crystfel(
            options.shared / "geometries" / f"{name}.geom", distance=0.1, photon_energy=9500.0
        ).with_distance(0.1)
        predictor = Predictor(detector, LYSOZYME)
        report(f"lysozyme, {name} ({len(detector.panels)} panels)", predictor, turned, options.repeats)


if __name__ == "__main__":
    main()

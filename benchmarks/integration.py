"""How right and how fast crystals are refined, predicted and integrated: python -m benchmarks.integration [--shots N].

On the 4 Mpx frames of lysozyme with truth and on simulated stills: distance of predicted from found spots, share of
found and indexed spots that are predicted, share of predicted places where the detector knows nothing, and milliseconds
a crystal (median over crystals of the least of 5 repeats; for all that the stage does: of the first). On the simulated
stills also integrated against true partial intensities: correlation where I/sigma > 5, mean and standard deviation of
(I - true) / sigma by resolution and by intensity, and what is said of the crystals.
`--method profile` fits learned profiles, `--background plane` takes off a plane.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - registers the frames' compression
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.integration import Integrator
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.prediction import Predictor, estimate_profile_radius
from braggwatch.processing.refinement import Refiner
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.simulation.comparison import true_intensities
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector
from braggwatch.processing.simulation.still import StillSimulator, StillTruth
from braggwatch.processing.stages.integrate import Integrate, IntegrateSettings

BEAM_STOP = 0.0021
SERIES = Series(key="benchmark", number=1, dtype="uint16")
RESOLUTIONS = (np.inf, 4.0, 3.0, 2.5, 2.0, 1.8, 0.0)
PHOTONS = (0.0, 1.0, 10.0, 100.0, 1000.0, np.inf)
REPEATS = 5
Still = tuple[NDArray[Any], StillTruth | None]


def frames_with_truth(path: Path) -> Iterator[Still]:
    """Give the hits of the reference frames."""
    with h5py.File(path) as file:
        for number in np.unique(file["truth/lattice_frame"][()]):
            yield file["entry/data/data"][number], None


def simulated(detector: Detector, n: int) -> Iterator[Still]:
    simulator = StillSimulator(detector, LYSOZYME, beam_stop=BEAM_STOP)
    for seed in range(n):
        yield simulator.simulate(seed)


class Chain:
    """Finds, indexes and integrates, and takes the time of the parts of the last."""

    def __init__(self, detector: Detector, settings: IntegrateSettings) -> None:
        self.detector = detector
        self._find, self._indexer = PeakFinder(detector), Indexer(LYSOZYME)
        self._stage = Integrate(settings)
        self._stage.begin(SERIES, detector)
        self._refine = Refiner(detector, LYSOZYME)
        self._integrate = Integrator(detector, method=settings.method, background=settings.background)
        self.seconds: dict[str, list[float]] = {
            "refine": [], "predict": [], "integrate": [], "integrate 500": [], "all of it, once": [],
        }  # fmt: skip
        self.sizes: list[int] = []

    def __call__(self, image: NDArray[Any]) -> tuple[Crystal, Crystal, Reflections, Peaks] | None:
        """Return the first lattice as it was indexed and refined, its reflections and the spots."""
        peaks = self._find(image)
        crystals = self._indexer.index(peaks, self.detector)
        if not crystals:
            return None
        frame = Frame(series="", number=0, payload=b"", shape=image.shape, dtype="uint16", encoding=Encoding())
        shot = Shot(SERIES, frame, image, self.detector, peaks=peaks, crystals=crystals[:1])
        start = time.perf_counter()
        self._stage.event(shot)
        self.seconds["all of it, once"].append(time.perf_counter() - start)
        self._take_times(image, crystals[0], peaks)
        return crystals[0], shot.crystals[0], shot.reflections[0], peaks

    def _take_times(self, image: NDArray[Any], crystal: Crystal, peaks: Peaks) -> None:
        assert self.detector.beam is not None
        refined = self._timed("refine", lambda: self._refine(crystal, peaks)).crystal
        radius = max(1.2 * estimate_profile_radius(refined, self.detector.beam), 1e-4)
        predictor = Predictor(self.detector, LYSOZYME, profile_radius=radius)
        predicted = self._timed("predict", lambda: predictor(refined.A))
        self._timed("integrate", lambda: self._integrate(image, predicted))
        self.sizes.append(len(predicted))
        many = Predictor(self.detector, LYSOZYME, profile_radius=radius * 600 / len(predicted))(refined.A)
        if len(many) >= 500:
            some = many[np.arange(500)]
            self._timed("integrate 500", lambda: self._integrate(image, some))

    def _timed(self, name: str, call: Callable[[], Any]) -> Any:
        taken = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            result = call()
            taken.append(time.perf_counter() - start)
        self.seconds[name].append(min(taken))
        return result


class Found:
    """Gathers what was found, and prints it."""

    def __init__(self) -> None:
        self.n_shots = 0
        self._rows: list[NDArray[np.float64]] = []
        self._distances: list[NDArray[np.float64]] = []
        self._n_insensitive = self._n_predicted = 0
        self._crystals: list[Crystal] = []
        self._fitted = 0

    def add(self, image: NDArray[Any], found: tuple[Crystal, Crystal, Reflections, Peaks], mask: NDArray[Any]) -> None:
        """Add a shot: places of its first lattice's reflections."""
        indexed, refined, reflections, peaks = found
        rows = {tuple(hkl): i for i, hkl in enumerate(reflections.hkl.tolist())}
        place = np.stack([reflections.fs, reflections.ss], axis=1)
        spots = np.stack([peaks.fs, peaks.ss], axis=1)[indexed.spots]
        predicted = [rows.get(tuple(hkl), -1) for hkl in indexed.hkl.tolist()]
        distance = np.hypot(*(place[predicted] - spots).T)
        self._distances.append(np.where(np.array(predicted) < 0, np.inf, distance))
        row, column = reflections.ss.astype(int), reflections.fs.astype(int)
        self._n_insensitive += int((mask[row, column] | (image[row, column] == np.iinfo(image.dtype).max)).sum())
        self._n_predicted += len(reflections)
        self._fitted += int(reflections.fitted.sum())
        self._crystals.append(refined)

    def compare(self, crystal: Crystal, reflections: Reflections, truth: StillTruth) -> None:
        """Add the intensities."""
        true = true_intensities(crystal, reflections, truth)
        ok = reflections.good & np.isfinite(true)
        r = reflections[ok]
        self._rows.append(np.stack([r.intensity, r.sigma, true[ok], r.inverse_d], axis=1).astype(float))

    def print_places(self) -> None:
        """Say where reflections were predicted, and what became of the crystals."""
        distance = np.concatenate(self._distances)
        near = distance < 2.0
        print(
            f"  {len(self._crystals)} of {self.n_shots} indexed; {len(distance)} indexed spots, "
            f"{100 * near.mean():.1f} % of them predicted within 2 px, RMSD "
            f"{np.sqrt((distance[near] ** 2).mean()):.3f} px\n"
            f"  {self._n_predicted} predicted places, {100 * self._n_insensitive / self._n_predicted:.2f} % of them "
            f"off the active area; {100 * self._fitted / self._n_predicted:.0f} % fitted by profile"
        )
        for name, unit in (("block_size", "A"), ("mosaicity", "degrees"), ("diffraction_limit", "A")):
            values = np.array([getattr(crystal, name) for crystal in self._crystals])
            low, middle, high = np.nanquantile(values, [0.1, 0.5, 0.9])
            print(
                f"  {name}: median {middle:.3g} {unit}, 80 % within {low:.3g} and {high:.3g}; not told for "
                f"{np.isnan(values).sum()}"
            )

    def print_intensities(self) -> None:
        """Say how far intensities are from the truth."""
        if not self._rows:
            return
        intensity, sigma, true, inverse_d = np.concatenate(self._rows).T
        pull = (intensity - true) / sigma
        strong = intensity > 5 * sigma
        print(
            f"  {len(pull)} unflagged intensities: correlation with the truth for I/sigma > 5 "
            f"{np.corrcoef(intensity[strong], true[strong])[0, 1]:.4f} ({strong.sum()})\n"
            f"  (I - true)/sigma: mean {pull.mean():+.3f}, standard deviation {pull.std():.3f}; scatter of those below "
            f"30 photons {(intensity - true)[true < 30].std():.2f} photons"
        )
        d = 1.0 / inverse_d
        shells = [(f"d {b:.1f} to {a:.1f} A", (d <= a) & (d > b)) for a, b in pairwise(RESOLUTIONS)]
        shells += [(f"{a:g} to {b:g} photons", (true >= a) & (true < b)) for a, b in pairwise(PHOTONS)]
        for name, which in shells:
            print(f"    {name:22} n {which.sum():7} mean {pull[which].mean():+.3f} deviation {pull[which].std():.3f}")


def report(name: str, stills: Iterator[Still], chain: Chain) -> None:
    found = Found()
    for image, truth in stills:
        found.n_shots += 1
        result = chain(image)
        if result is not None:
            found.add(image, result, chain.detector.mask)
            if truth is not None:
                found.compare(result[1], result[2], truth)
    print(name)
    found.print_places()
    found.print_intensities()
    times = ", ".join(f"{part} {np.median(taken) * 1e3:.3f}" for part, taken in chain.seconds.items())
    print(f"  ms a crystal of {np.median(chain.sizes):.0f} reflections, median: {times}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[2] / "shared")
    parser.add_argument("--shots", type=int, default=500)
    parser.add_argument("--method", choices=("summation", "profile"), default="summation")
    parser.add_argument("--background", choices=("mean", "plane"), default="mean")
    options = parser.parse_args(arguments)
    settings = IntegrateSettings(method=options.method, background=options.background)

    frames = options.shared / "frames"
    detector = Detector.from_crystfel(frames / "lysozyme_4m.geom")
    with h5py.File(frames / "lysozyme_4m.h5") as file:
        detector = detector.with_mask(file["mask"][()])
    report("lysozyme_4m.h5", frames_with_truth(frames / "lysozyme_4m.h5"), Chain(detector, settings))
    detector = demo_detector()
    shadow = detector.pixel_radius * detector.panels[0].pixel_size < BEAM_STOP
    detector = detector.with_mask(detector.mask | shadow)
    report(f"{options.shots} simulated stills", simulated(detector, options.shots), Chain(detector, settings))


if __name__ == "__main__":
    main()

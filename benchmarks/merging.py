"""How fast and how well crystals are merged, and how good the forecast is: python -m benchmarks.merging.

2000 lysozyme crystals at the level of reflections: crystals a second, milliseconds for the statistics, correlation with
the true intensities by shell. Then crystals of 4/m, 6/m and -3 whose settings the lattice does not tell. Then simulated
experiments whose jet fluctuates: how often the true time to a target lies inside the forecast's 80 % interval.
"""

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.data_quality import Forecast, Target
from braggwatch.processing.forecast import Forecaster
from braggwatch.processing.merging import Merger
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector
from braggwatch.processing.simulation.partial_intensities import PartialIntensities
from braggwatch.processing.unit_cell import UnitCell


def crystals(simulator: PartialIntensities, n: int, rng: np.random.Generator) -> list[Reflections]:
    return [simulator.measure(simulator.excite(rng), rng, size(rng)) for _ in range(n)]


def size(rng: np.random.Generator) -> float:
    """Volume of a crystal times energy of a pulse, relative to mean ones."""
    return float(rng.lognormal(-0.15, 0.55))


def merge_lysozyme(n: int) -> None:
    rng = np.random.default_rng(1)
    simulator = PartialIntensities(demo_detector(), LYSOZYME, d_min=1.8)
    measured = crystals(simulator, n, rng)
    print(f"{n} lysozyme crystals to 1.8 A, {np.mean([len(one) for one in measured]):.0f} reflections a crystal")
    for options in ({}, {"weighting": "partiality"}, {"scaling": "scale_and_b"}, {"scaling": "none"}):
        warm = Merger(LYSOZYME, d_min=1.8, **options)
        warm.add(measured[0], "warm", 0)
        warm.finish()
        warm.statistics()
        merger = Merger(LYSOZYME, d_min=1.8, **options)
        start = time.perf_counter()
        for number, reflections in enumerate(measured):
            merger.add(reflections, "lysozyme", number)
        took = time.perf_counter() - start
        start = time.perf_counter()
        found = merger.statistics()
        merged = merger.merged()
        took_statistics = time.perf_counter() - start
        true = simulator.intensity[simulator.unit.index(merged.hkl)]
        print(
            f"{str(options) if options else 'as it comes':30} {n / took:7.0f} crystals/s, statistics in "
            f"{took_statistics * 1e3:.1f} ms, CC with the truth {np.corrcoef(merged.intensity, true)[0, 1]:.4f}, "
            f"CC1/2 {found.overall.cc_half:.4f}, R_split {found.overall.r_split:.3f}, "
            f"above 0.5 to {found.resolution(0.5):.2f} A"
        )
        if not options:
            d = merged.cell.d_spacing(merged.hkl)
            for shell in found.shells:
                part = (d <= shell.d_max) & (d > shell.d_min)
                print(
                    f"    {shell.d_max:5.2f} - {shell.d_min:.2f} A  {shell.completeness:7.2%}"
                    f"  {shell.multiplicity:5.1f}  I/sigma {shell.snr:5.1f}  CC1/2 {shell.cc_half:.3f}"
                    f"  CC* {shell.cc_star:.3f}  R_split {shell.r_split:.3f}  CC with the truth "
                    f"{np.corrcoef(merged.intensity[part], true[part])[0, 1]:.3f}"
                )


def settle_settings(n: int) -> None:
    for cell in (
        UnitCell(79.2, 79.2, 38.0, space_group="P 43"),
        UnitCell(92.9, 92.9, 60.4, gamma=120.0, space_group="P 63"),
        UnitCell(92.9, 92.9, 60.4, gamma=120.0, space_group="P 3"),
    ):
        for photons in (1000.0, 100.0, 30.0):
            rng = np.random.default_rng(2)
            simulator = PartialIntensities(demo_detector(), cell, d_min=2.5, photons=photons)
            merger = Merger(cell, d_min=2.5)
            table = np.zeros((len(merger.settings),) * 2, int)
            for number, reflections in enumerate(crystals(simulator, n, rng)):
                true = int(rng.integers(len(merger.settings)))
                settled = merger.is_settled
                found = merger.add(turned(reflections, merger.settings[true].rotation), "s", number)
                table[true, found.setting] += settled
            right = (
                f"right for {table.max(axis=1).sum() / table.sum():.1%} of {table.sum()} crystals after start-up"
                if table.sum()
                else "not yet clear"
            )
            print(
                f"{cell.space_group}, {photons:.0f} photons, {len(merger.settings)} settings: {right}; halves agreed "
                f"on {merger.agreement:.1%}"
            )


def turned(reflections: Reflections, rotation: NDArray[np.int64]) -> Reflections:
    """Return reflections indexed so that `rotation` brings them back."""
    back = np.rint(np.linalg.inv(rotation)).astype(np.int32)
    return replace(reflections, hkl=np.ascontiguousarray(reflections.hkl @ back.T))


@dataclass(frozen=True)
class Experiment:
    """A simulated experiment, and what was foretold of it."""

    forecast: Forecast
    seconds: float
    """True time from the forecast until the target was reached."""


def run_experiment(seed: int) -> Experiment | None:
    """Run an experiment until its target is reached; None where it is before a forecast was asked for."""
    rng = np.random.default_rng(seed)
    d_min = 2.5
    photons = float(np.exp(rng.uniform(np.log(10.0), np.log(100.0))))
    simulator = PartialIntensities(demo_detector(), LYSOZYME, d_min=d_min, photons=photons, seed=seed)
    merger = Merger(LYSOZYME, d_min=d_min)
    forecaster = Forecaster(merger, Target(d_min, rng.uniform(0.3, 0.8), rng.uniform(0.9, 0.995)))
    rate, asked_at = rng.uniform(2.0, 10.0), int(rng.integers(150, 400))
    wander, n = rng.normal(0.0, 0.4), 0
    forecast, asked = None, 0
    for second in range(100_000):
        # the logarithm of the rate wanders with a standard deviation of 0.4 and forgets within 15 s
        wander += -wander / 15.0 + 0.4 * np.sqrt(2.0 / 15.0) * rng.normal()
        for _ in range(rng.poisson(rate * np.exp(wander - 0.08))):
            merger.add(simulator.measure(simulator.excite(rng), rng, size(rng)), str(seed), n)
            n += 1
        forecaster.note(float(second))
        if forecaster.is_reached():
            return None if forecast is None else Experiment(forecast, float(second - asked))
        if forecast is None and n >= asked_at:
            forecast, asked = forecaster.forecast(), second
    return None if forecast is None else Experiment(forecast, np.inf)


def foretell(n: int) -> None:
    inside: list[bool] = []
    ratios: list[float] = []
    seed = 0
    while len(inside) < n:
        experiment = run_experiment(seed)
        seed += 1
        if experiment is None:
            continue
        forecast = experiment.forecast
        inside.append((forecast.low or np.inf) <= experiment.seconds <= (forecast.high or np.inf))
        ratios.append(experiment.seconds / (forecast.seconds or np.inf))
    print(
        f"{n} simulated experiments: the true time lies inside the 80 % interval in {np.mean(inside):.0%}; true time "
        f"over the median foretold: {np.percentile(ratios, 10):.2f}, {np.median(ratios):.2f}, "
        f"{np.percentile(ratios, 90):.2f} (10 %, 50 %, 90 %)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crystals", type=int, default=2000)
    parser.add_argument("--experiments", type=int, default=50)
    options = parser.parse_args()
    merge_lysozyme(options.crystals)
    settle_settings(800)
    foretell(options.experiments)


if __name__ == "__main__":
    main()

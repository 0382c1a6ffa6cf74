"""What a dumped 4 Mpx image costs beside the bare write of its bytes, and a file of results beside it.

    python benchmarks/dump.py [FOLDER]

Prints microseconds an image: wall clock and CPU (all threads, flushes included), for compressed chunks as they came,
for pixels that must be compressed first, for the bare write of the same bytes to a file, and for the file that the
stage `results` writes of a lattice with 500 reflections.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

import msgspec
import numpy as np

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.dump import Dump, DumpSettings
from braggwatch.processing.stages.results import Results, ResultsSettings

SHAPE = (2162, 2068)
N_DIFFERENT = 8
N_IMAGES = 400
SERIES = Series(key="bench", number=1, name="bench")


def some_peaks(random: np.random.Generator, n: int = 80) -> Peaks:
    def column() -> np.ndarray:
        return random.uniform(1, 2000, n).astype(np.float32)

    pixels = np.full(n, 9, np.int32)
    return Peaks(column(), column(), np.zeros(n, np.int16), column(), column(), column(), pixels, column())


def some_reflections(random: np.random.Generator, n: int = 500) -> Reflections:
    def column() -> np.ndarray:
        return random.uniform(1, 2000, n).astype(np.float32)

    return Reflections(
        random.integers(-40, 40, (n, 3), np.int32), column(), column(), np.zeros(n, np.int16), column(), column(),
        column(), column(), np.zeros(n, np.uint8), column(), column(), column(), np.zeros(n, bool),
    )  # fmt: skip


def measured(work: Callable[[int], None]) -> tuple[float, float, float]:
    """Return median and mean wall clock and mean CPU of `work`, us."""
    cpu, walls = process_time(), []
    for index in range(N_IMAGES):
        start = perf_counter()
        work(index)
        walls.append(perf_counter() - start)
    cpu = process_time() - cpu
    return 1e6 * float(np.median(walls)), 1e6 * float(np.mean(walls)), 1e6 * cpu / N_IMAGES


def report(name: str, figures: tuple[float, float, float]) -> None:
    print(f"{name:32s} median {figures[0]:7.0f}   mean {figures[1]:7.0f}   CPU {figures[2]:7.0f} us an image")


def dump_all(folder: Path, name: str, shots: list[Shot], flush_seconds: float) -> None:
    dump = Dump(DumpSettings(directory=folder, flush_seconds=flush_seconds), instance="bench", provenance={})
    dump.begin(SERIES, shots[0].detector)
    dump.event(shots[0])  # makes the file

    def one(index: int) -> None:
        dump.event(shots[index % len(shots)])

    report(name, measured(one))
    dump.end()
    for path in folder.glob("*.h5"):
        path.unlink()


def write_results(folder: Path, shots: list[Shot], random: np.random.Generator) -> None:
    for shot in shots:
        spots = random.permutation(80)[:50]
        shot.crystals = [replace(shot.crystals[0], spots=spots, hkl=random.integers(-9, 9, (50, 3), np.int32))]
        shot.reflections = [some_reflections(random)]
    stage = Results(ResultsSettings(directory=folder), instance="bench", provenance={"settings": 4000 * "x"})
    stage.begin(SERIES, shots[0].detector)
    stage.event(shots[0])  # compiles

    def one(index: int) -> None:
        shot = shots[index % len(shots)]
        shot.frame = msgspec.structs.replace(shot.frame, number=index)
        stage.event(shot)

    report("file of results", measured(one))


def main() -> None:
    random = np.random.default_rng(1)
    detector = Detector.single_panel(
        SHAPE, pixel_size=75e-6, distance=0.15, beam_center=(1034, 1081), photon_energy=12398
    )
    images = [random.poisson(0.5, SHAPE).astype(np.uint16) for _ in range(N_DIFFERENT)]
    chunks = [bslz4_chunk(image) for image in images]
    print(f"{SHAPE[0]} x {SHAPE[1]} uint16, {np.mean([len(c) for c in chunks]) / 1e6:.2f} MB packed, {N_IMAGES} images")

    def shot(index: int, packed: bool) -> Shot:
        frame = Frame(
            series="bench",
            number=index,
            payload=chunks[index],
            shape=SHAPE,
            dtype="uint16",
            encoding=Encoding("bslz4"),
            timestamp=float(index),
        )
        crystals = [Crystal(random.normal(0, 50, (3, 3)))]
        return Shot(
            SERIES, frame, images[index], detector, pixels_changed=not packed, peaks=some_peaks(random),
            crystals=crystals,
        )  # fmt: skip

    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder = Path(name)
        with (folder / "bare").open("wb", buffering=0) as file:
            report("bare write", measured(lambda index: file.write(chunks[index % N_DIFFERENT]) and None))
        (folder / "bare").unlink()
        packed = [shot(index, packed=True) for index in range(N_DIFFERENT)]
        dump_all(folder, "dump, as it came", packed, 1.0)
        dump_all(folder, "dump, readable at once", packed, 0.0)
        dump_all(folder, "dump, compressed here", [shot(index, packed=False) for index in range(N_DIFFERENT)], 1.0)
        write_results(folder, packed, random)


if __name__ == "__main__":
    main()

"""What a CrystFEL stream costs a worker: the text of a chunk, and the shot through the whole stage.

    python -m benchmarks.streams [FOLDER]

One lattice with 320 reflections and 80 spots a shot, as lysozyme on 4 Mpx has them. Prints microseconds a shot for one
process, and for two that write one file together.
"""

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.crystfel_geometry_text import geometry_text
from braggwatch.processing.crystfel_stream_text import StreamText
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.simulation import LYSOZYME
from braggwatch.processing.stages.stream import Stream, StreamSettings

SHAPE = (2162, 2068)
SERIES = Series(key="bench", number=1)
N_SPOTS, N_REFLECTIONS, N_SHOTS = 80, 320, 2000


def a_shot() -> Shot:
    random = np.random.default_rng(1)

    def column(n: int, high: float) -> np.ndarray:
        return random.uniform(0, high, n).astype(np.float32)

    def panels(n: int) -> np.ndarray:
        return np.zeros(n, np.int16)

    n, m = N_SPOTS, N_REFLECTIONS
    peaks = Peaks(
        column(n, 2068), column(n, 2162), panels(n), column(n, 5000), column(n, 5), column(n, 50),
        np.full(n, 9, np.int32), column(n, 900),
    )  # fmt: skip
    table = Reflections(
        random.integers(-40, 40, (m, 3)).astype(np.int32), column(m, 2068), column(m, 2162), panels(m),
        column(m, 5000), column(m, 60), column(m, 9), column(m, 900), np.zeros(m, np.uint8), column(m, 1e-3),
        column(m, 1), column(m, 0.6), np.zeros(m, bool),
    )  # fmt: skip
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    detector = Detector.single_panel(
        SHAPE, pixel_size=75e-6, distance=0.15, beam_center=(1034, 1081), photon_energy=12398
    )
    frame = Frame(series="bench", number=0, payload=b"", shape=SHAPE, dtype="uint16", encoding=Encoding())
    crystal = Crystal(LYSOZYME.A @ turn.T, known=LYSOZYME)
    image = np.zeros((1, 1), np.uint16)
    return Shot(SERIES, frame, image, detector, peaks=peaks, crystals=[crystal], reflections=[table], is_hit=True)


def through_the_stage(folder: Path) -> float:
    """Return the median wall clock of a shot, us."""
    shot = a_shot()
    stage = Stream(StreamSettings(directory=folder), instance="bench", cell=LYSOZYME)
    stage.begin(SERIES, shot.detector)
    stage.event(shot)
    times = []
    for _ in range(N_SHOTS):
        start = perf_counter()
        stage.event(shot)
        times.append(perf_counter() - start)
    stage.end()
    assert stage.pause.not_written == 0
    return 1e6 * float(np.median(times))


def main() -> None:
    shot = a_shot()
    assert shot.peaks is not None
    text = StreamText(shot.detector, geometry=geometry_text(shot.detector), cell=LYSOZYME)
    times = []
    for _ in range(N_SHOTS):
        start = perf_counter()
        chunk = text.chunk(
            "a.h5", 0, serial=1, wavelength=1.0, peaks=shot.peaks, crystals=shot.crystals, reflections=shot.reflections
        )
        times.append(perf_counter() - start)
    print(f"{N_REFLECTIONS} reflections, {N_SPOTS} spots, {len(chunk) / 1e3:.0f} kB a shot, {N_SHOTS} shots")
    print(f"text of a chunk        median {1e6 * np.median(times):5.0f} us")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        print(f"stage, one process     median {through_the_stage(Path(name) / 'one'):5.0f} us")
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            both = list(pool.map(through_the_stage, [Path(name) / "two"] * 2))
        print(f"stage, two processes   median {np.mean(both):5.0f} us each, one file")


if __name__ == "__main__":
    main()

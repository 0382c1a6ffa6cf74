"""What calibration costs, how well each common mode is found, and how fast darks are averaged.

    python -m benchmarks.calibration

Times of a 4.5 Mpx uint16 frame on one core (best and median of 40), of the common mode of a CSPAD of 64 ASICs, and
frames a second of `braggwatch dark` from compressed frames in memory on all cores. The table of the common mode holds
ADU: the root mean square over ASICs and shots of what was found less what was put in.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import get_args

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "reference"))

from cspad_frames import ADU_PER_PHOTON, JITTER, NOISE, cspad, frame

from braggwatch.processing.average_files import blank_detector
from braggwatch.processing.calibration import Calibration
from braggwatch.processing.common_mode import CommonMode, Method
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.jungfrau import JungfrauCalibration
from braggwatch.streamer.dark import FrameAverager

SHAPE = (2070, 2167)
ROUNDS = 40
N_DARKS = 1000
SHOTS = 10


def milliseconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return best and median time of `work`."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        work()
        times.append(1e3 * (perf_counter() - start))
    return min(times), float(np.median(times))


def corrections() -> None:
    rng = np.random.default_rng(0)
    detector = blank_detector(SHAPE, (65535.0, 65534.0))
    detector = replace(detector, panels=(replace(detector.panels[0], max_adu=60_000.0),))
    dark, noise = rng.normal(1000, 20, SHAPE), rng.normal(5, 0.3, SHAPE)
    gain = rng.normal(1, 0.02, SHAPE)
    image = rng.poisson(1005, SHAPE).astype(np.uint16)
    print(f"| {SHAPE[0] * SHAPE[1] / 1e6:.1f} Mpx uint16, one core | best, ms | median, ms |\n| --- | --- | --- |")
    for name, calibration in (
        ("dark", Calibration(detector, dark)),
        ("dark, noise, gain", Calibration(detector, dark, noise, gain=gain)),
    ):
        best, median = milliseconds(lambda calibration=calibration: calibration(image))
        print(f"| {name} | {best:.2f} | {median:.2f} |")
    pedestals = np.stack([rng.normal(mean, 100, SHAPE) for mean in (3000, 15000, 14500)])
    gains = np.stack([rng.normal(mean, abs(mean) / 50, SHAPE) for mean in (41.0, -1.4, -0.1)])
    jungfrau = JungfrauCalibration(blank_detector(SHAPE), pedestals, gains, noise)
    for share in (0.0, 0.001, 0.01):
        raw = rng.normal(3000, 10, SHAPE).astype(np.uint16)
        raw[rng.random(SHAPE) < share] = 0x4000 | 14000
        best, median = milliseconds(lambda raw=raw: jungfrau(raw))
        print(f"| JUNGFRAU, {100 * share:g} % of the pixels in G1 | {best:.2f} | {median:.2f} |")


def common_mode() -> None:
    detector = cspad(16)
    waters = (0.0, 0.5, 1.5, 3.0)
    columns = " | ".join(f"ring of {water:g} photons" for water in waters)
    print(f"\nCommon mode: ASICs of {NOISE} ADU noise, jitter of {JITTER} ADU, {ADU_PER_PHOTON} ADU a photon.\n")
    print(f"| method | {columns} | 64 ASICs, ms |\n| --- |{' --- |' * (len(waters) + 1)}")
    noise = np.full(detector.shape, NOISE)
    whole = cspad(64)
    wet = frame(whole, np.random.default_rng(0), water=1.5).image
    for method in get_args(Method):
        finder = CommonMode(method, detector, noise)
        errors = []
        for water in waters:
            squares = []
            for shot in range(SHOTS):
                made = frame(detector, np.random.default_rng(shot), water=water)
                finder.find(made.image)
                squares.append((finder.levels - made.levels) ** 2)
            errors.append(float(np.sqrt(np.mean(squares))))
        large = CommonMode(method, whole, np.full(whole.shape, NOISE))
        best, _ = milliseconds(lambda large=large: large.find(wet))
        print(f"| {method} | {' | '.join(f'{error:.2f}' for error in errors)} | {best:.1f} |")


def darks() -> None:
    rng = np.random.default_rng(1)
    packed = [
        Frame(
            series="s", number=number, payload=bslz4_chunk(rng.normal(1000, 5, SHAPE).astype(np.uint16)), shape=SHAPE,
            dtype="uint16", encoding=Encoding("bslz4", "hdf5"),
        )
        for number in range(8)
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    averager = FrameAverager(None, lambda _: None)
    averager.take(Series(key="s", number=1))
    for number in range(16):
        averager.take(packed[number % 8])
    start = perf_counter()
    for number in range(N_DARKS):
        averager.take(packed[number % 8])
    averager.finish()
    rate = N_DARKS / (perf_counter() - start)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = len(packed[0].payload) / 1e6
    print(
        f"Darks: {rate:.0f} frames/s of {SHAPE[0] * SHAPE[1] / 1e6:.1f} Mpx ({size:.1f} MB each, bslz4) on "
        f"{os.cpu_count()} cores; {(after - before) / 1024:.0f} MiB more at most, an image takes "
        f"{SHAPE[0] * SHAPE[1] * 2 / 2**20:.0f} MiB\n"
    )


if __name__ == "__main__":
    darks()  # first, while the process is small
    corrections()
    common_mode()

"""What pictures of many shots cost beside the hub: CPU of their thread, time of the hub's, memory.

`python -m benchmarks.pictures [--seconds 20] [--rate 100]`

Frames of 4 Mpx, half of them hits with 60 spots, are handed over as results come in; no detector and no worker runs.
"""

import argparse
import time

import numpy as np
import psutil

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.streamer.messages import PEAK, Result, State
from braggwatch.streamer.pictures import Pictures

SHAPE = (2167, 2070)
SERIES = Series(
    key="s", number=1, shape=SHAPE, dtype="uint16", photon_energy=12_400.0, distance=0.1, beam_center=(1034.3, 1081.6),
    pixel_size=(75e-6, 75e-6),
)  # fmt: skip


def shots(n: int) -> list[tuple[Result, Frame]]:
    random = np.random.default_rng(0)
    peaks = np.zeros(60, PEAK)
    peaks["fs"], peaks["ss"] = random.uniform(0, SHAPE[1], 60), random.uniform(0, SHAPE[0], 60)
    peaks["inverse_d"], peaks["max_value"] = random.uniform(0, 0.4, 60), 100.0
    payloads = [bslz4_chunk(random.poisson(2, SHAPE).astype(np.uint16)) for _ in range(4)]
    found = {State.HIT: peaks.tobytes(), State.BLANK: b""}
    return [
        (
            Result(series="s", number=number, state=state, peaks=found[state]),
            Frame(series="s", number=number, payload=payloads[number % 4], shape=SHAPE, dtype="uint16",
                  encoding=Encoding("bslz4", "hdf5")),
        )
        for number in range(n)
        for state in [State.BLANK if number % 2 else State.HIT]
    ]  # fmt: skip


def measure(n: int, rate: float) -> str:
    process = psutil.Process()
    coming = shots(n)
    with Pictures(DetectorSettings()) as pictures:
        time.sleep(5.0)  # its kernels are compiled meanwhile
        before, memory = process.cpu_times(), process.memory_info().rss
        begin, in_hub = time.perf_counter(), 0.0
        pictures.series_began(SERIES)
        for number, (result, frame) in enumerate(coming):
            time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
            start = time.perf_counter()
            pictures.shot(result, frame)
            if number % 20 == 0:
                pictures.take()
            in_hub += time.perf_counter() - start
        wall, after = time.perf_counter() - begin, process.cpu_times()
        cpu = (after.user + after.system - before.user - before.system) / wall
        grown = (process.memory_info().rss - memory) / 2**20
    return (
        f"{n / wall:.0f} frames/s: {100 * cpu:.1f} % of a core in all, {1e6 * in_hub / n:.0f} µs a frame in the hub's "
        f"thread, {grown:.0f} MiB more memory"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=100.0)
    options = parser.parse_args()
    print(measure(int(options.seconds * options.rate), options.rate))


if __name__ == "__main__":
    main()

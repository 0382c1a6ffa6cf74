"""One frame through the whole pipeline, from packed bytes, on one core: blank and hit, 4 Mpx and 16 Mpx.

`python -m benchmarks.pipeline [--repeats 30]`

The 16 Mpx hit is the real EIGER2 frame with the spots of a simulated lysozyme crystal added.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.decompression import decompress
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.pipeline import Pipeline
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.processing.simulation.demo import LYSOZYME, demo_simulator
from braggwatch.processing.simulation.pool import prepare_pool
from braggwatch.processing.simulation.still import StillSimulator

SHARED = Path(__file__).resolve().parents[2] / "shared"
SETTINGS = PipelineSettings.model_validate(
    {"chain": {"stages": ["hitfind", "index"]}, "stages": {"index": {"cell": "79.2 79.2 38.0 90 90 90 P43212"}}}
)
SHAPE_16M = (4362, 4148)


def series(shape: tuple[int, int], beam_center: tuple[float, float]) -> Series:
    return Series(
        key="benchmark", number=1, shape=shape, dtype="uint16", photon_energy=12398.42, distance=0.15,
        beam_center=beam_center, pixel_size=(75e-6, 75e-6),
    )  # fmt: skip


def frame(payload: bytes, shape: tuple[int, int]) -> Frame:
    return Frame(
        series="benchmark", number=0, payload=payload, shape=shape, dtype="uint16", encoding=Encoding("bslz4", "hdf5")
    )


def measure(name: str, pipeline: Pipeline, payloads: Sequence[bytes], repeats: int) -> None:
    """Print the median time of each step over some frames, `repeats` times each."""
    shots, total = [], []
    for repeat in range(repeats + 1):
        for payload in payloads:
            start = perf_counter()
            shot = pipeline.process(frame(payload, pipeline.detector.shape))
            if repeat:
                total.append(perf_counter() - start)
                shots.append(shot)
    steps = {
        step: 1e3 * median(shot.timings.get(step, 0.0) for shot in shots) for step in ("decode", "hitfind", "index")
    }
    peaks = median(0 if shot.peaks is None else len(shot.peaks) for shot in shots)
    indexed = sum(bool(shot.crystals) for shot in shots) / len(shots)
    print(
        f"{name:24} {1e3 * median(total):7.2f} ms = "
        + " + ".join(f"{step} {ms:.2f}" for step, ms in steps.items())
        + f"   ({peaks:.0f} spots, {100 * indexed:.0f} % indexed)",
        flush=True,
    )


def real_16m() -> tuple[bytes, bytes]:
    """Return the real EIGER2 16M frame as it is, and with the spots of a crystal."""
    blank = (SHARED / "wire" / "eiger2_16m_frame_sample.bs16lz4").read_bytes()
    image = np.empty(SHAPE_16M, np.uint16)
    decompress(blank, Encoding("bslz4", "hdf5"), SHAPE_16M, "uint16", image)
    from braggwatch.processing.detector import Detector
    from braggwatch.processing.simulation.background import Background

    detector = Detector.from_series(series(SHAPE_16M, (2074.0, 2181.0)))
    crystal, _ = StillSimulator(
        detector, LYSOZYME, background=Background(level=0.0, central=0.0, ring=0.0, diffuse=0.0)
    ).simulate(3)
    hit = np.where(image == 65535, image, image + crystal).astype(np.uint16)
    return blank, bslz4_chunk(hit)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args(arguments).repeats
    pool = prepare_pool(demo_simulator(), 12, 0.5, seed=1)
    pipeline = SETTINGS.pipeline(series(pool.detector.shape, (1034.3, 1081.6)))
    for name, is_hit in (("4 Mpx blank", False), ("4 Mpx hit", True)):
        payloads = [pool.payload(n) for n in range(len(pool)) if pool.truth(n).is_hit == is_hit]
        measure(name, pipeline, payloads, repeats)
    if SHARED.is_dir():
        pipeline = SETTINGS.pipeline(series(SHAPE_16M, (2074.0, 2181.0)))
        for name, payload in zip(("16 Mpx blank (real)", "16 Mpx hit"), real_16m(), strict=True):
            measure(name, pipeline, [payload], repeats)


if __name__ == "__main__":
    main()

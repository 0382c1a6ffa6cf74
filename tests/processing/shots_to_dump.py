"""Shots and dumps for the tests of the stage that writes images."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.dump import Dump, DumpSettings

assert hdf5plugin  # importing it registers the filters

SHAPE = (40, 56)
DETECTOR = Detector.single_panel(
    SHAPE, pixel_size=75e-6, distance=0.15, beam_center=(27.5, 20.25), photon_energy=12398.42
)
SERIES = Series(key="20261122-1", number=7, name="lyso")


def image(number: int) -> NDArray[np.uint16]:
    return np.random.default_rng(number).poisson(3, SHAPE).astype(np.uint16)


def shot(number: int, series: Series = SERIES, pixels: NDArray[Any] | None = None, **fields: Any) -> Shot:
    pixels = image(number) if pixels is None else pixels
    frame = Frame(
        series=series.key,
        number=number,
        payload=bslz4_chunk(pixels),
        shape=SHAPE,
        dtype=pixels.dtype.name,
        encoding=Encoding("bslz4"),
        timestamp=1.7e9 + number,
    )
    return Shot(series, frame, pixels, DETECTOR, **fields)


def make(directory: Path, instance: str = "hit", **settings: Any) -> Dump:
    dump = Dump(DumpSettings(directory=directory, **settings), instance=instance, provenance={"version": "1.2.3"})
    dump.begin(SERIES, DETECTOR)
    return dump


def numbers(path: Path) -> list[int]:
    with h5py.File(path, "r") as file:
        return [int(n) for n in file["entry/frames/number"]]

"""What a processor would say, made by hand, and an outbox that notes what the window asks for."""

from collections.abc import Callable

import numpy as np

from braggwatch.processing.beam import Beam
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.streamer.archive_messages import Answer, HitRow, Hits, Request
from braggwatch.streamer.control_messages import Change, Changed
from braggwatch.streamer.messages import PEAK, CrystalFound, Result, State
from braggwatch.streamer.picture_messages import Geometry, ShotImage

SHAPE = (200, 240)
CELL = (79.2, 79.3, 38.0, 90.0, 90.1, 89.9)
A = (79.2, 0.0, 0.0, 0.1, 79.3, 0.0, 0.2, 0.3, 38.0)
CRYSTAL = CrystalFound(cell=CELL, A=A, n_indexed=30, rmsd_px=0.4)


class NotingOutbox:
    """Keeps what was asked; `answer` gives the oldest question its answer."""

    change_problem = ""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, Callable[[Answer], None]]] = []
        self.changes: list[tuple[Change, Callable[[Changed], None]]] = []

    def ask(self, request: Request, then: Callable[[Answer], None]) -> None:
        self.asked.append((request, then))

    def change(self, change: Change, then: Callable[[Changed], None]) -> None:
        self.changes.append((change, then))

    def answer(self, answer: Answer) -> None:
        _, then = self.asked.pop(0)
        then(answer)


def detector(shape: tuple[int, int] = SHAPE) -> Detector:
    return Detector.single_panel(
        shape, pixel_size=75e-6, distance=0.02, beam_center=(shape[1] / 2, shape[0] / 2), photon_energy=12_400.0
    ).with_beam(Beam(12_400.0))


def geometry(shape: tuple[int, int] = SHAPE) -> Geometry:
    return Geometry.of("run-1", 1, detector(shape))


def result(number: int, state: State = State.INDEXED, n_peaks: int = 40) -> Result:
    random = np.random.default_rng(number)
    peaks = np.zeros(n_peaks, PEAK)
    peaks["fs"], peaks["ss"] = random.uniform(0, SHAPE[1], n_peaks), random.uniform(0, SHAPE[0], n_peaks)
    peaks["intensity"], peaks["max_value"] = random.uniform(50, 5000, n_peaks), random.uniform(20, 900, n_peaks)
    peaks["inverse_d"] = random.uniform(0.05, 0.5, n_peaks)
    peaks["lattice"][: n_peaks // 2] = state is State.INDEXED
    return Result(
        series="run-1", number=number, state=state, n_peaks=n_peaks, resolution=2.1, peaks=peaks.tobytes(),
        crystals=(CRYSTAL,) if state is State.INDEXED else (),
    )  # fmt: skip


def shot_image(number: int, state: State = State.INDEXED, shape: tuple[int, int] = SHAPE) -> ShotImage:
    pixels = np.random.default_rng(number).poisson(5.0, shape).astype(np.uint16)
    return ShotImage(
        kind={State.INDEXED: "indexed", State.HIT: "hit"}.get(state, "blank"),  # type: ignore[arg-type]
        result=result(number, state), time=1000.0 + number, shape=shape, dtype="uint16",
        encoding=Encoding("bslz4", "hdf5"), payload=bslz4_chunk(pixels),
    )  # fmt: skip


def hit_row(row: int, number: int, state: State = State.INDEXED, n_lattices: int = 1) -> HitRow:
    return HitRow(
        id=row, series="run-1", run=1, number=number, time=1000.0 + number, state=state, n_peaks=40, resolution=2.1,
        crystals=(CRYSTAL,) * (n_lattices if state is State.INDEXED else 0), dumped=(), tags=(),
    )  # fmt: skip


def hits(rows: list[HitRow], more: bool = False) -> Hits:
    return Hits(tuple(rows), last=rows[-1].id if rows else 0, more=more)

"""A monitor that knows many lattices, pictures made of many shots, and settings, all made by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
from messages_by_hand import SHAPE, NotingOutbox, detector, hits
from scipy.spatial.transform import Rotation

from braggwatch.gui.monitor import Monitor
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.archive_messages import HitRow
from braggwatch.streamer.messages import CrystalFound, State
from braggwatch.streamer.picture_messages import Peakogram, Powder, PowderKind, SettingsInForce

TARGET = "79.2 79.2 38.0 90 90 90 P43212"


def keeping(*alive: object) -> Callable[[Any], None]:
    """Return what `qtbot.addWidget` may call before it closes a widget; until then, these objects live."""

    def before_close(widget: Any) -> None:
        assert alive

    return before_close


def settings(text: str = f'[index]\ncell = "{TARGET}"\n') -> SettingsInForce:
    return SettingsInForce(version=1, time=1000.0, text=text)


def rows_of_lattices(n: int, seed: int = 0, outliers: float = 0.1, aligned: float = 0.0) -> list[HitRow]:
    """Hits with a lattice each, cells 0.05 Angstrom wide, some far off; every fifth is not indexed."""
    random = np.random.default_rng(seed)
    cells = np.array([79.3, 79.25, 38.1, 90, 90, 90]) + random.normal(0, 1, (n, 6)) * [0.05, 0.05, 0.03, 0.1, 0.1, 0.1]
    far = random.random(n) < outliers
    cells[far] += random.uniform(-1, 1, (int(far.sum()), 6)) * [3, 3, 1.5, 2, 2, 2]
    turns = Rotation.random(n, rng=random).as_matrix()
    still = random.random(n) < aligned
    turns[still] = Rotation.from_rotvec(random.normal(0, 0.1, (int(still.sum()), 3))).as_matrix()
    resolution = 1 / np.clip(random.normal(0.45, 0.06, n), 0.1, 0.8)
    A = UnitCell.from_string(TARGET).A @ turns
    return [
        HitRow(
            id=i + 1, series="run-1", run=1, number=3 * i, time=1000.0 + i,
            state=State.HIT if i % 5 == 4 else State.INDEXED, n_peaks=40, resolution=float(resolution[i]),
            crystals=()
            if i % 5 == 4
            else (CrystalFound(tuple(cells[i].tolist()), tuple(A[i].ravel().tolist()), 30, 0.4),),
            dumped=(), tags=(),
        )
        for i in range(n)
    ]  # fmt: skip


def monitor_with(rows: list[HitRow]) -> tuple[Monitor, NotingOutbox]:
    outbox = NotingOutbox()
    monitor = Monitor(outbox)
    monitor.ask_for_hits()
    outbox.answer(hits(rows))
    return monitor, outbox


def peakogram(n_peaks: int = 40_000, shape: tuple[int, int] = (100, 100)) -> Peakogram:
    random = np.random.default_rng(1)
    inverse_d = random.triangular(0.03, 0.2, 0.58, n_peaks)
    value = np.minimum(10 ** random.normal(3.2 - 2.5 * inverse_d, 0.5), 60_000)
    counts, _, _ = np.histogram2d(inverse_d, np.log10(value), shape, ((0, 0.6), (0, 6)))
    return Peakogram(
        shape=shape, counts=counts.astype("<u4").tobytes(), inverse_d=(0.0, 0.6), log10_max_value=(0.0, 6.0),
        n_peaks=int(counts.sum()), n_shots=n_peaks // 40,
    )  # fmt: skip


def powder(kind: PowderKind = "hits", binning: int = 2, n_shots: int = 1200, of: int = 4000) -> Powder:
    shape = (-(-SHAPE[0] // binning), -(-SHAPE[1] // binning))
    random = np.random.default_rng(2)
    q_map = detector().q_map()[::binning, ::binning]
    mean = (
        3
        + 12 * np.exp(-((q_map - 0.3) ** 2) / 0.01)
        + sum(9 * np.exp(-(((q_map - 1 / d) / 0.004) ** 2)) for d in (3.9, 3.44, 2.25))
    )
    total = random.poisson(mean * n_shots).astype(np.float32)
    total[20:24] = np.nan
    q = np.linspace(0.005, float(q_map.max()), 200, dtype=np.float32)
    profile = np.interp(q, *_profile(q_map, mean)).astype(np.float32)
    if kind == "spots":
        total = np.where(random.random(shape) < 0.03, total, 0).astype(np.float32)
        return Powder(
            kind=kind, n_shots=n_shots, of=n_shots, binning=binning, shape=shape, sum=bslz4_chunk(total), maximum=b""
        )
    return Powder(
        kind=kind, n_shots=n_shots, of=of, binning=binning, shape=shape, sum=bslz4_chunk(total),
        maximum=bslz4_chunk(total / 10), q=q.tobytes(), profile=profile.tobytes(),
    )  # fmt: skip


def _profile(q_map: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(q_map, axis=None)
    return q_map.ravel()[order], mean.ravel()[order]

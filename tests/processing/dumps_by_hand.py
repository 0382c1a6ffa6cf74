"""Dumps with made-up spots, crystals and reflections."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.nxmx import NXmxWriter
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.unit_cell import UnitCell

SERIES = Series(key="s", number=1, dtype="uint16")
LYSOZYME = UnitCell(79.2, 79.2, 38.0, space_group="P 43 21 2")


def small_detector(photon_energy: float | None = 12_000.0, distance: float = 0.1) -> Detector:
    return Detector.single_panel(
        (60, 80), pixel_size=2e-3, distance=distance, beam_center=(41.0, 29.0), photon_energy=photon_energy,
        max_adu=50_000.0,
    )  # fmt: skip


def some_peaks(n: int, seed: int = 0, detector: Detector | None = None) -> Peaks:
    random = np.random.default_rng(seed)
    detector = detector or small_detector()
    panel = random.integers(0, len(detector.panels), n)
    start = np.array([[p.fs_start, p.ss_start] for p in detector.panels])[panel]
    size = np.array([[p.fs_stop - p.fs_start, p.ss_stop - p.ss_start] for p in detector.panels])[panel]
    # quarters are exact in any precision
    place = start + 0.5 + np.floor(random.uniform(0, 4 * (size - 1))) / 4
    return Peaks(
        fs=place[:, 0].astype(np.float32), ss=place[:, 1].astype(np.float32), panel=panel.astype(np.int16),
        intensity=random.uniform(10, 5e4, n).astype(np.float32), background=random.normal(5, 1, n).astype(np.float32),
        snr=random.uniform(5, 80, n).astype(np.float32), n_pixels=random.integers(2, 20, n).astype(np.int32),
        max_value=random.uniform(5, 1e4, n).astype(np.float32),
    )  # fmt: skip


def some_reflections(n: int, seed: int = 0, n_panels: int = 1) -> Reflections:
    random = np.random.default_rng(seed)

    def column(low: float, high: float) -> np.ndarray:
        return random.uniform(low, high, n).astype(np.float32)

    return Reflections(
        hkl=random.integers(-40, 40, (n, 3)).astype(np.int32), fs=column(0, 80), ss=column(0, 60),
        panel=random.integers(0, n_panels, n).astype(np.int16), intensity=column(-50, 9e4), sigma=column(1, 300),
        background=column(0, 20), peak=column(1, 7e4), flags=np.zeros(n, np.uint8),
        excitation_error=column(-2e-3, 2e-3), partiality=column(0.01, 1), inverse_d=column(0.05, 0.5),
        fitted=random.random(n) < 0.5,
    )  # fmt: skip


def some_crystal(seed: int = 0, known: UnitCell | None = LYSOZYME) -> Crystal:
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    shift = (round(random.normal(0, 1e-4), 6), round(random.normal(0, 1e-4), 6))
    A = LYSOZYME.A @ turn.T * (1 + 1e-3 * seed)
    return Crystal(
        A, rmsd_q=1e-4, rmsd_px=0.25, known=known, beam_shift=shift, block_size=1000.0 + seed, mosaicity=0.01 * seed,
        diffraction_limit=2.0,
    )  # fmt: skip


def shot_of(
    number: int,
    detector: Detector,
    *,
    peaks: Peaks | None = None,
    crystals: Sequence[Crystal] = (),
    reflections: Sequence[Reflections] = (),
    dtype: str = "uint16",
) -> Shot:
    image = np.random.default_rng(number).poisson(3, detector.shape).astype(dtype)
    frame = Frame(
        series="s", number=number, payload=b"", shape=image.shape, dtype=dtype, encoding=Encoding(),
        timestamp=1.7e9 + number,
    )  # fmt: skip
    return Shot(
        SERIES, frame, image, detector, peaks=peaks, crystals=list(crystals), reflections=list(reflections)
    )  # fmt: skip


def some_shots(n: int, detector: Detector) -> list[Shot]:
    """Return shots of which every third has no crystal and every fourth has two."""
    shots = []
    for i in range(n):
        n_crystals = 0 if i % 3 == 2 else 2 if i % 4 == 3 else 1
        shots.append(
            shot_of(
                100 + i,
                detector,
                peaks=some_peaks(10 + i, i, detector),
                crystals=[some_crystal(10 * i + c) for c in range(n_crystals)],
                reflections=[some_reflections(5 * i + 7 * c, i + c, len(detector.panels)) for c in range(n_crystals)],
            )
        )
    return shots


def open_dump(path: Path, detector: Detector, dtype: str = "uint16", settings: str = "") -> NXmxWriter:
    provenance = {"settings": settings} if settings else {}
    return NXmxWriter(path, series=SERIES, detector=detector, dtype=np.dtype(dtype), provenance=provenance)


def write_dump(path: Path, shots: Sequence[Shot], detector: Detector, settings: str = "") -> Path:
    dtype = shots[0].frame.dtype if shots else "uint16"
    writer = open_dump(path, detector, dtype, settings)
    for shot in shots:
        writer.append(shot, bslz4_chunk(shot.image))
    writer.close()
    return path

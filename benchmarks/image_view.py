"""How long the image panel keeps the window's thread, and how often it repaints while it is panned.

    python -m benchmarks.image_view [folder with the reference data]

Offscreen: Qt draws into memory, with the raster engine that it also uses on a screen, so that only the transfer to the
screen is missing. A panel of 1200 × 900 px shows shots with spots, predictions and rings. *shown* is what one new shot
takes of the window's thread, from the unpacked picture to the painted widget, by the clock and in processor time (the
median of ten; the two differ where other programs run); *unpacked* what it takes in the other thread. *panned*: the
picture is moved by 7 and 3 px and repainted at once, 200 times over.
"""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
from numpy.typing import NDArray
from PyQt5.QtWidgets import QApplication

from braggwatch.gui.controllers.image import ImageController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.messages import PEAK, CrystalFound, Result, State
from braggwatch.streamer.picture_messages import Geometry, ShotImage

N_SHOTS, N_STEPS = 12, 200


class Nobody:
    """An outbox for a window without a processor."""

    def ask(self, request: object, then: object) -> None:
        """Get no answer."""

    def change(self, change: object, then: object) -> None:
        """Change nothing."""


def main(shared: Path) -> None:
    """Print the table."""
    app = QApplication([])
    zooms = "".join(f"{zoom:>9}" for zoom in ("whole", "1.9 : 1", "1 : 1", "1 : 10"))
    print(f"{'':18}{'shown, ms':>22}{'unpacked, ms':>15}   repaints/s panned at:{zooms}")
    for name, detector, images in pictures(shared):
        monitor, panel = Monitor(Nobody()), ImagePanel()
        controller = ImageController(monitor, panel)
        panel.resize(1200, 900)
        panel.show()
        monitor.take([Geometry.of("run", 1, detector)])
        shown, processor, unpacked = [], [], []
        for shot in shots(detector, images):
            monitor.take([shot])
            start = time.perf_counter()
            controller.refresh()
            while not controller.stale:
                time.sleep(0.0005)
            ready, worked = time.perf_counter(), time.thread_time()
            controller.refresh()
            app.processEvents()  # paints, once
            shown.append(1e3 * (time.perf_counter() - ready))
            processor.append(1e3 * (time.thread_time() - worked))
            unpacked.append(1e3 * (ready - start))
        rates = "".join(f"{panned(app, panel, size):9.0f}" for size in (None, 1.9, 1.0, 0.1))
        best = f"{np.median(shown[2:]):.1f} (CPU {np.median(processor[2:]):.1f})"
        print(f"{name:18}{best:>22}{np.median(unpacked[2:]):15.0f}{'':25}{rates}", flush=True)
        panel.close()


def pictures(shared: Path) -> Iterator[tuple[str, Detector, list[NDArray[Any]]]]:
    """Yield detectors and images."""
    geometry = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        stills = list(file["/entry/data/data"][:4])
    yield "4.5 Mpx uint16", Detector(geometry.panels, geometry.shape, geometry.beam, flag_values=(65535.0,)), stills
    large = [np.tile(still, (2, 2))[:4096, :4096].copy() for still in stills[:2]]
    yield "4k × 4k uint16", Detector.single_panel(
        (4096, 4096), pixel_size=75e-6, distance=0.15, beam_center=(2048, 2048), photon_energy=12_400.0,
        flag_values=(65535.0,),
    ), large  # fmt: skip
    yield "4k × 4k uint32", Detector.single_panel(
        (4096, 4096), pixel_size=75e-6, distance=0.15, beam_center=(2048, 2048), photon_energy=12_400.0,
        flag_values=(65535.0,),
    ), [image.astype(np.uint32) for image in large]  # fmt: skip
    panels = Detector.from_crystfel(shared / "geometries" / "jf-swissfel-16M.geom", photon_energy=12_400.0)
    random = np.random.default_rng(1)
    yield "16 Mpx, 32 panels", panels, [random.poisson(5.0, panels.shape).astype(np.uint16) for _ in range(2)]


def shots(detector: Detector, images: list[NDArray[Any]]) -> list[ShotImage]:
    """Return shots, each image several times."""
    finder = PeakFinder(detector)
    indexer = Indexer(UnitCell(79.2, 79.2, 38.0, space_group="P 43 21 2"))
    made = []
    for image in images:
        peaks = finder(image)
        rows = np.zeros(len(peaks), PEAK)
        for column in ("fs", "ss", "intensity", "max_value"):
            rows[column] = getattr(peaks, column)
        crystals = []
        if len(peaks) > 10:
            for number, crystal in enumerate(indexer(detector.q(peaks.fs, peaks.ss, peaks.panel)), 1):
                rows["lattice"][crystal.spots] = number
                a = tuple(float(value) for value in crystal.A.ravel())
                crystals.append(CrystalFound(crystal.cell, a, crystal.n_indexed, 0.3))  # type: ignore[arg-type]
        made.append((rows.tobytes(), tuple(crystals), bslz4_chunk(image), image))
    return [
        ShotImage(
            kind="indexed",
            result=Result(series="run", number=i, state=State.INDEXED, peaks=peaks, crystals=crystals, resolution=1.8),
            time=float(i), shape=image.shape, dtype=image.dtype.name, encoding=Encoding("bslz4", "hdf5"),
            payload=payload,
        )
        for i in range(N_SHOTS)
        for peaks, crystals, payload, image in [made[i % len(made)]]
    ]  # fmt: skip


def panned(app: QApplication, panel: ImagePanel, size: float | None) -> float:
    """Return how many times a second the picture is moved and repainted; `size`: its pixels on one of the screen."""
    box = panel.canvas.box
    panel.fit()
    if size is not None:
        factor = size / box.viewPixelSize()[0]
        box.scaleBy((factor, factor))
    app.processEvents()
    dx, dy = (float(step) for step in box.viewPixelSize())
    start = time.perf_counter()
    for step in range(N_STEPS):
        sign = 1.0 if step // 20 % 2 else -1.0
        box.translateBy(x=sign * 7.0 * dx, y=sign * 3.0 * dy)
        panel.canvas.viewport().repaint()
    return N_STEPS / (time.perf_counter() - start)


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "shared"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)

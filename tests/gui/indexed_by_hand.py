"""Shots that the real indexer has indexed, as a worker would tell of them."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - registers the filters that the frames are packed with
import msgspec
import numpy as np
from messages_by_hand import shot_image
from numpy.typing import NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.messages import PEAK, CrystalFound, Result, State
from braggwatch.streamer.picture_messages import SettingsInForce, ShotImage

LYSOZYME = UnitCell.from_string("79.2 79.2 38.0 90 90 90 P43212")
SETTINGS = SettingsInForce(
    version=1, time=0.0,
    text='[chain]\nstages = ["hitfind", "index"]\n[index]\ncell = "79.2 79.2 38.0 90 90 90 P43212"\nmin_spots = 8\n',
)  # fmt: skip


def peak_lists(path: Path) -> list[NDArray[Any]]:
    """The peaks ``(n, 3)``, fs, ss and intensity, that CrystFEL finds in each hit of a file."""
    with h5py.File(path) as file:
        frame, peaks = file["/crystfel_peakfinder8/frame"][:], file["/crystfel_peakfinder8/fs_ss_intensity"][:]
    return [peaks[frame == number] for number in np.unique(frame)]


def indexed_shot(
    number: int, peaks: NDArray[Any], detector: Detector, max_lattices: int = 1
) -> tuple[ShotImage, list[Crystal]]:
    one = np.ones(len(peaks), np.float32)
    fs, ss = peaks[:, 0].astype(np.float32), peaks[:, 1].astype(np.float32)
    panel = detector.panel_at(fs, ss)
    crystals = Indexer(LYSOZYME, max_lattices=max_lattices).index(
        Peaks(fs, ss, panel, one, one, one, one.astype(np.int32), one), detector
    )
    rows = np.zeros(len(peaks), PEAK)
    rows["fs"], rows["ss"], rows["inverse_d"] = fs, ss, 1.0 / detector.resolution(fs, ss, panel)
    for lattice in range(len(crystals), 0, -1):
        rows["lattice"][crystals[lattice - 1].spots] = lattice
    result = Result(
        series="run-1", number=number, state=State.INDEXED if crystals else State.HIT, n_peaks=len(peaks),
        resolution=1.98, peaks=rows.tobytes(),
        crystals=tuple(
            CrystalFound(c.cell, tuple(c.A.ravel().tolist()), c.n_indexed, c.rmsd_px)  # type: ignore[arg-type]
            for c in crystals
        ),
    )  # fmt: skip
    kind = "indexed" if crystals else "hit"
    return msgspec.structs.replace(shot_image(number), result=result, shape=detector.shape, kind=kind), crystals

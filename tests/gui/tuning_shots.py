"""Shots of the reference frames as the feed sends them, and the settings that are in force."""

from pathlib import Path

import h5py

from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.picture_messages import SettingsInForce, ShotImage

CHAIN = ["hitfind", "dump:hit", "index"]
CELL = "79.2 79.2 38.0 90 90 90 P43212"
TEXT = f"""
[experiment]
name = "tuning"

[chain]
stages = ["hitfind", "dump:hit", "index"]

[hitfind]
method = "peakfinder8"
min_peaks = 10
# max_peaks_in_hit =
min_snr = 5.0
threshold = 5.0
# d_min =

["dump:hit"]
directory = "hits"

[index]
cell = "{CELL}"
min_spots = 8
"""


def in_force(text: str = TEXT, version: int = 1) -> SettingsInForce:
    return SettingsInForce(version=version, time=1000.0, text=text)


def frames_detector(shared: Path) -> Detector:
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        mask = file["mask"][()]
    return Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom").with_mask(mask)


def frame_shots(shared: Path, numbers: list[int]) -> list[ShotImage]:
    """Frames of lysozyme_4m.h5, packed as they lie in the file."""
    shots = []
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        data, hit = file["entry/data/data"], file["truth/hit"][()]
        for number in numbers:
            payload = data.id.read_direct_chunk((number, 0, 0))[1]
            shots.append(
                ShotImage(
                    kind="indexed" if hit[number] else "blank",
                    result=Result(series="run-1", number=number, state=State.INDEXED if hit[number] else State.BLANK),
                    time=1000.0 + number,
                    shape=data.shape[1:],
                    dtype="uint16",
                    encoding=Encoding("bslz4", "hdf5"),
                    payload=payload,
                )
            )
    return shots

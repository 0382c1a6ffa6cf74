"""What the chain found out about the images of a dump, read back while the file grows or afterwards."""

import tomllib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from braggwatch.processing.closing import Closing
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.image_files.error import ImageFileError
from braggwatch.processing.nxmx.peak_rows import FIELDS, MAX_PEAKS, RESULT
from braggwatch.processing.nxmx.reader import BROKEN, NXmxReader
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.unit_cell import UnitCell

_IMAGES = 64
"""Images whose tables are read in one go."""
_NUMBERS = ("rmsd_q", "rmsd_px", "block_size", "mosaicity", "diffraction_limit")
"""What a crystal has one number of."""
MAX_ROWS = 4_000_000
"""Reflections held in memory at once, 60 bytes each; a single image with more is refused."""


@dataclass(frozen=True, eq=False)
class DumpedShot:
    """One image of a dump, without its pixels."""

    path: Path
    entry: int
    """Index of the image in its file."""
    number: int
    """Frame number within the series."""
    timestamp: float
    """s since 1970; NaN if unknown."""
    wavelength: float
    """Angstrom; NaN if unknown."""
    peaks: Peaks
    crystals: list[Crystal]
    """Without the spots that each explains: these are not in the file."""
    reflections: list[Reflections]
    """One table for each of `crystals`, empty where they were not integrated."""
    group: str = ""
    """`Shot.group`; empty where shots were not grouped."""


class DumpedShots(Closing):
    """Reads the shots of one file in their order; of a file that still grows, as many as there are.

    Memory does not grow with the file: images come in blocks, and pixels not at all. Raises ImageFileError where the
    file is no dump of ours, or damaged.
    """

    def __init__(self, path: Path) -> None:
        """Open a file; nothing keeps its writer from going on."""
        self.path = path
        self.reader = NXmxReader(path)
        """Gives the pixels."""
        try:
            self._numbers = self.reader.file["entry/frames/number"]
            self._columns = {
                "timestamp": self.reader.file["entry/frames/timestamp"],
                "wavelength": self.reader.file["entry/instrument/beam/incident_wavelength"],
            }
            if (groups := self.reader.file.get("entry/frames/group")) is not None:  # dumps had none at first
                self._columns["group"] = groups
            self._crystals = _Group(self.reader.file["entry/crystals"])
            self._reflections = _Group(self.reader.file["entry/reflections"])
            self._result = _Group(self.reader.file[RESULT])
            self.series_key = str(self.reader.file["entry/frames"].attrs["series_key"])
            """`Series.key` of the run; the same in all of its dumps."""
            self.detector: Detector = self.reader.detector()
            """As it was when the file was begun."""
            self.settings = _settings(self.reader.file)
            """The settings in force, as tables; empty if the file does not say."""
            self.has_reflections = len(self._reflections["crystal"]) > 0
            """Whether any reflection had been integrated when the file was opened."""
            self.cell = self._first_cell()
            """The cell that was looked for; None before the first crystal, and where nobody said it."""
        except BROKEN as error:
            self.close()
            if isinstance(error, ImageFileError):
                raise
            raise ImageFileError(
                f"{path} lacks what a dump of this version of Braggwatch has: {' '.join(str(error).split())}"
            ) from None

    def close(self) -> None:
        """Close the file."""
        self.reader.close()

    def __len__(self) -> int:
        """Return how many images there are by now."""
        self._numbers.refresh()
        return len(self._numbers)

    def groups(self) -> Counter[str]:
        """Return how many images each group of shots has by now; those that are in none are left out."""
        n = len(self)
        column = self._columns.get("group")
        if column is None:
            return Counter()
        column.refresh()
        named = Counter(column[:n].tolist())
        return Counter({bytes(name).decode(errors="replace"): count for name, count in named.items() if name})

    def d_min(self) -> float | None:
        """Return how far reflections were integrated, Angstrom; None where there are none. Reads 4 bytes of each."""
        column = self._reflections["inverse_d"]
        blocks = (column[start : start + MAX_ROWS] for start in range(0, len(column), MAX_ROWS))
        largest = max((float(block.max()) for block in blocks), default=0.0)
        return 1.0 / largest if largest > 0 else None

    @property
    def gain(self) -> float:
        """ADU of one photon, as the settings of the stage `integrate` say; 1 if they do not."""
        for name, table in self.settings.items():
            if name.partition(":")[0] == "integrate" and isinstance(table.get("gain"), int | float):
                return float(table["gain"])
        return 1.0

    def shots(self, start: int = 0) -> Iterator[DumpedShot]:
        """Give the shots from image `start` to the last one there is; call it again for those that have come since."""
        stop = len(self)
        try:
            # Whoever sees an image's number finds the rest of it (`NXmxWriter.flush`).
            for dataset in self._columns.values():
                dataset.refresh()
            for group in (self._crystals, self._reflections, self._result):
                group.refresh()
            while start < stop:
                block = self._block(start, min(start + _IMAGES, stop))
                yield from block
                start += len(block)
        except BROKEN as error:
            if isinstance(error, ImageFileError):
                raise
            raise ImageFileError(f"{self.path}: image {start} cannot be read: {' '.join(str(error).split())}") from None

    def _block(self, first: int, stop: int) -> list[DumpedShot]:
        """Return the shots of images `first` to `stop`, or fewer where these hold many reflections."""
        images, owners = self._crystals["image"], self._reflections["crystal"]
        lattice = bisect_left(images, first)
        row = bisect_left(owners, lattice)
        while True:
            end = bisect_left(images, stop, lattice)
            last = bisect_left(owners, end, row)
            if last - row <= MAX_ROWS:
                break
            if stop - first == 1:
                raise ImageFileError(f"{self.path}: image {first} has {last - row} reflections, at most {MAX_ROWS} fit")
            stop = first + (stop - first) // 2
        crystals, reflections = self._lattices(lattice, end), self._reflection_rows(row, last)
        of_image = np.searchsorted(images[lattice:end], np.arange(first, stop + 1))
        of_crystal = np.searchsorted(owners[row:last], np.arange(lattice, end + 1))
        numbers = self._numbers[first:stop]
        columns = {name: dataset[first:stop] for name, dataset in self._columns.items()}
        groups = columns.get("group", [b""] * (stop - first))
        return [
            DumpedShot(
                path=self.path,
                entry=first + i,
                number=int(numbers[i]),
                timestamp=float(columns["timestamp"][i]),
                wavelength=float(columns["wavelength"][i]),
                peaks=self._peaks(first + i),
                crystals=crystals[of_image[i] : of_image[i + 1]],
                reflections=[
                    reflections[of_crystal[c] : of_crystal[c + 1]] for c in range(of_image[i], of_image[i + 1])
                ],
                group=bytes(groups[i]).decode(errors="replace"),
            )
            for i in range(stop - first)
        ]

    def _lattices(self, first: int, stop: int) -> list[Crystal]:
        rows = {name: self._crystals[name][first:stop] for name in ("A", "beam_shift", *_NUMBERS)}
        known = zip(self._crystals["known_cell"][first:stop], self._crystals["space_group"][first:stop], strict=True)
        return [
            Crystal(
                A=rows["A"][i],
                known=_cell(tuple(cell.tolist()), symbol),
                beam_shift=(float(rows["beam_shift"][i, 0]), float(rows["beam_shift"][i, 1])),
                rmsd_q=float(rows["rmsd_q"][i]),
                rmsd_px=float(rows["rmsd_px"][i]),
                block_size=float(rows["block_size"][i]),
                mosaicity=float(rows["mosaicity"][i]),
                diffraction_limit=float(rows["diffraction_limit"][i]),
            )
            for i, (cell, symbol) in enumerate(known)
        ]

    def _reflection_rows(self, first: int, stop: int) -> Reflections:
        return Reflections(*(self._reflections[field.name][first:stop] for field in fields(Reflections)))

    def _peaks(self, entry: int) -> Peaks:
        n = int(self._result["nPeaks"][entry])
        if not 0 <= n <= MAX_PEAKS:
            raise ImageFileError(f"{self.path}: image {entry} has {n} spots, expected 0 to {MAX_PEAKS}")
        row = {
            name: (self._result[cxi_name][entry, :n] - dtype(shift)).astype(dtype)
            for cxi_name, name, dtype, shift in FIELDS
        }
        return Peaks(panel=self.detector.panel_at(row["fs"], row["ss"]), **row)

    def _first_cell(self) -> UnitCell | None:
        if not len(self._crystals["image"]):
            return None
        return _cell(tuple(self._crystals["known_cell"][0].tolist()), self._crystals["space_group"][0])


class _Group:
    """The datasets of an HDF5 group, opened once: looking one up by its path takes longer than reading a row."""

    def __init__(self, group: h5py.Group) -> None:
        self._datasets = {name: group[name] for name in group}

    def __getitem__(self, name: str) -> h5py.Dataset:
        return self._datasets[name]

    def refresh(self) -> None:
        for dataset in self._datasets.values():
            dataset.refresh()


@lru_cache(maxsize=64)
def _cell(parameters: tuple[float, ...], symbol: bytes) -> UnitCell | None:
    if not symbol:
        return None
    a, b, c, alpha, beta, gamma = parameters
    return UnitCell(a, b, c, alpha, beta, gamma, symbol.decode())


def _settings(file: h5py.File) -> dict[str, dict[str, Any]]:
    text = file.get("entry/process/settings")
    if text is None:
        return {}
    try:
        found = tomllib.loads(text.asstr()[()])
    except tomllib.TOMLDecodeError:
        return {}
    return {name: table for name, table in found.items() if isinstance(table, dict)}

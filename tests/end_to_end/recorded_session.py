"""A finished session as its files have it: SQL on the record, HDF5 on the dumps, and nothing of ours in between."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 (the dumps are packed with bitshuffle and LZ4)
import numpy as np
from numpy.typing import NDArray
from programs import Program, mixed_pool, query, start_simulator, write_settings

N_FRAMES = 66
"""The last hit of them has two lattices."""
PEAK = np.dtype([("fs", "<f4"), ("ss", "<f4"), ("intensity", "<f4"), ("max", "<f4"), ("q", "<f4"), ("lattice", "<i4")])
"""A row of the column ``peaks``; `q` is 1/d in 1/Angstrom."""
EV_ANGSTROM = 12398.41984

F64 = NDArray[np.float64]


@dataclass
class Session:
    """One run: blanks, hits without, with one, and with two lattices."""

    record: Path

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the record."""
        return query(self.record, sql)

    def number(self, sql: str) -> Any:
        """Ask the record for one value."""
        ((value,),) = self.ask(sql)
        return value

    def column(self, sql: str) -> F64:
        """Ask the record for one column of numbers."""
        return np.array([value for (value,) in self.ask(sql)], np.float64)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many frames ended in each state."""
        return dict(self.ask("SELECT state, sum(n) FROM totals GROUP BY state"))

    @cached_property
    def n_hits(self) -> int:
        """Indexed ones included."""
        return int(self.number("SELECT count(*) FROM hits"))

    @cached_property
    def n_multi(self) -> int:
        """Shots with two lattices."""
        return int(self.number("SELECT count(*) FROM crystals WHERE lattice = (SELECT max(lattice) FROM crystals)"))

    @cached_property
    def verdicts(self) -> dict[int, str]:
        """Of each hit: ``hit``, ``indexed`` or ``2 lattices``."""
        rows = self.ask(
            "SELECT hits.number, count(a) FROM hits LEFT JOIN crystals USING (run, number) GROUP BY hits.number"
        )
        return {number: ("hit", "indexed", "2 lattices")[n] for number, n in rows}

    def one(self, verdict: str) -> int:
        """Return the first frame that was judged so."""
        return next(number for number in sorted(self.verdicts) if self.verdicts[number] == verdict)

    def last_hits(self) -> list[int]:
        """Return the last 40 hits, oldest first: as many as the window fetches of a record."""
        rows = self.ask("SELECT number FROM hits ORDER BY id DESC LIMIT 40")
        return [number for (number,) in reversed(rows)]

    def peaks(self, number: int) -> NDArray[Any]:
        """Return the spots of a hit, as rows of `PEAK`."""
        return np.frombuffer(self.number(f"SELECT peaks FROM hits WHERE number = {number}"), PEAK)

    @cached_property
    def all_peaks(self) -> dict[int, NDArray[Any]]:
        """The spots of every hit, by frame."""
        return {number: self.peaks(number) for number in self.verdicts}

    def pixels(self, number: int) -> NDArray[np.uint16]:
        """Return the pixels of a hit out of its dump."""
        ((path, entry),) = self.ask(
            f"SELECT path, entry FROM images JOIN files ON files.id = file WHERE number = {number}"
        )
        with h5py.File(path, locking=False) as file:  # the window has it open too
            pixels: NDArray[np.uint16] = file["entry/data/data"][entry]
        return pixels

    def axes(self) -> F64:
        """Return a, b, c of all lattices, ``(n, 3, 3)``, Angstrom."""
        rows = self.ask("SELECT ax, ay, az, bx, by, bz, cx, cy, cz FROM crystals")
        return np.array(rows, np.float64).reshape(-1, 3, 3)

    def residuals(self, number: int, lattice: int) -> F64:
        """Return observed minus predicted places of a lattice's spots, ``(n, 2)`` along fs and ss, pixels."""
        ((*A,),) = self.ask(
            "SELECT ax, ay, az, bx, by, bz, cx, cy, cz FROM crystals "
            f"WHERE number = {number} ORDER BY lattice LIMIT 1 OFFSET {lattice - 1}"
        )
        ((energy, z, *centre, pixel),) = self.ask(
            "SELECT photon_energy_eV, distance_m, beam_center_fs, beam_center_ss, pixel_size_fs_m FROM runs"
        )
        peaks = self.peaks(number)
        own = peaks[peaks["lattice"] == lattice]
        seen = np.stack([own["fs"], own["ss"]], axis=1).astype(np.float64)
        places = np.column_stack([(seen - centre) * pixel, np.full(len(own), z)])
        beam = np.array([0.0, 0.0, energy / EV_ANGSTROM])
        q = places / np.linalg.norm(places, axis=1)[:, None] * beam[2] - beam
        axes = np.reshape(A, (3, 3))
        rays = np.rint(q @ axes.T) @ np.linalg.inv(axes).T + beam
        return np.asarray(seen - (rays[:, :2] / rays[:, 2:] * z / pixel + centre))


def run_session(folder: Path) -> Session:
    """Run a simulated detector and a processor until both have ended."""
    mixed_pool().save(folder / "pool.h5")
    simulator, detector = start_simulator(folder, "--frames", str(N_FRAMES), "--rate", "40")
    # by the second lattice, and by lattices of fewer spots that are not believed, shots come in all kinds
    settings = write_settings(
        folder, detector, chain={"stages": ["hitfind", "dump:hit", "index", "integrate"]},
        index={"max_lattices": 2, "min_spots": 40},
        engine={"workers": 1},  # so that results come in the order of the frames
    )  # fmt: skip
    with simulator, Program(folder, "process", settings, "--no-view", "--series", "1") as processor:
        assert processor.wait() == 0, processor.messages
    return Session(folder / "record.sqlite")

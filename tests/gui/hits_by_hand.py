"""Many different hits, made by hand."""

import numpy as np

from braggwatch.gui.hit_columns import HitColumns
from braggwatch.streamer.archive_messages import HitRow
from braggwatch.streamer.messages import CrystalFound, Dumped, State


def varied_row(row: int, random: np.random.Generator) -> HitRow:
    """A hit like any other: with or without lattices, file, tags, and resolution."""
    n_lattices = int(random.choice([0, 0, 1, 1, 1, 2]))
    crystals = tuple(
        CrystalFound(
            cell=tuple(float(v) for v in (*random.normal([79.2, 79.2, 38.0], 0.2), *random.normal(90.0, 0.3, 3))),  # type: ignore[arg-type]
            A=(79.2, 0.0, 0.0, 0.0, 79.2, 0.0, 0.0, 0.0, 38.0),
            n_indexed=int(random.integers(8, 60)),
            rmsd_px=float(random.uniform(0.2, 1.5)),
        )
        for _ in range(n_lattices)
    )
    return HitRow(
        id=row + 1, series=f"run-{row // 1000}", run=row // 1000, number=7 * row % 1000, time=1.75e9 + 0.1 * row,
        state=State.INDEXED if crystals else State.HIT, n_peaks=int(random.integers(16, 80)),
        resolution=None if random.random() < 0.1 else float(random.uniform(1.6, 4.0)), crystals=crystals,
        dumped=(Dumped("hit", f"dumps/hit_{9 - row // 300 % 10:04d}.h5", row % 300),) if random.random() < 0.8 else (),
        tags=("good",) if random.random() < 0.05 else (),
    )  # fmt: skip


def varied_rows(n: int, seed: int = 1) -> list[HitRow]:
    random = np.random.default_rng(seed)
    return [varied_row(row, random) for row in range(n)]


def columns_of(rows: list[HitRow]) -> HitColumns:
    columns = HitColumns()
    columns.extend(rows)
    return columns

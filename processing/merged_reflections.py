"""Merged intensities as arrays, and as an MTZ file."""

from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.unit_cell import UnitCell


@dataclass(frozen=True, eq=False)
class MergedReflections:
    """Merged intensities of the observed reflections of an asymmetric unit, low resolution first."""

    cell: UnitCell
    hkl: NDArray[np.int32]
    """``(n, 3)``: Miller indices."""
    intensity: NDArray[np.float64]
    """``(n,)``: on the scale of a typical crystal, ADU."""
    sigma: NDArray[np.float64]
    """Standard deviation of `intensity`."""
    n: NDArray[np.int32]
    """Number of observations."""
    half: NDArray[np.float64]
    """``(2, n)``: intensities of the two halves; NaN where a half has none."""
    half_n: NDArray[np.int32]
    """``(2, n)``: number of observations in each."""

    def __len__(self) -> int:
        return len(self.hkl)

    def write_mtz(self, path: str | Path, *, wavelength: float | None = None) -> None:
        """Write an MTZ file with H K L IMEAN SIGIMEAN N and, of the halves, I1 N1 I2 N2; missing values are NaN.

        `wavelength` in Angstrom. Raises FileExistsError where the file is there already, and OSError where it cannot be
        written.
        """
        mtz = gemmi.Mtz(with_base=True)
        mtz.title = "Merged by braggwatch"
        mtz.spacegroup = self.cell.group
        mtz.set_cell_for_all(self.cell.gemmi_cell)
        mtz.add_dataset("merged").wavelength = wavelength or 0.0
        for label, kind in (
            ("IMEAN", "J"), ("SIGIMEAN", "Q"), ("N", "I"), ("I1", "J"), ("N1", "I"), ("I2", "J"), ("N2", "I"),
        ):  # fmt: skip
            mtz.add_column(label, kind)
        mtz.set_data(
            np.column_stack(
                [
                    self.hkl, self.intensity, self.sigma, self.n,
                    self.half[0], self.half_n[0], self.half[1], self.half_n[1],
                ]
            ).astype(np.float32)
        )  # fmt: skip
        mtz.update_reso()
        content = mtz.write_to_bytes()
        with Path(path).open("xb") as file:
            file.write(content)

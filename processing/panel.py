"""One flat panel of a detector."""

from dataclasses import dataclass, replace

import numpy as np

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Panel:
    """A flat rectangle of pixels in the image array, and where it lies in the laboratory."""

    name: str
    fs_start: int
    """First column in the image array."""
    fs_stop: int
    """One past the last column."""
    ss_start: int
    """First row in the image array."""
    ss_stop: int
    """One past the last row."""
    corner: Vector
    """Lab position of the outer corner of the first pixel, m: its centre lies at ``corner + (fs + ss) / 2``."""
    fs: Vector
    """Lab vector from one pixel to the next along a row, m."""
    ss: Vector
    """Lab vector from one row to the next, m."""
    max_adu: float = float("inf")
    """A pixel at or above this value is saturated, ADU."""

    def __post_init__(self) -> None:
        if not (0 <= self.fs_start < self.fs_stop and 0 <= self.ss_start < self.ss_stop):
            raise ValueError(
                f"panel {self.name}: expected 0 <= start < stop, found fs {self.fs_start}..{self.fs_stop}, "
                f"ss {self.ss_start}..{self.ss_stop}"
            )
        if not np.isfinite([self.corner, self.fs, self.ss]).all():
            raise ValueError(
                f"panel {self.name}: expected finite positions, found corner {self.corner}, fs {self.fs}, ss {self.ss}"
            )
        if not np.linalg.norm(np.cross(self.fs, self.ss)) > 0:
            raise ValueError(f"panel {self.name}: its fs and ss vectors do not span a plane: {self.fs}, {self.ss}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, ``(ss, fs)``."""
        return self.ss_stop - self.ss_start, self.fs_stop - self.fs_start

    @property
    def slices(self) -> tuple[slice, slice]:
        """What to index an image with to get this panel."""
        return slice(self.ss_start, self.ss_stop), slice(self.fs_start, self.fs_stop)

    @property
    def pixel_size(self) -> float:
        """Length of the fs vector, m."""
        return float(np.linalg.norm(self.fs))

    def moved(self, by: Vector) -> "Panel":
        """Return this panel shifted in the laboratory by a vector in m."""
        x, y, z = (c + d for c, d in zip(self.corner, by, strict=True))
        return replace(self, corner=(x, y, z))

"""Where each pixel of a detector lies, and which pixels to leave out."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggwatch.processing.beam import Beam

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
        if abs(float(np.linalg.det([self.fs, self.ss, np.cross(self.fs, self.ss)]))) == 0.0:
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


@dataclass(frozen=True, eq=False)
class Detector:
    """Panels in one image array, their mask, and the beam they see.

    Images of more than two dimensions, such as ``(module, ss, fs)``, are treated as the two-dimensional array in which
    the modules follow each other along ss: `as_slab`.
    """

    panels: tuple[Panel, ...]
    shape: tuple[int, int]
    """Rows and columns of the image array, ``(ss, fs)``."""
    beam: Beam | None = None
    """The beam that `q` and `resolution` take when none is given."""
    mask: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))
    """``(ss, fs)`` bool, True where a pixel must not be used; pixels of no panel are always True."""

    def __post_init__(self) -> None:
        if not self.panels:
            raise ValueError("a detector needs at least one panel")
        n_ss, n_fs = self.shape
        outside = np.ones(self.shape, bool)
        for panel in self.panels:
            if panel.ss_stop > n_ss or panel.fs_stop > n_fs:
                raise ValueError(
                    f"panel {panel.name} ends at ss {panel.ss_stop}, fs {panel.fs_stop}, "
                    f"outside the image of {n_ss} x {n_fs} (ss x fs)"
                )
            if not outside[panel.slices].all():
                raise ValueError(f"panel {panel.name} overlaps another panel in the image array")
            outside[panel.slices] = False
        mask = np.asarray(self.mask)
        if mask.size:
            if mask.shape != self.shape:
                raise ValueError(f"the mask's shape is {mask.shape}, expected the image's {self.shape}")
            outside |= mask.astype(bool)
        outside.flags.writeable = False
        object.__setattr__(self, "mask", outside)

    @classmethod
    def single_panel(
        cls,
        shape: tuple[int, int],
        *,
        pixel_size: float | tuple[float, float],
        distance: float,
        beam_center: tuple[float, float],
        photon_energy: float | None = None,
        mask: NDArray[np.bool_] | None = None,
    ) -> "Detector":
        """Make a detector of one panel perpendicular to the beam.

        `shape` is ``(ss, fs)``; `pixel_size` in m, one number or ``(fs, ss)``; `distance` in m; `beam_center` is
        ``(fs, ss)`` in pixels from the outer corner of the first pixel; `photon_energy` in eV.
        """
        size_fs, size_ss = (pixel_size, pixel_size) if isinstance(pixel_size, float | int) else pixel_size
        if not (size_fs > 0 and size_ss > 0):
            raise ValueError(f"the pixel size must be positive, found {pixel_size} m")
        if not distance > 0:
            raise ValueError(f"the detector distance must be positive, found {distance} m")
        center_fs, center_ss = beam_center
        panel = Panel(
            name="p0",
            fs_start=0,
            fs_stop=shape[1],
            ss_start=0,
            ss_stop=shape[0],
            corner=(-center_fs * size_fs, -center_ss * size_ss, distance),
            fs=(size_fs, 0.0, 0.0),
            ss=(0.0, size_ss, 0.0),
        )
        beam = None if photon_energy is None else Beam(photon_energy)
        return cls((panel,), shape, beam, np.zeros((0, 0), bool) if mask is None else mask)

    def with_mask(self, mask: NDArray[np.bool_]) -> "Detector":
        """Return this detector with further pixels masked; `mask` is ``(ss, fs)``, nonzero = masked."""
        if mask.shape != self.shape:
            raise ValueError(f"the mask's shape is {mask.shape}, expected the image's {self.shape}")
        return replace(self, mask=self.mask | mask.astype(bool))

    def with_beam(self, beam: Beam) -> "Detector":
        """Return this detector in another beam."""
        return replace(self, beam=beam)

    def moved(self, by: Vector) -> "Detector":
        """Return this detector shifted in the laboratory by a vector in m."""
        return replace(self, panels=tuple(panel.moved(by) for panel in self.panels))

    def as_slab(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return an image of any number of dimensions as the ``(ss, fs)`` array that the panels index.

        Nothing is copied if it is in C order. Raises ValueError where the sizes differ.
        """
        if image.shape == self.shape:
            return image
        if image.ndim > 2 and image.shape[-1] == self.shape[1] and image.size == self.shape[0] * self.shape[1]:
            return image.reshape(self.shape)
        raise ValueError(f"the image's shape is {image.shape}, the detector's is {self.shape} (ss, fs)")

    @cached_property
    def _frames(self) -> NDArray[np.float64]:
        """``(n_panels, 3, 3)``: rows fs, ss, and the lab position of image coordinate (0, 0) on the panel's plane."""
        frames = np.empty((len(self.panels), 3, 3))
        for frame, panel in zip(frames, self.panels, strict=True):
            frame[0] = panel.fs
            frame[1] = panel.ss
            frame[2] = np.asarray(panel.corner) - panel.fs_start * frame[0] - panel.ss_start * frame[1]
        return frames

    @cached_property
    def panel_map(self) -> NDArray[np.int16]:
        """``(ss, fs)``: the panel that each pixel belongs to, -1 for none."""
        panel_map = np.full(self.shape, -1, np.int16)
        for index, panel in enumerate(self.panels):
            panel_map[panel.slices] = index
        panel_map.flags.writeable = False
        return panel_map

    def panel_at(self, fs: ArrayLike, ss: ArrayLike) -> NDArray[np.int16]:
        """Return the panel's index at image coordinates in pixels, -1 where there is none."""
        column = np.floor(np.asarray(fs, float)).astype(np.int64)
        row = np.floor(np.asarray(ss, float)).astype(np.int64)
        inside = (row >= 0) & (row < self.shape[0]) & (column >= 0) & (column < self.shape[1])
        found = self.panel_map[np.where(inside, row, 0), np.where(inside, column, 0)]
        return np.where(inside, found, np.int16(-1)).astype(np.int16)

    def position(self, fs: ArrayLike, ss: ArrayLike, panel: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return lab positions ``(n, 3)`` in m of image coordinates `fs`, `ss` in pixels.

        `panel` says which panel each belongs to; left out, it is looked up. Raises ValueError where there is no panel.
        """
        fs_, ss_ = np.atleast_1d(np.asarray(fs, float)), np.atleast_1d(np.asarray(ss, float))
        index = self.panel_at(fs_, ss_) if panel is None else np.atleast_1d(np.asarray(panel))
        if index.size and index.min() < 0:
            where = int(np.argmin(index))
            raise ValueError(f"no panel lies at fs {fs_.flat[where]}, ss {ss_.flat[where]}")
        frames = self._frames[index]
        return fs_[..., None] * frames[..., 0, :] + ss_[..., None] * frames[..., 1, :] + frames[..., 2, :]

    def q(
        self, fs: ArrayLike, ss: ArrayLike, panel: ArrayLike | None = None, beam: Beam | None = None
    ) -> NDArray[np.float64]:
        """Return scattering vectors ``(n, 3)`` in 1/Angstrom of image coordinates in pixels (see `position`)."""
        direction = self.position(fs, ss, panel)
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        direction[..., 2] -= 1.0
        return direction / self._beam(beam).wavelength

    def resolution(
        self, fs: ArrayLike, ss: ArrayLike, panel: ArrayLike | None = None, beam: Beam | None = None
    ) -> NDArray[np.float64]:
        """Return d spacings in Angstrom of image coordinates in pixels; infinite at the beam centre."""
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / np.linalg.norm(self.q(fs, ss, panel, beam), axis=-1))

    def _beam(self, beam: Beam | None) -> Beam:
        beam = beam or self.beam
        if beam is None:
            raise ValueError("the photon energy is unknown: give a beam here or to the detector")
        return beam

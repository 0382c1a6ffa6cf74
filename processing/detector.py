"""Where each pixel of a detector lies, and which pixels to leave out."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.frame import Series
from braggwatch.processing.panel import Panel as Panel
from braggwatch.processing.panel import Vector
from braggwatch.processing.projection import fill_q_map, fill_radius_map, project_rays


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
    flag_values: tuple[float, ...] = ()
    """A pixel of one of these values is bad in that image, ADU."""
    flag_below: float = float("-inf")
    """A pixel below this value is bad in that image, ADU."""
    flag_above: float = float("inf")
    """A pixel above this value is bad in that image, ADU."""
    noise: NDArray[np.float32] | None = None
    """``(ss, fs)``: standard deviation of each pixel without light, ADU, where it is known."""

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
        if self.noise is not None and self.noise.shape != self.shape:
            raise ValueError(f"the noise's shape is {self.noise.shape}, expected the image's {self.shape}")

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
        max_adu: float = float("inf"),
        flag_values: tuple[float, ...] = (),
    ) -> "Detector":
        """Make a detector of one panel perpendicular to the beam.

        `shape` is ``(ss, fs)``; `pixel_size` in m, one number or ``(fs, ss)``; `distance` in m; `beam_center` is
        ``(fs, ss)`` in pixels from the outer corner of the first pixel; `photon_energy` in eV;
        `max_adu` is `Panel.max_adu`.
        """
        size_fs, size_ss = (pixel_size, pixel_size) if isinstance(pixel_size, float | int) else pixel_size
        if not (0 < size_fs < 1 and 0 < size_ss < 1):
            raise ValueError(f"the pixel size must be positive and below 1 m, found {pixel_size} m")
        if not 0 < distance < float("inf"):
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
            max_adu=max_adu,
        )
        beam = None if photon_energy is None else Beam(photon_energy)
        return cls((panel,), shape, beam, np.zeros((0, 0), bool) if mask is None else mask, flag_values)

    @classmethod
    def from_crystfel(
        cls,
        path: str | Path,
        *,
        distance: float | None = None,
        photon_energy: float | None = None,
        shape: tuple[int, ...] | None = None,
        series: Series | None = None,
    ) -> "Detector":
        """Read a CrystFEL geometry file.

        `distance` in m stands in for the file's clen, `photon_energy` in eV for the file's. Panels lie at clen plus
        their coffset, so for a file whose clen is an encoder's reading, `distance` is that reading too; `with_distance`
        puts the detector at a true distance. `distance` must be given where the file leaves clen out or to a data file;
        without any photon energy the detector has no beam. What neither says is taken from `series`, whose distance is
        that of the panels' mean: its saturation value holds for panels without ``max_adu``, and its error value means
        bad whatever the file's flags are. `shape` is that of one frame's data array, such as ``(16, 512, 128)``, needed
        only where the file's panels do not reach its end.

        A stack ``(module, ss, fs)`` becomes the slab that `as_slab` makes of it. Masks are read where the file names a
        file that exists (beside it or in the working directory); masks that lie in data files are not.

        Raises ValueError with file and line for what is wrong in the file, and for what it leaves open.
        """
        # imported here, because that module makes Detectors
        from braggwatch.processing.crystfel_detector import detector_from_crystfel
        from braggwatch.processing.crystfel_geometry import CrystfelGeometry

        return detector_from_crystfel(
            CrystfelGeometry.read(path), distance=distance, photon_energy=photon_energy, shape=shape, series=series
        )

    @classmethod
    def from_series(cls, series: Series) -> "Detector":
        """Make a detector of one panel from what the stream said of itself.

        Without a photon energy the detector has no beam. Of unsigned pixels the two largest values mean bad (DECTRIS'
        masked and bad pixels), of signed ones the smallest; so does the stream's own error value. Raises ValueError
        naming what the stream did not say.
        """
        missing = [
            name
            for name, known in (
                ("image shape", series.shape is not None),
                ("pixel size", series.pixel_size is not None),
                ("detector distance", series.distance is not None),
                ("beam centre", series.beam_center is not None),
            )
            if not known
        ]
        if series.shape is None or series.pixel_size is None or series.distance is None or series.beam_center is None:
            raise ValueError(
                f"the stream's header lacks: {', '.join(missing)}; expected all of image shape, pixel size, detector "
                "distance and beam centre. A geometry file (.geom) can supply them instead"
            )
        return cls.single_panel(
            series.shape,
            pixel_size=series.pixel_size,
            distance=series.distance,
            beam_center=series.beam_center,
            photon_energy=series.photon_energy,
            mask=series.mask,
            max_adu=float("inf") if series.saturation_value is None else series.saturation_value,
            flag_values=_markers_of(series.dtype)
            + (() if series.error_value is None else (float(series.error_value),)),
        )

    def with_mask(self, mask: NDArray[Any]) -> "Detector":
        """Return this detector with further pixels masked; `mask` is ``(ss, fs)``, nonzero = masked."""
        if mask.shape != self.shape:
            raise ValueError(f"the mask's shape is {mask.shape}, expected the image's {self.shape}")
        return replace(self, mask=self.mask | mask.astype(bool))

    def without_flags(self) -> "Detector":
        """Return this detector for images whose bad pixels are NaN already, as `Calibration` leaves them."""
        return replace(self, flag_values=(), flag_below=float("-inf"), flag_above=float("inf"))

    def with_beam(self, beam: Beam) -> "Detector":
        """Return this detector in another beam."""
        return replace(self, beam=beam)

    def moved(self, by: Vector) -> "Detector":
        """Return this detector shifted in the laboratory by a vector in m."""
        return replace(self, panels=tuple(panel.moved(by) for panel in self.panels))

    @cached_property
    def distance(self) -> float:
        """Mean distance of the panels' centres from the sample along the beam, m; each pixel counts the same."""
        middle = np.array([[(p.fs_start + p.fs_stop) / 2, (p.ss_start + p.ss_stop) / 2, 1.0] for p in self.panels])
        z = np.einsum("ni,ni->n", middle, self._frames[:, :, 2])
        return float(np.average(z, weights=[p.shape[0] * p.shape[1] for p in self.panels]))

    def with_distance(self, distance: float) -> "Detector":
        """Return this detector moved along the beam to another mean distance in m."""
        if not 0 < distance < float("inf"):
            raise ValueError(f"the detector distance must be positive, found {distance} m")
        return self.moved((0.0, 0.0, distance - self.distance))

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
    def _inverses(self) -> NDArray[np.float64]:
        """``(n_panels, 3, 3)``: turns a lab direction into a multiple of (fs, ss, 1); NaN for a panel seen edge-on."""
        columns = self._frames.transpose(0, 2, 1)
        flat = np.abs(np.linalg.det(columns)) <= 1e-12 * np.linalg.norm(columns, axis=1).prod(axis=1)
        inverses = np.full_like(columns, np.nan)
        inverses[~flat] = np.linalg.inv(columns[~flat])
        return inverses

    @cached_property
    def _bounds(self) -> NDArray[np.int64]:
        """``(n_panels, 4)``: first and last + 1 column, first and last + 1 row."""
        return np.array([(p.fs_start, p.fs_stop, p.ss_start, p.ss_stop) for p in self.panels], np.int64)

    @cached_property
    def beam_center(self) -> NDArray[np.float64]:
        """``(n_panels, 2)``: image coordinates (fs, ss) in pixels where the beam meets each panel's plane.

        They may lie outside the panel; NaN where the beam does not meet the plane.
        """
        at_beam = self._inverses[:, :, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            center = at_beam[:, :2] / at_beam[:, 2:]
        center[~np.isfinite(center).all(axis=1)] = np.nan
        return np.asarray(center)

    @cached_property
    def pixel_radius(self) -> NDArray[np.float32]:
        """``(ss, fs)`` float32: distance of each pixel's centre from the beam axis, in pixels; NaN in no panel.

        It is the transverse distance in the laboratory divided by the panel's pixel size: the radius of peakfinder8.
        """
        radius = np.full(self.shape, np.nan, np.float32)
        fill_radius_map(self._frames, self._bounds, np.array([p.pixel_size for p in self.panels]), radius)
        radius.flags.writeable = False
        return radius

    @cached_property
    def _q_maps(self) -> dict[Beam, NDArray[np.float32]]:
        return {}

    def q_map(self, beam: Beam | None = None) -> NDArray[np.float32]:
        """Return |q| of each pixel's centre, ``(ss, fs)`` float32, 1/Angstrom; NaN in no panel.

        Read-only; the map of the last beam is kept.
        """
        beam = self._beam(beam)
        if beam not in self._q_maps:
            q = np.full(self.shape, np.nan, np.float32)
            fill_q_map(self._frames, self._bounds, beam.wavelength, q)
            q.flags.writeable = False
            self._q_maps.clear()
            self._q_maps[beam] = q
        return self._q_maps[beam]

    def resolution_map(self, beam: Beam | None = None) -> NDArray[np.float32]:
        """Return the d spacing of each pixel's centre, ``(ss, fs)`` float32, Angstrom; NaN in no panel."""
        with np.errstate(divide="ignore"):
            return np.reciprocal(self.q_map(beam))

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

    def project(self, s1: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int16]]:
        """Find the pixels that rays from the sample hit.

        `s1` is ``(n, 3)`` lab directions of any length. Returns image coordinates fs and ss in pixels, ``(n,)``
        float64, and the panel's index, ``(n,)`` int16; NaN, NaN and -1 for a ray that misses. Where panels shade each
        other, the one nearest to the sample counts. Raises ValueError for another shape.
        """
        rays = np.ascontiguousarray(s1, float)
        if rays.ndim != 2 or rays.shape[1] != 3:
            raise ValueError(f"expected directions of shape (n, 3), found {rays.shape}")
        fs, ss = np.full(len(rays), np.nan), np.full(len(rays), np.nan)
        panel = np.full(len(rays), -1, np.int16)
        project_rays(rays, self._inverses, self._bounds, fs, ss, panel)
        return fs, ss, panel

    def project_q(
        self, q: ArrayLike, beam: Beam | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int16]]:
        """Find the pixels that scattering vectors `q`, ``(n, 3)`` in 1/Angstrom, point to (see `project`).

        A vector off the Ewald sphere points along s0/wavelength + q.
        """
        rays = np.array(q, float)
        if rays.ndim != 2 or rays.shape[1] != 3:
            raise ValueError(f"expected scattering vectors of shape (n, 3), found {rays.shape}")
        rays[:, 2] += 1.0 / self._beam(beam).wavelength
        return self.project(rays)

    def _beam(self, beam: Beam | None) -> Beam:
        beam = beam or self.beam
        if beam is None:
            raise ValueError(
                "the photon energy is unknown: neither the geometry nor the stream says it; give photon_energy when "
                "the detector is made, or a beam here"
            )
        return beam


def _markers_of(dtype: str | None) -> tuple[float, ...]:
    """Return the pixel values that detectors of this dtype use for bad pixels."""
    if dtype is None or np.dtype(dtype).kind not in "iu":
        return ()
    limits = np.iinfo(np.dtype(dtype))
    return (float(limits.max), float(limits.max - 1)) if limits.min == 0 else (float(limits.min),)

"""From what a CrystFEL geometry file says to a Detector."""

import logging
import math

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.crystfel_geometry import BadRegion, CrystfelGeometry, CrystfelPanel
from braggwatch.processing.crystfel_masks import MaskFiles
from braggwatch.processing.crystfel_values import InDataFile
from braggwatch.processing.detector import Detector, Panel
from braggwatch.processing.frame import Series

log = logging.getLogger(__name__)

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))

LARGEST_IMAGE = 2**30
"""Pixels."""


def detector_from_crystfel(
    geometry: CrystfelGeometry,
    *,
    distance: float | None = None,
    photon_energy: float | None = None,
    shape: tuple[int, ...] | None = None,
    series: Series | None = None,
) -> Detector:
    """Make the Detector that a geometry file describes; see `Detector.from_crystfel` for what the numbers mean.

    Raises ValueError where nothing says the distance, or the file's panels do not form one image.
    """
    from_header = None if distance is not None or geometry.knows_clen or series is None else series.distance
    clen = 0.0 if from_header is not None else distance
    if photon_energy is None and not geometry.knows_photon_energy and series is not None:
        photon_energy = series.photon_energy
    layout = _Layout(geometry, shape)
    saturation = None if series is None else series.saturation_value
    panels = tuple(
        _panel(geometry, panel, layout.row(panel), _clen(geometry, panel, clen), saturation)
        for panel in geometry.panels
    )
    equal, below, above = _flags(geometry)
    if series is not None and series.error_value is not None and series.error_value not in equal:
        equal += (float(series.error_value),)
    detector = Detector(
        panels, layout.slab, _beam(geometry, photon_energy), np.zeros((0, 0), bool), equal, below, above
    )
    if from_header is not None:
        detector = detector.with_distance(from_header)
    if not detector.distance > 0:
        log.warning(
            "%s: its panels lie at %.4g m along the beam on average, behind the sample: clen plus coffset; "
            "is the distance given the file's clen?",
            geometry.path,
            detector.distance,
        )
    return detector.with_mask(_mask(geometry, detector, layout))


class _Layout:
    """How the panels' data array becomes an image: axes before ss are laid out along ss, in C order."""

    def __init__(self, geometry: CrystfelGeometry, shape: tuple[int, ...] | None) -> None:
        first = geometry.panels[0]
        for panel in geometry.panels:
            if panel.data != first.data:
                raise ValueError(
                    f"{geometry.path}: expected all panels in one array, found {first.data} (panel {first.name}) and "
                    f"{panel.data} (panel {panel.name})"
                )
            kinds = [tuple("n" if isinstance(dim, int) else dim for dim in p.dims) for p in (first, panel)]
            if kinds[0] != kinds[1]:
                raise ValueError(
                    f"{geometry.path}: expected the same kind of dim in all panels, found {first.dims} (panel "
                    f"{first.name}) and {panel.dims} (panel {panel.name})"
                )
        if first.dims[-2:] != ("ss", "fs"):
            raise ValueError(f"{geometry.path}: expected ss and fs as the last two dims, found {first.dims}")
        stacks = np.array([[dim for dim in panel.dims if isinstance(dim, int)] for panel in geometry.panels], int)
        least = (
            *(int(n) + 1 for n in stacks.max(axis=0)),
            max(panel.max_ss for panel in geometry.panels) + 1,
            max(panel.max_fs for panel in geometry.panels) + 1,
        )
        if shape is not None and (len(shape) != len(least) or any(n < m for n, m in zip(shape, least, strict=True))):
            raise ValueError(f"{geometry.path}: expected a data array of at least {least}, found {tuple(shape)}")
        self.array = least if shape is None else tuple(shape)
        self.slab = (int(np.prod(self.array[:-1])), self.array[-1])
        if self.slab[0] * self.slab[1] > LARGEST_IMAGE:
            raise ValueError(
                f"{geometry.path}: expected an image of at most {LARGEST_IMAGE} pixels, found {self.array}"
            )

    def row(self, panel: CrystfelPanel) -> int:
        """Return the image row at which the panel's part of the array begins."""
        stack = tuple(dim for dim in panel.dims if isinstance(dim, int))
        return int(np.ravel_multi_index(stack, self.array[:-2])) * self.array[-2] if stack else 0


def _clen(geometry: CrystfelGeometry, panel: CrystfelPanel, distance: float | None) -> float:
    clen = distance if distance is not None else panel.clen if panel.clen is not None else geometry.clen
    if clen is None:
        raise ValueError(f"{geometry.path}: it has no clen; give the distance, which the stream may know, in m")
    if isinstance(clen, InDataFile):
        raise ValueError(
            f"{geometry.path}: it leaves clen to data files ({clen.path}, {clen.unit}); give the distance, which the "
            "stream may know, in m"
        )
    return clen


def _beam(geometry: CrystfelGeometry, photon_energy: float | None) -> Beam | None:
    energy = geometry.photon_energy if photon_energy is None else photon_energy
    if energy is None or isinstance(energy, InDataFile):
        return None
    return Beam(energy, FWHM_PER_SIGMA * geometry.bandwidth)


def _panel(geometry: CrystfelGeometry, panel: CrystfelPanel, row: int, clen: float, saturation: float | None) -> Panel:
    pitch = 1.0 / panel.res
    fsx, fsy, fsz = panel.fs
    ssx, ssy, ssz = panel.ss
    shift_x, shift_y = geometry.detector_shift
    return Panel(
        name=panel.name,
        fs_start=panel.min_fs,
        fs_stop=panel.max_fs + 1,
        ss_start=row + panel.min_ss,
        ss_stop=row + panel.max_ss + 1,
        corner=(panel.corner_x * pitch + shift_x, panel.corner_y * pitch + shift_y, clen + panel.coffset),
        fs=(fsx * pitch, fsy * pitch, fsz * pitch),
        ss=(ssx * pitch, ssy * pitch, ssz * pitch),
        max_adu=saturation if saturation is not None and not math.isfinite(panel.max_adu) else panel.max_adu,
    )


def _flags(geometry: CrystfelGeometry) -> tuple[tuple[float, ...], float, float]:
    flags = {(p.flag_equal, p.flag_lessthan, p.flag_morethan) for p in geometry.panels}
    if len(flags) > 1:
        raise ValueError(
            f"{geometry.path}: expected the same flag_equal, flag_lessthan and flag_morethan for all panels, found "
            f"{len(flags)} different sets; give them once, before the first panel"
        )
    equal, less, more = flags.pop()
    return equal, max(less, default=float("-inf")), min(more, default=float("inf"))


def _mask(geometry: CrystfelGeometry, detector: Detector, layout: _Layout) -> NDArray[np.bool_]:
    mask = np.zeros(layout.slab, bool)
    files = MaskFiles(geometry)
    files.warn()
    for panel, described in zip(detector.panels, geometry.panels, strict=True):
        here = mask[panel.slices]
        here |= files.masked(described)
        if described.no_index:
            here[:] = True
        edge = described.mask_edge_pixels
        if edge:
            here[:edge], here[-edge:], here[:, :edge], here[:, -edge:] = True, True, True, True
        for region in geometry.bad:
            if region.panel in (None, described.name):
                _mark(region, panel, described, here)
    _check_regions(geometry, layout)
    return mask


def _mark(region: BadRegion, panel: Panel, described: CrystfelPanel, here: NDArray[np.bool_]) -> None:
    """Mark a region's pixels in `here`, one panel's part of the mask."""
    if region.fsss:
        fs, ss = (
            slice(max(0, int(np.ceil(low)) - start), max(0, int(np.floor(high)) + 1 - start))
            for low, high, start in zip(region.first, region.last, (described.min_fs, described.min_ss), strict=True)
        )
        here[ss, fs] = True
        return
    # CrystFEL takes a pixel's first corner, not its centre, and is strict about the limits: the same pixels here
    rows, columns = np.ogrid[: here.shape[0], : here.shape[1]]
    x = described.corner_x + columns * described.fs[0] + rows * described.ss[0]
    y = described.corner_y + columns * described.fs[1] + rows * described.ss[1]
    (min_x, min_y), (max_x, max_y) = region.first, region.last
    here |= (x > min_x) & (x < max_x) & (y > min_y) & (y < max_y)


def _check_regions(geometry: CrystfelGeometry, layout: _Layout) -> None:
    for region in geometry.bad:
        if not region.fsss:
            continue
        panels = [panel for panel in geometry.panels if region.panel in (None, panel.name)]
        if region.panel is None and len(layout.array) > 2:
            raise ValueError(
                f"{geometry.path}: bad region {region.name}: expected a line '{region.name}/panel = …', because rows "
                "and columns alone do not tell the modules of a stack apart"
            )
        if not any(
            region.first[0] <= panel.max_fs
            and region.last[0] >= panel.min_fs
            and region.first[1] <= panel.max_ss
            and region.last[1] >= panel.min_ss
            for panel in panels
        ):
            raise ValueError(
                f"{geometry.path}: bad region {region.name}: expected limits within {region.panel or 'the panels'}, "
                f"found fs {region.first[0]:g}..{region.last[0]:g}, ss {region.first[1]:g}..{region.last[1]:g}"
            )

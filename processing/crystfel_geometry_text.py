"""CrystFEL geometry files (``.geom``): a Detector as CrystFEL reads it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from braggwatch.processing.crystfel_detector import FWHM_PER_SIGMA
from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

_NAME = re.compile(r"(?!bad|group|rigid_group)[^\s/=;,]{1,63}")
"""What CrystFEL takes for the name of a panel."""

_LARGEST_GROUP = 64
"""Members that a group of panels has at most. CrystFEL puts all panels into one if the file does not group them."""


@dataclass(frozen=True)
class DataFile:
    """Where images and what belongs to them lie in HDF5 files with many images each."""

    data: str
    """Path of the pixels, ``(n, ss, fs)``."""
    mask: str
    """Path of the mask, ``(ss, fs)``, 0 where a pixel is good."""
    wavelength: str
    """Path of the wavelength of each image in Angstrom, ``(n,)``."""
    peaks: str
    """Path of the group of spots in CXI layout."""


DUMP = DataFile(
    data="/entry/data/data",
    mask="/entry/instrument/detector/pixel_mask",
    wavelength="/entry/instrument/beam/incident_wavelength",
    peaks="/entry_1/result_1",
)
"""The files that the stage `dump` writes."""


def geometry_text(detector: Detector, *, file: DataFile | None = None, adu_per_photon: float = 1.0) -> str:
    """Return the text of a geometry file that describes a detector.

    Its axes are the lab frame of this program: +z is the beam, and x and y are those of the geometry file that the
    detector was read from. A detector of the stream's header has x along fs and y along ss; CrystFEL would have y point
    up, which is the same frame turned about the beam, and no program minds as long as crystals and panels turn alike.

    With `file`, pixels, mask, spots and each image's wavelength are looked for there; left out, the file gives one
    photon energy and no mask. `adu_per_photon` is the gain, which CrystFEL insists on.

    Raises ValueError where a panel's name is none for CrystFEL.
    """
    return "\n".join([*_top(detector, file, adu_per_photon), *_panels(detector), *_groups(detector)]) + "\n"


def _top(detector: Detector, file: DataFile | None, adu_per_photon: float) -> Iterator[str]:
    yield "; written by Braggwatch; lengths in pixels unless it says otherwise"
    if file is not None:
        yield f"wavelength = {file.wavelength} A"
    elif detector.beam is not None:
        yield f"photon_energy = {_plain(detector.beam.photon_energy)} eV"
    if detector.beam is not None and detector.beam.bandwidth > 0:
        yield f"bandwidth = {_plain(detector.beam.bandwidth / FWHM_PER_SIGMA)}"
    yield f"clen = {_plain(_clen(detector))} m"
    yield f"adu_per_photon = {_plain(adu_per_photon)}"
    if file is not None:
        yield f"data = {file.data}"
        yield from ("dim0 = %", "dim1 = ss", "dim2 = fs")
        yield f"mask0_data = {file.mask}"
        yield from ("mask0_goodbits = 0x0", "mask0_badbits = 0xffffffff")
        yield f"peak_list = {file.peaks}"
        yield "peak_list_type = cxi"
    for value in detector.flag_values:
        yield f"flag_equal = {_plain(value)}"
    if np.isfinite(detector.flag_below):
        yield f"flag_lessthan = {_plain(detector.flag_below)}"
    if np.isfinite(detector.flag_above):
        yield f"flag_morethan = {_plain(detector.flag_above)}"


def _panels(detector: Detector) -> Iterator[str]:
    clen = _clen(detector)
    for panel in detector.panels:
        if not _NAME.fullmatch(panel.name):
            raise ValueError(
                f"expected panel names of 1 to 63 letters without blanks, /, =, ; and commas that begin with neither "
                f"bad nor group nor rigid_group, as CrystFEL wants them; found {panel.name!r}"
            )
        yield ""
        for key, value in _settings(panel, clen):
            yield f"{panel.name}/{key} = {value}"


def _groups(detector: Detector) -> Iterator[str]:
    """Put panels that are too many for one group into several, in their order."""
    names = [panel.name for panel in detector.panels]
    if len(names) <= _LARGEST_GROUP:
        return
    size = max(8, -(-len(names) // _LARGEST_GROUP))
    groups = [names[start : start + size] for start in range(0, len(names), size)]
    yield ""
    for n, members in enumerate(groups):
        yield f"group_part{n} = {','.join(members)}"
    yield f"group_all = {','.join(f'part{n}' for n in range(len(groups)))}"


def _settings(panel: Panel, clen: float) -> Iterator[tuple[str, str]]:
    size = panel.pixel_size
    yield "min_fs", str(panel.fs_start)
    yield "max_fs", str(panel.fs_stop - 1)
    yield "min_ss", str(panel.ss_start)
    yield "max_ss", str(panel.ss_stop - 1)
    yield "res", _plain(1.0 / size)
    yield "corner_x", _plain(panel.corner[0] / size)
    yield "corner_y", _plain(panel.corner[1] / size)
    if panel.corner[2] != clen:
        yield "coffset", _plain(panel.corner[2] - clen)
    for key, (x, y, z) in (("fs", panel.fs), ("ss", panel.ss)):
        # CrystFEL reads no exponents here
        yield key, f"{x / size:+.12f}x {y / size:+.12f}y {z / size:+.12f}z"
    if np.isfinite(panel.max_adu):
        yield "max_adu", _plain(panel.max_adu)


def _clen(detector: Detector) -> float:
    """Return the z from which the panels' offsets are counted, m: where most of them lie, if they lie in a plane."""
    return float(np.median([panel.corner[2] for panel in detector.panels]))


def _plain(number: float) -> str:
    return f"{number:.14g}"

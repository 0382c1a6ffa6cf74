"""Files that say what indexing and integration made of one image: what the older tools' integration pickles held."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5p, h5s, h5t
from numpy.typing import NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.lattice_geometry import (
    Placement,
    correction_vectors,
    half_width,
    orientation,
    symmetry_of,
)
from braggwatch.processing.nxmx.geometry import saturation_value
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot import Shot

FORMAT = "braggwatch-results-1"

_Field = tuple[str, str, tuple[int, ...], str]
"""Name, dtype, shape, unit."""
_F4, _F8 = "<f4", "<f8"
_IMAGE: Sequence[_Field] = (
    ("frame_number", "<i8", (), ""), ("timestamp", _F8, (), "s"), ("wavelength", _F8, (), "angstrom"),
    ("photon_energy", _F8, (), "eV"), ("bandwidth", _F8, (), ""), ("distance", _F8, (), "mm"),
    ("beam_center_px", _F8, (2,), "pixel"), ("beam_center_mm", _F8, (2,), "mm"), ("pixel_size", _F8, (2,), "mm"),
    ("shape", "<i4", (2,), "pixel"), ("saturated_value", _F8, (), "ADU"), ("n_spots", "<i4", (), ""),
    ("n_lattices", "<i4", (), ""),
)  # fmt: skip
_CRYSTAL: Sequence[_Field] = (
    ("A", _F8, (3, 3), "angstrom"), ("U", _F8, (3, 3), ""), ("B", _F8, (3, 3), "1/angstrom"),
    ("cell", _F8, (6,), "angstrom, degree"), ("known_cell", _F8, (6,), "angstrom, degree"),
    ("space_group", "S16", (), ""), ("point_group", "S8", (), ""), ("lattice", "S2", (), ""),
    ("to_primitive", "S48", (), ""), ("to_primitive_hkl", _F8, (3, 3), ""), ("n_indexed", "<i4", (), ""),
    ("rmsd_px", _F8, (), "pixel"), ("rmsd_mm", _F8, (), "mm"), ("rmsd_q", _F8, (), "1/angstrom"),
    ("beam_shift", _F8, (2,), "mm"), ("beam_center_px", _F8, (2,), "pixel"), ("beam_center_mm", _F8, (2,), "mm"),
    ("half_mosaicity", _F8, (), "degree"), ("mosaicity", _F8, (), "degree"), ("domain_size", _F8, (), "angstrom"),
    ("diffraction_limit", _F8, (), "angstrom"),
)  # fmt: skip
_REFLECTION: Sequence[_Field] = (
    ("hkl", "<i4", (3,), ""), ("intensity", _F4, (), "ADU"), ("sigma", _F4, (), "ADU"), ("fs", _F4, (), "pixel"),
    ("ss", _F4, (), "pixel"), ("panel", "<i2", (), ""), ("background", _F4, (), "ADU/pixel"),
    ("peak", _F4, (), "ADU"), ("excitation_error", _F4, (), "1/angstrom"), ("partiality", _F4, (), ""),
    ("d", _F4, (), "angstrom"), ("flags", "|u1", (), ""), ("fitted", "|u1", (), ""),
)  # fmt: skip
_SPOT: Sequence[_Field] = (
    ("hkl", "<i4", (3,), ""), ("fs", _F4, (), "pixel"), ("ss", _F4, (), "pixel"), ("panel", "<i2", (), ""),
    ("correction_fs", _F4, (), "pixel"), ("correction_ss", _F4, (), "pixel"), ("intensity", _F4, (), "ADU"),
)  # fmt: skip


class ResultFiles:
    """Makes the HDF5 files of the images of one detector.

    ``/image`` is one record, with the facts of the exposure; each lattice has a group ``/lattice_0``, ``/lattice_1``
    and so on with one record ``crystal``, a table ``reflections`` if it was integrated, and a table ``indexed_spots``.
    Each has an attribute ``units`` with the unit of each field, in their order. What the fields mean stands in
    docs/integration.md. Texts that tell where the image comes from, and `provenance`, are attributes of the file.
    """

    # Records and tables, through the lower of h5py's two interfaces and without a file's usual trips to the disk,
    # because a file with a dataset for each number takes five times as long to write.

    def __init__(self, provenance: Mapping[str, str]) -> None:
        """Take texts that say what made the files."""
        self._provenance = {"program": "Braggwatch", **provenance}
        self._image, self._crystal = _Record(_IMAGE), _Record(_CRYSTAL)
        self._reflection, self._spot = _Record(_REFLECTION), _Record(_SPOT)
        self._access = h5p.create(h5p.FILE_ACCESS)
        # The oldest format that has no limit of 64 kB for attributes: readable by HDF5 1.10 and everything later.
        self._access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
        self._access.set_fapl_core(1 << 16, False)
        self._text = h5t.py_create(h5py.string_dtype(), logical=True)

    def content(self, shot: Shot, placement: Placement) -> bytes:
        """Return the bytes of the file of a shot."""
        file = h5f.create(b"in memory", h5f.ACC_TRUNC, fapl=self._access)
        try:
            self._write_texts(file, shot)
            self._image.write(file, b"image", self._image_row(shot, placement))
            for number, crystal in enumerate(shot.crystals):
                group = h5g.create(file, f"lattice_{number}".encode())
                self._crystal.write(group, b"crystal", self._crystal_row(crystal, placement))
                if shot.reflections:
                    self._reflection.write(group, b"reflections", self._reflection_rows(shot.reflections[number]))
                if shot.peaks is not None:
                    rows = self._spot_rows(crystal, shot.peaks, placement)
                    self._spot.write(group, b"indexed_spots", rows)
            h5f.flush(file)
            content: bytes = file.get_file_image()
        finally:
            file.close()
        return content

    def _write_texts(self, file: Any, shot: Shot) -> None:
        texts = {
            "format": FORMAT,
            "written": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "series": shot.series.key,
            "detector_address": shot.series.detector,
            "group": shot.group,
            "dump": str(shot.dumped[-1].path.absolute()) if shot.dumped else "",
            "dump_entry": str(shot.dumped[-1].entry) if shot.dumped else "",
            **self._provenance,
        }
        scalar = h5s.create(h5s.SCALAR)
        for name, text in texts.items():
            value = np.array(text.replace("\0", "").encode(errors="replace").decode(), h5py.string_dtype())
            h5a.create(file, name.encode(), self._text, scalar).write(value)

    def _image_row(self, shot: Shot, placement: Placement) -> NDArray[Any]:
        row = self._image.empty(1)
        beam, unknown = shot.detector.beam, float("nan")
        time = shot.frame.timestamp
        center = placement.beam_center()
        saturated = saturation_value(shot.series, shot.detector, shot.image.dtype)
        row[0] = (
            shot.number, unknown if time is None else time, unknown if beam is None else beam.wavelength,
            unknown if beam is None else beam.photon_energy, unknown if beam is None else beam.bandwidth,
            1e3 * placement.distance, center, 1e3 * center * placement.pixel_size, 1e3 * placement.pixel_size,
            shot.detector.shape, unknown if saturated is None else saturated,
            0 if shot.peaks is None else len(shot.peaks), len(shot.crystals),
        )  # fmt: skip
        return row

    def _crystal_row(self, crystal: Crystal, placement: Placement) -> NDArray[Any]:
        row, known = self._crystal.empty(1), symmetry_of(crystal.known)
        U, B = orientation(crystal)
        center = placement.beam_center(crystal.beam_shift)
        row[0] = (
            crystal.A, U, B, crystal.cell, known.cell, known.space_group, known.point_group, known.lattice,
            known.to_primitive, known.to_primitive_hkl, crystal.n_indexed, crystal.rmsd_px,
            1e3 * placement.pixel_size[0] * crystal.rmsd_px, crystal.rmsd_q, 1e3 * np.array(crystal.beam_shift), center,
            1e3 * center * placement.pixel_size, half_width(crystal.mosaicity), crystal.mosaicity, crystal.block_size,
            crystal.diffraction_limit,
        )  # fmt: skip
        return row

    def _reflection_rows(self, reflections: Reflections) -> NDArray[Any]:
        rows = self._reflection.empty(len(reflections))
        for name, *_ in _REFLECTION:
            if name != "d":
                rows[name] = getattr(reflections, name)
        with np.errstate(divide="ignore"):
            rows["d"] = 1.0 / reflections.inverse_d
        return rows

    def _spot_rows(self, crystal: Crystal, peaks: Peaks, placement: Placement) -> NDArray[Any]:
        spots, rows = peaks[crystal.spots], self._spot.empty(len(crystal.spots))
        for name in ("fs", "ss", "panel", "intensity"):
            rows[name] = getattr(spots, name)
        rows["hkl"] = crystal.hkl
        rows["correction_fs"], rows["correction_ss"] = correction_vectors(crystal, spots, placement).T
        return rows


def is_result_file(path: Path) -> bool:
    """Whether a file is one that `ResultFiles` has made."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return str(file.attrs.get("format", "")) == FORMAT
    except OSError:
        return False


class _Record:
    """A kind of record, and how it is written."""

    def __init__(self, fields: Sequence[_Field]) -> None:
        self._dtype = np.dtype([(name, dtype, shape) for name, dtype, shape, _ in fields])
        self._type = h5t.py_create(self._dtype)
        units = np.array([unit.encode() for *_, unit in fields])
        self._units, self._units_type = units, h5t.py_create(units.dtype)
        self._units_space = h5s.create_simple(units.shape)
        self._creation = h5p.create(h5p.DATASET_CREATE)
        self._creation.set_obj_track_times(False)

    def empty(self, n: int) -> NDArray[Any]:
        return np.zeros(n, self._dtype)

    def write(self, group: Any, name: bytes, rows: NDArray[Any]) -> None:
        space = h5s.create_simple(rows.shape)
        dataset = h5d.create(group, name, self._type, space, self._creation)
        dataset.write(space, space, rows, self._type)
        h5a.create(dataset, b"units", self._units_type, self._units_space).write(self._units)

"""One NXmx file that grows image by image."""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from braggwatch.processing.beam import Beam
from braggwatch.processing.compression import bslz4_filter
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.nxmx.cxi_names import CxiNames
from braggwatch.processing.nxmx.geometry import write_detector
from braggwatch.processing.nxmx.groups import Column, Table, add_group, plain_text
from braggwatch.processing.nxmx.peak_rows import PeakRows
from braggwatch.processing.nxmx.superblock import make_readable
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.shot import Shot
from braggwatch.processing.shot_groups import LONGEST_NAME

# The oldest format that can be read while it grows: readable by HDF5 1.10 and everything later.
_LIBRARY_VERSIONS = ("v110", "v110")
_REFLECTION: Mapping[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "crystal": (np.int64, ()), "hkl": (np.int32, (3,)), "fs": (np.float32, ()), "ss": (np.float32, ()),
    "panel": (np.int16, ()), "intensity": (np.float32, ()), "sigma": (np.float32, ()), "background": (np.float32, ()),
    "peak": (np.float32, ()), "flags": (np.uint8, ()), "excitation_error": (np.float32, ()),
    "partiality": (np.float32, ()), "inverse_d": (np.float32, ()), "fitted": (np.bool_, ()),
}  # fmt: skip
_GROUP = h5py.string_dtype("utf-8", 4 * LONGEST_NAME)
_SYMBOL_LENGTH = 16
"""Bytes; the longest symbol that gemmi writes has 12 letters."""
_CACHED_BYTES = 8 * 2**20
"""So much may be written before the system is told that it need not keep it in memory."""


class NXmxWriter:
    """An NXmx file of images of one shape and dtype, with spots and lattices.

    What is in it, for n images:

    - ``/entry/data/data`` (n, ss, fs): the pixels, one bitshuffle-LZ4 chunk an image.
    - ``/entry/instrument``, ``/entry/source``, ``/entry/sample``: as the NXmx definition says; geometry in
      `write_detector`; ``beam/incident_wavelength`` (n,) in Angstrom, and where it has a width, that in
      ``beam/incident_wavelength_spread`` (at half maximum).
    - ``/entry/frames``: ``number`` (n,) the frame's number in its series, ``timestamp`` (n,) s since 1970 or NaN,
      ``n_peaks`` (n,) spots found, ``n_crystals`` (n,), ``group`` (n,) name of the shot's group, empty where shots are
      not grouped, and ``values/NAME`` (n,) for each number that came with the first frame, such as pulse energy;
      attributes ``series_key``, ``series_number``, ``series_name``.
    - ``/entry/crystals``: a table of m lattices in the order of their images: ``image`` (m,) index into the images,
      ``A`` (m, 3, 3) real-space a, b, c as rows in Angstrom in the file's axes, ``cell`` (m, 6) in Angstrom and
      degrees, ``n_indexed``, ``rmsd_q`` (1/Angstrom), ``rmsd_px`` (pixels), each (m,), ``beam_shift`` (m, 2) in m,
      ``block_size`` and ``diffraction_limit`` (Angstrom), ``mosaicity`` (degrees), each (m,), NaN if unknown,
      ``known_cell`` (m, 6) and ``space_group`` (m,) of what was looked for, NaN and an empty text if unknown.
    - ``/entry/reflections``: a table of r integrated reflections: ``crystal`` (r,) row of ``/entry/crystals``, and
      what `Reflections` says of each, by its names.
    - ``/entry_1/result_1``: spots in the layout of CXI files (see `PeakRows`).
    - With `cxi`, the names of `CxiNames` for all of this, so that the file is one in CXI layout as well.
    - ``/entry/process``: what made the file, one text for each item of `provenance`.

    Pixels go to the file at once, everything that indexes them with `flush`. After `flush` all images so far can be
    read by any program, with or without ``swmr=True``, also if this process is killed later; if that is in the midst
    of another flush, with ``swmr=True``, and plainly after `make_readable`. A reader of a growing file takes the length
    of ``/entry/frames/number`` as the number of images. Not thread-safe.

    Raises FileExistsError if `path` exists and OSError where the disk is full or not writable.
    """

    def __init__(
        self,
        path: Path,
        *,
        series: Series,
        detector: Detector,
        dtype: np.dtype[Any],
        provenance: Mapping[str, str],
        values: Mapping[str, float | int | str] | None = None,
        cxi: bool = False,
    ) -> None:
        self.path = path
        self.shape = detector.shape
        self.dtype = np.dtype(dtype)
        self.n_images = 0
        self.n_flushed = 0
        self._in_cache = 0
        self._file = h5py.File(path, "x", libver=_LIBRARY_VERSIONS)
        try:
            self._write_fixed(series, detector, provenance)
            self._add_growing(series, detector.beam, values or {})
            self._cxi = CxiNames(self._file, detector) if cxi else None
            # From here on nothing may be added to the file but rows.
            self._file.swmr_mode = True
            self.flush()
        except BaseException:
            # The name is ours, and a file without its parts is of no use to anybody.
            path.unlink(missing_ok=True)
            self._close_file()
            raise

    def append(self, shot: Shot, chunk: Any) -> int:
        """Add an image, its pixels as the bytes of a bitshuffle-LZ4 chunk, and return its index in the file."""
        index = self.n_images
        self._pixels.set_extent((index + 1, *self.shape))
        self._pixels.write_direct_chunk((index, 0, 0), chunk)
        self.n_images += 1
        self._leave_the_cache(len(chunk))
        peaks = Peaks.empty() if shot.peaks is None else shot.peaks
        self._peaks.append(peaks)
        self._numbers.append(shot.number)
        self._columns["timestamp"].append(np.nan if shot.frame.timestamp is None else shot.frame.timestamp)
        self._columns["n_peaks"].append(len(peaks))
        self._columns["n_crystals"].append(len(shot.crystals))
        self._columns["group"].append(plain_text(shot.group[:LONGEST_NAME]).encode())
        beam = shot.detector.beam
        self._columns["wavelength"].append(np.nan if beam is None else beam.wavelength)
        if self._cxi is not None:
            self._cxi.append(beam)
        for name, column in self._values.items():
            column.append(_number(shot.frame.values.get(name)))
        for crystal in shot.crystals:
            self._append_crystal(index, crystal)
        for crystal_number, reflections in enumerate(shot.reflections, self._n_crystals - len(shot.crystals)):
            self._reflections.append(
                {"crystal": np.full(len(reflections), crystal_number)}
                | {name: getattr(reflections, name) for name in _REFLECTION if name != "crystal"}
            )
        return index

    def _leave_the_cache(self, n_bytes: int) -> None:
        """Let the system write what it has of the file, and forget what it has written.

        Otherwise the dumps of an hour fill the memory with pages that nobody reads, and finding a fresh page for each
        4 kB costs more of a core than the image's hit finding; the pages given back here are used again.
        """
        self._in_cache += n_bytes
        if self._in_cache >= _CACHED_BYTES:
            self._in_cache = 0
            os.posix_fadvise(self._file.id.get_vfd_handle(), 0, 0, os.POSIX_FADV_DONTNEED)

    def flush(self) -> None:
        """Make everything appended so far readable by others, now and after a crash of this process."""
        self._peaks.write()
        self._reflections.write()
        try:
            cxi = () if self._cxi is None else self._cxi.columns
            for column in (*cxi, *self._values.values(), *self._crystals.values(), *self._columns.values()):
                column.write()
            self._file.flush()
            # Whoever sees an image's number, at whatever moment, finds the rest of it.
            self._numbers.write()
            self._numbers.dataset.flush()
        except RuntimeError as error:  # what h5py makes of a full disk at this point
            raise OSError(f"cannot flush {self.path}: {error}") from error
        make_readable(self.path)
        self.n_flushed = self.n_images

    def close(self) -> None:
        """Flush and close the file; after an OSError it is still open, and this can be called again."""
        self.flush()
        self._close_file()

    def _close_file(self) -> None:
        try:
            self._file.close()
        except RuntimeError as error:
            raise OSError(f"cannot close {self.path}: {error}") from error

    def _write_fixed(self, series: Series, detector: Detector, provenance: Mapping[str, str]) -> None:
        file = self._file
        file.attrs["default"] = "entry"
        file.attrs["NX_class"] = "NXroot"
        entry = add_group(file, "entry", "NXentry")
        entry.attrs["default"] = "data"
        entry["definition"] = "NXmx"
        entry["definition"].attrs["version"] = "1.0"
        now = datetime.now(UTC)
        duration = (series.n_frames or 0) * (series.frame_time or 0.0)
        entry["start_time"] = _iso(now)
        entry["end_time_estimated"] = _iso(now + timedelta(seconds=duration))
        source = add_group(entry, "source", "NXsource")
        source["name"] = "unknown"
        sample = add_group(entry, "sample", "NXsample")
        sample["name"] = plain_text(series.name) or "unknown"
        sample["depends_on"] = "."
        instrument = add_group(entry, "instrument", "NXinstrument")
        instrument["name"] = "unknown"
        write_detector(file, series, detector, self.dtype)
        process = add_group(entry, "process", "NXprocess")
        for key, text in {"program": "Braggwatch", "date": _iso(now), **provenance}.items():
            process[_safe_name(key)] = plain_text(text)

    def _add_growing(self, series: Series, of_series: Beam | None, values: Mapping[str, float | int | str]) -> None:
        file = self._file
        data = add_group(file["entry"], "data", "NXdata")
        data.attrs["signal"] = "data"
        data.create_dataset(
            "data",
            (0, *self.shape),
            self.dtype,
            maxshape=(None, *self.shape),
            chunks=(1, *self.shape),
            **bslz4_filter(),
        )
        self._pixels = data["data"].id
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry/data/data")
        self._peaks = PeakRows(file)
        beam = add_group(file["entry/instrument"], "beam", "NXbeam")
        if of_series is not None and of_series.bandwidth > 0:
            beam["incident_wavelength_spread"] = of_series.bandwidth * of_series.wavelength
            beam["incident_wavelength_spread"].attrs["units"] = "angstrom"
        frames = add_group(file["entry"], "frames", "NXcollection")
        frames.attrs["series_key"] = plain_text(series.key)
        frames.attrs["series_number"] = series.number
        frames.attrs["series_name"] = plain_text(series.name)
        self._numbers = Column(frames, "number", np.int64)
        self._columns = {
            "wavelength": Column(beam, "incident_wavelength", np.float64, units="angstrom"),
            "timestamp": Column(frames, "timestamp", np.float64, units="s"),
            "n_peaks": Column(frames, "n_peaks", np.int32),
            "n_crystals": Column(frames, "n_crystals", np.int32),
            "group": Column(frames, "group", _GROUP),
        }
        named = {_safe_name(name): name for name, value in values.items() if not isinstance(value, str)}
        group = add_group(frames, "values", "NXcollection")
        self._values = {name: Column(group, safe, np.float64) for safe, name in named.items()}
        crystals = add_group(file["entry"], "crystals", "NXcollection")
        self._crystals = {
            "A": Column(crystals, "A", np.float64, (3, 3), units="angstrom"),
            "cell": Column(crystals, "cell", np.float64, (6,)),
            "n_indexed": Column(crystals, "n_indexed", np.int32),
            "rmsd_q": Column(crystals, "rmsd_q", np.float64, units="1/angstrom"),
            "rmsd_px": Column(crystals, "rmsd_px", np.float64, units="pixel"),
            "beam_shift": Column(crystals, "beam_shift", np.float64, (2,), units="m"),
            "block_size": Column(crystals, "block_size", np.float64, units="angstrom"),
            "mosaicity": Column(crystals, "mosaicity", np.float64, units="degree"),
            "diffraction_limit": Column(crystals, "diffraction_limit", np.float64, units="angstrom"),
            "known_cell": Column(crystals, "known_cell", np.float64, (6,)),
            "space_group": Column(crystals, "space_group", f"S{_SYMBOL_LENGTH}"),
            "image": Column(crystals, "image", np.int64),
        }
        self._n_crystals = 0
        self._reflections = Table(add_group(file["entry"], "reflections", "NXcollection"), _REFLECTION)

    def _append_crystal(self, index: int, crystal: Crystal) -> None:
        self._crystals["A"].append(crystal.A)
        self._crystals["cell"].append(crystal.cell)
        self._crystals["n_indexed"].append(crystal.n_indexed)
        self._crystals["rmsd_q"].append(crystal.rmsd_q)
        self._crystals["rmsd_px"].append(crystal.rmsd_px)
        self._crystals["beam_shift"].append(crystal.beam_shift)
        for name in ("block_size", "mosaicity", "diffraction_limit"):
            self._crystals[name].append(getattr(crystal, name))
        known = crystal.known
        self._crystals["known_cell"].append([np.nan] * 6 if known is None else known.parameters)
        self._crystals["space_group"].append(b"" if known is None else known.space_group.encode())
        self._crystals["image"].append(index)
        self._n_crystals += 1


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _safe_name(name: str) -> str:
    """Return a name that HDF5 takes for one link."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:64].lstrip(".") or "_"


def _number(value: float | int | str | None) -> float:
    return float("nan") if value is None or isinstance(value, str) else float(value)

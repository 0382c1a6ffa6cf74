"""What the header of an HDF5 file says about its images: NXmx, DECTRIS master files, CXI."""

from collections.abc import Iterable, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.beam import HC
from braggwatch.processing.image_files.error import ImageFileError

_METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "micron": 1e-6, "microns": 1e-6, "nm": 1e-9}
_METRES |= {"meter": 1.0, "metre": 1.0, "meters": 1.0, "metres": 1.0, "millimeter": 1e-3, "micrometer": 1e-6}
_ANGSTROM = {"angstrom": 1.0, "å": 1.0, "a": 1.0, "angstroms": 1.0} | {u: 1e10 * f for u, f in _METRES.items()}
_EV = {"ev": 1.0, "kev": 1e3, "j": 1.0 / 1.602176634e-19, "joule": 1.0 / 1.602176634e-19}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "second": 1.0, "seconds": 1.0, "sec": 1.0}

_DETECTORS = ("entry/instrument/detector", "entry_1/instrument_1/detector_1", "entry_1/instrument/detector_1")
_BEAMS = ("entry/instrument/beam", "entry/sample/beam")


class Header:
    """Reads the fields of one file, each from the first place that has it."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._detector = self._first_group(_DETECTORS, "NXdetector")
        self._beam = self._first_group(_BEAMS, "NXbeam")

    def fields(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> dict[str, Any]:
        """Return what is known of the fields of `Series`, by name, for images of this shape and dtype."""
        energies = self.photon_energies()
        fields: dict[str, Any] = {
            "photon_energy": None if energies is None else float(np.median(energies)),
            "distance": self._positive(self._detector, ("detector_distance", "distance"), _METRES, "m"),
            "beam_center": self._pair(
                "beam_center_x", "beam_center_y", {"pixel": 1.0, "pixels": 1.0, "px": 1.0}, "pixel"
            ),
            "pixel_size": self._pair("x_pixel_size", "y_pixel_size", _METRES, "m"),
            "saturation_value": self._saturation(dtype),
            "frame_time": self._positive(self._detector, ("frame_time",), _SECONDS, "s"),
            "count_time": self._positive(self._detector, ("count_time",), _SECONDS, "s"),
            "sensor_material": self._text(("sensor_material",)) or None,
            "sensor_thickness": self._positive(self._detector, ("sensor_thickness",), _METRES, "m"),
            "detector": self._text(("description",)),
            "serial_number": self._text(("detector_number", "serial_number")),
            "mask": self._mask(shape),
        }
        if fields["pixel_size"] is not None and not min(fields["pixel_size"]) > 0:
            fields["pixel_size"] = None
        return fields

    def photon_energies(self) -> NDArray[np.float64] | None:
        """Return the photon energy in eV, of length 1 or one for each image; None if nothing is said."""
        for group, name in ((self._beam, "incident_wavelength"), (self._beam, "wavelength")):
            wavelengths = self._numbers(group, name, _ANGSTROM, "angstrom")
            if wavelengths is not None and np.all(wavelengths > 0):
                return HC / wavelengths
        detector = self._detector
        for group, name in (
            (self._beam, "incident_energy"),
            (detector, "photon_energy"),
            (detector, "detectorSpecific/photon_energy"),
            (detector, "detectorSpecific/incident_energy"),
        ):
            energies = self._numbers(group, name, _EV, "eV")
            if energies is not None and np.all(energies > 0):
                return energies
        for path in ("entry_1/instrument_1/source_1/energy", "entry_1/instrument_1/source_1/photon_energy"):
            energies = self._numbers(self._file, path, _EV, "J")
            if energies is not None and np.all(energies > 0):
                return energies
        return None

    def timestamps(self, n_images: int) -> NDArray[np.float64] | None:
        """Return when each image was taken, s since 1970; None if the file does not say."""
        times = self._numbers(self._file, "entry/frames/timestamp", _SECONDS, "s")
        return times if times is not None and len(times) >= n_images else None

    def _first_group(self, paths: Iterable[str], nx_class: str) -> h5py.Group | None:
        for path in paths:
            if isinstance(group := self._file.get(path), h5py.Group):
                return group
        return find_class(self._file, nx_class)

    def _numbers(
        self, group: h5py.Group | None, name: str, units: dict[str, float], default: str
    ) -> NDArray[np.float64] | None:
        dataset = None if group is None else group.get(name)
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "iuf" or not 0 < dataset.size <= 1 << 24:
            return None
        values = np.asarray(dataset[()], np.float64).ravel()
        unit = _as_text(dataset.attrs.get("units", default)).strip() or default
        factor = units.get(unit.lower())
        if factor is None:
            expected = ", ".join(units)
            raise ImageFileError(
                f"{self._file.filename}: {dataset.name} has the unit {unit!r}, expected one of: {expected}"
            )
        return values * factor

    def _positive(
        self, group: h5py.Group | None, names: Sequence[str], units: dict[str, float], default: str
    ) -> float | None:
        for name in names:
            values = self._numbers(group, name, units, default)
            if values is not None and np.isfinite(values[0]) and values[0] > 0:
                return float(values[0])
        return None

    def _pair(self, first: str, second: str, units: dict[str, float], default: str) -> tuple[float, float] | None:
        x = self._numbers(self._detector, first, units, default)
        y = self._numbers(self._detector, second, units, default)
        if x is None or y is None or not np.isfinite([x[0], y[0]]).all():
            return None
        return float(x[0]), float(y[0])

    def _saturation(self, dtype: np.dtype[Any]) -> float | None:
        for name in ("saturation_value", "detectorSpecific/saturation_value"):
            values = self._numbers(self._detector, name, {"counts": 1.0, "adu": 1.0, "": 1.0}, "counts")
            if values is not None and values[0] > 0:
                # NeXus counts the value itself as valid; here a pixel that has reached it is saturated.
                return float(values[0]) + (1.0 if dtype.kind in "iu" else 0.0)
        cutoff = "detectorSpecific/countrate_correction_count_cutoff"
        values = self._numbers(self._detector, cutoff, {"counts": 1.0, "": 1.0}, "counts")
        return float(values[0]) if values is not None and values[0] > 0 else None

    def _text(self, names: Sequence[str]) -> str:
        for name in names:
            dataset = None if self._detector is None else self._detector.get(name)
            if isinstance(dataset, h5py.Dataset) and dataset.size == 1 and dataset.dtype.kind in "OS":
                return _as_text(np.asarray(dataset[()]).ravel()[0]).strip("\0 ")
        return ""

    def _mask(self, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
        for name in ("pixel_mask", "detectorSpecific/pixel_mask", "mask"):
            dataset = None if self._detector is None else self._detector.get(name)
            if (
                isinstance(dataset, h5py.Dataset)
                and dataset.dtype.kind in "iub"
                and dataset.size == shape[0] * shape[1]
                and dataset.shape[-1] == shape[1]
            ):
                return np.asarray(dataset[()], dtype=bool).reshape(shape)
        return None


def find_class(group: h5py.Group, nx_class: str, depth: int = 3) -> h5py.Group | None:
    """Return the first group of a NeXus class within some levels below `group`; links that lead nowhere are passed."""
    children = [child for name in group if isinstance(child := group.get(name), h5py.Group)]
    for child in children:
        if _as_text(child.attrs.get("NX_class", "")) == nx_class:
            return child
    if depth > 1:
        for child in children:
            if (found := find_class(child, nx_class, depth - 1)) is not None:
                return found
    return None


def _as_text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

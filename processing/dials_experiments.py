"""DIALS experiment lists (``.expt``): beam, detector and crystal of every lattice, as dxtbx reads them.

The file is JSON: lists of models, and experiments that refer to them by number. dxtbx's lab frame is that of imgCIF,
with z towards the source, so everything is turned by 180° about y, as dxtbx itself does to the NXmx files that dumps
are: ``(x, y, z)`` here is ``(-x, y, -z)`` there. Lengths on the detector are in mm.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

_TO_DXTBX = np.array([-1.0, 1.0, -1.0])
_SHIFT_STEP = 0.1
"""Pixels to which beam shifts are rounded, so that crystals can share a detector: each takes some 400 bytes a panel."""
_LARGEST_VALUE = 2**31 - 1
"""Highest valid pixel value where none is known, ADU."""
_MODELS = ("imageset", "beam", "detector", "goniometer", "scan", "crystal", "profile", "scaling_model")


class Experiments:
    """Collects the experiments of one detector: one for each lattice.

    A lattice whose beam had strayed gets the detector moved against it, to the nearest tenth of a pixel. Memory: about
    1 kB a lattice.
    """

    def __init__(self, detector: Detector) -> None:
        self.identifiers: list[str] = []
        """Of the experiments in their order: DUMP//IMAGE/LATTICE."""
        self._detector = detector
        self._step = _SHIFT_STEP * detector.panels[0].pixel_size
        self._moved: dict[tuple[int, int], Detector] = {}
        self._numbers: dict[str, dict[Any, int]] = {name: {} for name in _MODELS}
        self._models: dict[str, list[bytes]] = {name: [] for name in ("experiment", *_MODELS)}

    def __len__(self) -> int:
        return len(self.identifiers)

    def detector_of(self, crystal: Crystal) -> Detector:
        """Return the detector that this crystal's experiment has, in our own lab frame."""
        steps = self._steps(crystal)
        if steps not in self._moved:
            x, y = (-self._step * n for n in steps)
            self._moved[steps] = self._detector.moved((x, y, 0.0))
        return self._moved[steps]

    def add(self, crystal: Crystal, *, dump: Path, entry: int, lattice: int, wavelength: float) -> int:
        """Add a lattice of image `entry` of a dump, `wavelength` in Angstrom, and return the experiment's number."""
        if not 0 < wavelength < float("inf"):
            raise ValueError(f"{dump}, image {entry}: expected a wavelength above 0 Angstrom, found {wavelength}")
        identifier = f"{dump}//{entry}/{lattice}"
        steps = self._steps(crystal)
        experiment = {
            "__id__": "Experiment",
            "identifier": identifier,
            "beam": self._number("beam", wavelength, lambda: _beam(wavelength)),
            "detector": self._number("detector", steps, lambda: _detector(self.detector_of(crystal))),
            "crystal": self._append("crystal", _crystal(crystal)),
            "imageset": self._number("imageset", (dump, entry), lambda: _image(dump, entry)),
        }
        self.identifiers.append(identifier)
        return self._append("experiment", experiment)

    def write(self, path: Path) -> None:
        """Write the file, over whatever is at `path`; raises OSError."""
        with path.open("wb") as file:
            file.write(b'{"__id__":"ExperimentList"')
            for name, models in self._models.items():
                file.write(f',\n"{name}":['.encode())
                for n, model in enumerate(models):
                    file.write((b",\n" if n else b"\n") + model)
                file.write(b"]")
            file.write(b"}\n")

    def _steps(self, crystal: Crystal) -> tuple[int, int]:
        x, y = crystal.beam_shift
        return round(x / self._step), round(y / self._step)

    def _number(self, name: str, key: Any, make: Any) -> int:
        """Return the number of a model that several experiments may share."""
        numbers = self._numbers[name]
        if key not in numbers:
            numbers[key] = self._append(name, make())
        return numbers[key]

    def _append(self, name: str, model: dict[str, Any]) -> int:
        self._models[name].append(msgspec.json.encode(model))
        return len(self._models[name]) - 1


def to_dxtbx(vectors: ArrayLike) -> NDArray[np.float64]:
    """Return lab vectors ``(..., 3)`` in dxtbx's lab frame."""
    return np.asarray(np.asarray(vectors, np.float64) * _TO_DXTBX)


def _beam(wavelength: float) -> dict[str, Any]:
    # polarisation is left to dxtbx's default, horizontal: nobody has said it
    return {
        "__id__": "monochromatic", "direction": [0.0, 0.0, 1.0], "wavelength": wavelength, "divergence": 0.0,
        "sigma_divergence": 0.0,
    }  # fmt: skip


def _detector(detector: Detector) -> dict[str, Any]:
    # older versions of dxtbx take the limits themselves for untrusted: 0 must lie inside
    lowest = detector.flag_below if np.isfinite(detector.flag_below) else -1.0
    return {"panels": [_panel(panel, lowest) for panel in detector.panels]}


def _panel(panel: Panel, lowest: float) -> dict[str, Any]:
    sizes = [1e3 * float(np.linalg.norm(vector)) for vector in (panel.fs, panel.ss)]
    n_ss, n_fs = panel.shape
    return {
        "name": panel.name,
        "type": "SENSOR_PAD",
        "fast_axis": _plain(to_dxtbx(panel.fs) / np.linalg.norm(panel.fs)),
        "slow_axis": _plain(to_dxtbx(panel.ss) / np.linalg.norm(panel.ss)),
        "origin": _plain(1e3 * to_dxtbx(panel.corner)),
        "raw_image_offset": [panel.fs_start, panel.ss_start],
        "image_size": [n_fs, n_ss],
        "pixel_size": sizes,
        "trusted_range": [lowest, panel.max_adu if np.isfinite(panel.max_adu) else float(_LARGEST_VALUE)],
        "thickness": 0.0,
        "material": "",
        "mu": 0.0,
        "identifier": "",
        "mask": [],
        "gain": 1.0,
        "pedestal": 0.0,
        # places on the detector are where photons were counted: nothing is corrected for parallax
        "px_mm_strategy": {"type": "SimplePxMmStrategy"},
    }


def _crystal(crystal: Crystal) -> dict[str, Any]:
    axes = {f"real_space_{name}": _plain(to_dxtbx(row)) for name, row in zip("abc", crystal.A, strict=True)}
    hall = "P 1" if crystal.known is None else crystal.known.group.hall
    return {"__id__": "crystal", **axes, "space_group_hall_symbol": hall}


def _image(dump: Path, entry: int) -> dict[str, Any]:
    empty = dict.fromkeys(("mask", "gain", "pedestal", "dx", "dy"), "")
    return {"__id__": "ImageSet", "images": [str(dump)], "single_file_indices": [entry], **empty, "params": {}}


def _plain(vector: NDArray[np.float64]) -> list[float]:
    return [float(x) + 0.0 for x in vector]  # no -0.0

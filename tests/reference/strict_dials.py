"""A strict reader of DIALS files, written from what dxtbx and DIALS themselves read and not from our writer.

Anything that is not as it has to be raises ValueError, AssertionError or KeyError.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

_SIZES = {"bool": 1, "int": 4, "std::size_t": 8, "double": 8, "vec3<double>": 24, "cctbx::miller::index<>": 12}
_DTYPES = {"int": "<i4", "std::size_t": "<u8", "double": "<f8", "vec3<double>": "<f8", "cctbx::miller::index<>": "<i4"}
_MODELS = {"beam", "detector", "goniometer", "scan", "crystal", "profile", "imageset", "scaling_model"}


@dataclass
class StrictPanel:
    name: str
    origin: NDArray[np.float64]
    """mm"""
    fast: NDArray[np.float64]
    slow: NDArray[np.float64]
    pixel_size: NDArray[np.float64]
    """mm"""
    image_size: tuple[int, int]
    offset: tuple[int, int]

    def place(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where a pixel of this panel lies, mm."""
        return self.origin + np.outer(x * self.pixel_size[0], self.fast) + np.outer(y * self.pixel_size[1], self.slow)


@dataclass
class StrictExperiment:
    identifier: str
    wavelength: float
    panels: list[StrictPanel]
    detector: int
    """Number of the detector in the file."""
    axes: NDArray[np.float64]
    """``(3, 3)``: a, b, c as rows."""
    hall: str
    image: str
    index: int
    imageset: int


@dataclass
class StrictTable:
    identifiers: dict[int, str]
    columns: dict[str, NDArray[Any]]
    types: dict[str, str]


def read_experiments(path: Path) -> list[StrictExperiment]:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document.pop("__id__") == "ExperimentList" and document.keys() == {"experiment", *_MODELS}
    for empty in ("goniometer", "scan", "profile", "scaling_model"):
        assert document[empty] == []
    experiments = [_experiment(item, document) for item in document["experiment"]]
    for name in ("beam", "detector", "crystal", "imageset"):
        used = {item[name] for item in document["experiment"]}
        assert used == set(range(len(document[name]))), f"{name}: models that nobody uses"
    assert len({e.identifier for e in experiments}) == len(experiments)
    return experiments


def _experiment(item: dict[str, Any], document: dict[str, Any]) -> StrictExperiment:
    assert item.pop("__id__") == "Experiment"
    assert item.keys() == {"identifier", "beam", "detector", "crystal", "imageset"}
    beam, crystal, images = (document[name][item[name]] for name in ("beam", "crystal", "imageset"))
    assert beam["__id__"] == "monochromatic" and beam["direction"] == [0, 0, 1] and beam["wavelength"] > 0
    assert crystal["__id__"] == "crystal"
    axes = np.array([crystal[f"real_space_{name}"] for name in "abc"])
    assert axes.shape == (3, 3) and np.linalg.det(axes) > 0
    assert images["__id__"] == "ImageSet" and len(images["images"]) == len(images["single_file_indices"]) == 1
    panels = [_panel(panel) for panel in document["detector"][item["detector"]]["panels"]]
    return StrictExperiment(
        item["identifier"], beam["wavelength"], panels, item["detector"], axes,
        crystal["space_group_hall_symbol"], images["images"][0], images["single_file_indices"][0], item["imageset"],
    )  # fmt: skip


def _panel(panel: dict[str, Any]) -> StrictPanel:
    fast, slow = np.array(panel["fast_axis"]), np.array(panel["slow_axis"])
    np.testing.assert_allclose([np.linalg.norm(fast), np.linalg.norm(slow)], 1.0, atol=1e-9)
    low, high = panel["trusted_range"]
    assert low < high and panel["px_mm_strategy"] == {"type": "SimplePxMmStrategy"}
    (n_fast, n_slow), (fs, ss) = panel["image_size"], panel["raw_image_offset"]
    assert all(isinstance(n, int) for n in (n_fast, n_slow, fs, ss))
    return StrictPanel(
        panel["name"], np.array(panel["origin"]), fast, slow, np.array(panel["pixel_size"]), (n_fast, n_slow),
        (fs, ss),
    )  # fmt: skip


def read_reflections(path: Path) -> StrictTable:
    kind, version, header = msgpack.unpackb(path.read_bytes(), strict_map_key=False, raw=False)
    assert kind == "dials::af::reflection_table" and version == 1
    # DIALS sizes the table before it looks at the data
    assert list(header) == ["identifiers", "nrows", "data"]
    n = header["nrows"]
    columns, types = {}, {}
    for name, (type_, (n_rows, content)) in header["data"].items():
        if n_rows != n or not isinstance(content, bytes) or len(content) != n * _SIZES[type_]:
            raise ValueError(f"{name}: {n_rows} rows of {n}, {len(content)} bytes")
        numbers = np.frombuffer(content, np.dtype(_DTYPES[type_]))
        columns[name], types[name] = numbers.reshape(n, -1) if len(numbers) > n else numbers, type_
    ids = set(columns["id"].tolist()) - {-1}
    assert ids <= header["identifiers"].keys() and len(set(header["identifiers"].values())) == len(
        header["identifiers"]
    )
    return StrictTable(header["identifiers"], columns, types)

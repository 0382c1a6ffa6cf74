"""Real images, sent over a real socket, against what DIALS made of them."""

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from braggwatch.processing.crystal import misorientation
from braggwatch.processing.frame import Frame, Series
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer import worker_protocol as protocol
from braggwatch.streamer.daq_simulator.settings import SimulatorSettings
from braggwatch.streamer.daq_simulator.simulator import Simulator
from braggwatch.streamer.daq_simulator.stored_frames import from_files
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.sources.settings import DectrisV2Settings
from braggwatch.streamer.sources.source import open_source
from braggwatch.streamer.worker import describe

THAUMATIN = "58.4 58.4 152.3 90 90 90 P41212"
THERMOLYSIN = "92.9 92.9 130.4 90 90 120 P6122"


def results_over_a_socket(files: Sequence[Path], tables: dict[str, dict[str, Any]]) -> list[Result]:
    """Stream images from files as a detector does, and return what a pipeline says of each."""
    stored = from_files([str(file) for file in files])
    settings = SimulatorSettings(address="tcp://127.0.0.1:*", n_frames=len(stored))
    detector_table = tables.pop("detector", {})
    pipeline_settings = PipelineSettings.model_validate(
        {"detector": detector_table, "chain": {"stages": ["hitfind", "index"]}, "stages": tables}
    )
    results: list[Result] = []
    with (
        Simulator(settings, stored.frames, stored.series, order=stored.order) as simulator,
        open_source(DectrisV2Settings(address=simulator.address)) as source,
    ):
        sender = threading.Thread(target=simulator.run)
        sender.start()
        deadline = time.monotonic() + 120
        pipeline = None
        while len(results) < len(stored) and time.monotonic() < deadline:
            for event in source.receive(source.sockets[0]) or ():
                if isinstance(event, Series):
                    pipeline = pipeline_settings.pipeline(protocol.decode_series(protocol.encode_series(event)))
                elif isinstance(event, Frame):
                    assert pipeline is not None
                    results.append(describe(pipeline.process(event), "test"))
        sender.join()
    return results


def assert_indexed_as(result: Result, image: dict[str, Any], cell: UnitCell) -> None:
    """Compare the best lattice with DIALS's: cell within 1 %, orientation within 1°."""
    assert result.state is State.INDEXED, image["file"]
    best = result.crystals[0]
    np.testing.assert_allclose(best.cell[:3], image["cell"][:3], rtol=0.01)
    np.testing.assert_allclose(best.cell[3:], image["cell"][3:], atol=1.0)
    truth = np.linalg.inv(np.array(image["reciprocal_vectors"])).T
    assert misorientation(np.array(best.A).reshape(3, 3), truth, cell) < 1.0, image["file"]


def test_thaumatin_hits_are_indexed_as_dials_does_and_the_blank_is_blank(shared: Path) -> None:
    truth = json.loads((shared / "real" / "thaumatin_dials.json").read_text())
    files = sorted((shared / "real").glob("thau_3_2_*.cbf.bz2"))
    results = dict(
        zip(
            (file.name.removesuffix(".bz2") for file in files),
            results_over_a_socket(files, {"index": {"cell": THAUMATIN}}),
            strict=True,
        )
    )
    assert results["thau_3_2_0017.cbf"].state is State.BLANK
    assert len(truth["images"]) == 5
    for image in truth["images"]:
        assert_indexed_as(results[image["file"]], image, UnitCell.from_string(THAUMATIN))


@pytest.mark.parametrize(
    "hitfind",
    [
        {},
        {"method": "spots", "min_peaks": 16, "threshold_adu": 450.0, "central_panels": 8},
        {"method": "spots", "min_peaks": 16, "threshold_adu": 450.0, "central_panels": 8, "rule": "restrictive"},
    ],
    ids=["peakfinder8", "the older tools' tutorial settings", "the same, restrictive"],
)
def test_thermolysin_on_64_cspad_panels_is_indexed_as_dials_does(shared: Path, hitfind: dict[str, Any]) -> None:
    truth = json.loads((shared / "real" / "thermolysin_dials.json").read_text())
    tables = {
        "detector": {"geometry": str(shared / "real" / "thermolysin_cspad.geom")},
        "hitfind": hitfind,
        "index": {"cell": THERMOLYSIN},
    }
    results = results_over_a_socket([shared / "real" / "thermolysin_cspad.h5"], tables)
    assert len(results) == len(truth["images"]) == 2
    for result, image in zip(results, truth["images"], strict=True):
        assert_indexed_as(result, image, UnitCell.from_string(THERMOLYSIN))

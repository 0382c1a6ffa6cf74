"""Streams that we write, read by a parser that others wrote and use: CFstreamparser."""

from pathlib import Path

import numpy as np
import pytest
from CFstreamparser import parse_stream_file
from dumps_by_hand import LYSOZYME, SERIES, some_shots

from braggwatch.processing.detector import Detector
from braggwatch.processing.stages.stream import Stream, StreamSettings


def test_cfstreamparser_reads_everything_that_the_stage_has_written(tmp_path: Path, shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "real" / "thermolysin_cspad.geom", distance=0.1, photon_energy=9000.0)
    stage = Stream(StreamSettings(directory=tmp_path, shots="hits"), instance="stream", cell=LYSOZYME)
    stage.begin(SERIES, detector)
    shots = some_shots(9, detector)
    for shot in shots:
        shot.is_hit = True
        stage.event(shot)
    found = parse_stream_file(str(stage.path))
    assert (found.uc.a, found.uc.c, found.uc.lattice_type, found.uc.centering) == (79.2, 38.0, "tetragonal", "P")
    assert found.geom.params["data"] == "/entry/data/data"
    names = [panel.name for panel in detector.panels]
    assert len(found.chunks) == len(shots)
    for chunk, shot in zip(found.chunks, shots, strict=True):
        assert shot.peaks is not None
        assert (chunk.filename, chunk.event, chunk.hit, chunk.num_peaks) == ("s", shot.number, True, len(shot.peaks))
        assert chunk.photon_energy_eV == pytest.approx(9000.0)
        places = np.array([(peak.fs_px, peak.ss_px) for peak in chunk.peaks])
        np.testing.assert_allclose(places.T, [shot.peaks.fs, shot.peaks.ss], atol=0.0051)
        assert [peak.panel for peak in chunk.peaks] == [names[panel] for panel in shot.peaks.panel]
        # of several lattices it reads the first
        assert len(chunk.crystals) == min(len(shot.crystals), 1)
        for crystal, expected, table in zip(chunk.crystals, shot.crystals, shot.reflections, strict=False):
            # it takes the 1 of nm^-1 for a fourth number
            axes = [axis[:3] for axis in (crystal.astar, crystal.bstar, crystal.cstar)]
            np.testing.assert_allclose(axes, 10 * expected.A_star, atol=0.51e-7)
            np.testing.assert_allclose(crystal.cell[:3], np.array(expected.cell[:3]) / 10, atol=0.51e-5)
            assert crystal.num_reflections == len(crystal.reflections) == len(table)
            rows = [(r.h, r.k, r.l) for r in crystal.reflections]
            assert rows == [tuple(hkl) for hkl in table.hkl.tolist()]
            values = [(r.intensity, r.sigma, r.peak_counts, r.background_counts) for r in crystal.reflections]
            measured = np.column_stack([table.intensity, table.sigma, table.peak, table.background])
            np.testing.assert_allclose(np.reshape(values, (-1, 4)), measured, atol=0.0051)

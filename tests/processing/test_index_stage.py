"""The stage that indexes."""

from pathlib import Path

import numpy as np
import pytest
from indexing_truth import crystfel_peaks, misorientation
from pydantic import ValidationError

from braggwatch.processing import crystfel_cell
from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.index import Index, IndexSettings, is_cell_file, lowest_nodes, read_cell
from braggwatch.processing.unit_cell import UnitCell

CELL = "79.2 79.2 38.0 90 90 90 P43212"


def shot_with(peaks: Peaks | None, detector: Detector) -> Shot:
    frame = Frame(series="s", number=3, payload=b"", shape=(4, 4), dtype="uint16", encoding=Encoding())
    return Shot(Series(key="s", number=1), frame, np.zeros((4, 4), np.uint16), detector, peaks=peaks)


def peaks_of(shared: Path) -> tuple[Peaks, np.ndarray]:
    _, found, (truth,) = next(crystfel_peaks(shared / "frames" / "lysozyme_4m.h5"))
    fs, ss = found.astype(np.float32).T
    one, size = np.ones(len(fs), np.float32), np.ones(len(fs), np.int32)
    return Peaks(fs, ss, np.zeros(len(fs), np.int16), one, one, one, size, one), truth


@pytest.mark.parametrize("from_file", [False, True])
def test_a_hit_is_kept_with_its_crystal(shared: Path, from_file: bool) -> None:
    detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    peaks, truth = peaks_of(shared)
    stage = Index(IndexSettings(cell=str(shared / "frames" / "lysozyme.cell") if from_file else CELL))
    stage.begin(Series(key="s", number=1), detector)
    shot = shot_with(peaks, detector)
    assert stage.event(shot) is Verdict.KEEP
    (crystal,) = shot.crystals
    assert misorientation(crystal.A, truth) < 0.2
    assert crystal.rmsd_px < 3.0
    stage.end()


def test_a_shot_with_fewer_spots_than_asked_for_is_not_indexed(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    peaks, _ = peaks_of(shared)
    for least, verdict in ((len(peaks), Verdict.KEEP), (len(peaks) + 1, Verdict.SKIP)):
        stage = Index(IndexSettings(cell=CELL, min_peaks=least))
        stage.begin(Series(key="s", number=1), detector)
        shot = shot_with(peaks, detector)
        assert stage.event(shot) is verdict
        assert bool(shot.crystals) is (verdict is Verdict.KEEP)


@pytest.mark.parametrize(
    "cell",
    [
        CELL,
        "50 60 70 90 95.5 90 C121",
        "50 60 70 90 90 95.5 B2",
        "57.9 57.9 150 90 90 120 R3:H",
        "60 60 60 85 85 85 R3:R",
        "40.1234567 50 60 80 85 95 P1",
    ],
)
def test_of_a_cell_file_the_settings_keep_the_cell_itself(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "target.cell"
    path.write_text(crystfel_cell.cell_text(UnitCell.from_string(cell)))
    of_file = read_cell(str(path))
    settings = IndexSettings(cell=str(path))
    path.unlink()
    assert read_cell(settings.cell) == of_file
    assert not is_cell_file(settings.cell)
    assert IndexSettings(cell=settings.cell) == settings


def test_a_shot_without_a_lattice_is_skipped(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    stage = Index(IndexSettings(cell=CELL))
    stage.begin(Series(key="s", number=1), detector)
    few = peaks_of(shared)[0][:5]
    for peaks in (None, Peaks.empty(), few):
        shot = shot_with(peaks, detector)
        assert stage.event(shot) is Verdict.SKIP
        assert shot.crystals == []


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("79.2 79.2 38.0", "expected six numbers a b c alpha beta gamma"),
        ("79.2 79.2 38.0 90 90 90 P99", "expected a space group such as P 43 21 2 or C2, found 'P99'"),
        ("nowhere.cell", "the cell file nowhere.cell cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_cell_is_refused_with_what_was_expected(cell: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        IndexSettings(cell=cell)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValidationError, match="min_spot"):
        IndexSettings.model_validate({"cell": CELL, "min_spot": 5})


def test_every_option_says_what_it_is() -> None:
    assert all(field.description for field in IndexSettings.model_fields.values())


@pytest.mark.parametrize(
    "cell",
    [
        "79.2 79.2 38.0 90 90 90 P43212",
        "58.4 58.4 152.3 90 90 90 P41212",
        "93.4 93.4 131.1 90 90 120 P6122",
        "96.4 96.4 96.4 90 90 90 P213",
        "106 106 106 90 90 90 I213",
        "60 80 100 90 90 90 C2221",
        "60 50 100 90 105 90 C2",
        "40 50 60 80 95 100 P1",
    ],
)
def test_the_spots_that_compile_the_kernels_are_indexed_so_that_none_is_left_out(cell: str) -> None:
    unit_cell = read_cell(cell)
    assert len(Indexer(unit_cell)(lowest_nodes(unit_cell, 60))) == 1

"""The demonstration, and recorded files, from start to summary."""

import re
from pathlib import Path
from statistics import median

import h5py
import numpy as np
from programs import CELL, LOST, Program, query, recorded_totals, summary_counts, write_settings

from braggwatch.processing.crystal import misorientation
from braggwatch.processing.unit_cell import UnitCell


def test_the_demo_ends_by_itself_and_agrees_with_what_is_true(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    options = "--no-window", "--pump-probe", "--frames", "40", "--rate", "40", "--directory", folder
    with Program(tmp_path, "demo", *options) as demo:
        assert demo.wait() == 0, demo.messages
    said = summary_counts(demo.output)
    assert {state: said[state] for state in LOST} == LOST
    assert said["sent"] == said["received"] == said["sum"] == 40
    truth = re.search(r"(\d+) of (\d+) hits found, (\d+) blanks taken for hits \(of 40 frames seen\)", demo.output)
    lattices = re.search(r"(\d+) of (\d+) lattices within 1° of a true one, median error 0\.0\d\d°", demo.output)
    assert truth is not None
    assert lattices is not None
    found, true_hits, false_hits = map(int, truth.groups())
    assert found == true_hits == said["indexed"] + said["hit"] >= 15
    assert false_hits == 0
    assert lattices[1] == lattices[2] == str(said["indexed"])
    assert said["indexed"] >= true_hits - 1
    assert re.findall(r"^  (dark|pumped) +(\d+) ", demo.output, re.MULTILINE) == [("dark", "20"), ("pumped", "20")]
    assert f"Everything of this demo is in {folder}" in demo.output


def test_the_demo_merges_stills_that_do_not_repeat(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with Program(tmp_path, "demo", "--no-window", "--merge", "--frames", "40", "--directory", folder) as demo:
        assert demo.wait() == 0, demo.messages
    assert summary_counts(demo.output)["indexed"] >= 30
    merged = re.search(r"merged +(\d+) crystals · \d+\.\d % complete to 2\.00 Å · CC1/2 0\.\d\d", demo.output)
    assert merged is not None
    assert int(merged[1]) == query(folder / "record.sqlite", "SELECT count(*) FROM crystals")[0][0]
    with h5py.File(folder / "stills.h5") as stills:
        assert len(stills["entry/data/data"]) == 40


def test_recorded_frames_are_processed_to_the_end_and_indexed_right(tmp_path: Path, shared: Path) -> None:
    frames = shared / "frames" / "lysozyme_4m.h5"
    settings = write_settings(
        tmp_path,
        {"type": "files", "paths": [str(frames)]},
        detector={"geometry": str(shared / "frames" / "lysozyme_4m.geom")},
    )
    with Program(tmp_path, "process", settings, "--no-view") as processor:
        assert processor.wait() == 0, processor.messages
    assert "Finished: all files processed" in processor.output
    said = summary_counts(processor.output)
    assert said == {**LOST, "received": 24, "blank": 8, "hit": 0, "indexed": 16, "sum": 24}
    record = tmp_path / "record.sqlite"
    assert recorded_totals(record) == {"blank": 8, "indexed": 16}

    cell = UnitCell.from_string(CELL)
    with h5py.File(frames) as file:
        hit, frame_of = file["truth/hit"][()].astype(bool), file["truth/lattice_frame"][()]
        true_A = {int(n): np.linalg.inv(R).T for n, R in zip(frame_of, file["truth/reciprocal_vectors"], strict=True)}
    lattices = query(record, "SELECT number, ax, ay, az, bx, by, bz, cx, cy, cz FROM crystals")
    assert {number for number, *_ in lattices} == set(np.flatnonzero(hit).tolist())
    errors = [misorientation(np.reshape(A, (3, 3)), true_A[number], cell) for number, *A in lattices]
    assert max(errors) < 1.0
    assert median(errors) <= 0.05

"""Dumps of grouped shots: a merged file for each group on one scale, and files of one group alone."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from strict_dials import read_experiments
from strict_stream import read_stream
from test_export import CELL, Run, export, process, refused

from braggwatch.processing.merging import Merger
from braggwatch.processing.shot_groups import MAX_GROUPS, OTHERS
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.dumps import look_through
from braggwatch.streamer.export import _words
from braggwatch.streamer.merged_export import told_apart

GROUPS = "dark", "pumped/10 ps", "dark"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return process(tmp_path_factory.mktemp("grouped") / "dumps", range(30), groups=GROUPS)


@pytest.fixture(scope="module")
def merger(run: Run) -> Merger:
    merger = Merger(UnitCell.from_string(CELL), d_min=3.0, n_shells=4)
    for shot in run.shots:
        for reflections in shot.reflections:
            merger.add(reflections, "s", shot.number, group=shot.group)
    merger.finish()
    return merger


def of(run: Run, group: str) -> int:
    return Counter(shot.group for shot in run.shots)[group]


def check_mtz(path: Path, merger: Merger, group: str) -> None:
    file, expected = gemmi.read_mtz_file(str(path)), merger.groups[group].merged()
    np.testing.assert_array_equal(file.make_miller_array(), expected.hkl)
    np.testing.assert_allclose(file.column_with_label("IMEAN").array, expected.intensity, rtol=1e-5)
    np.testing.assert_allclose(file.column_with_label("SIGIMEAN").array, expected.sigma, rtol=1e-5)
    np.testing.assert_array_equal(file.column_with_label("N").array, expected.n)
    np.testing.assert_allclose(file.cell.parameters, (79.2, 79.2, 38.0, 90, 90, 90), rtol=1e-3)


def test_each_group_has_a_merged_file_on_the_scale_of_all(run: Run, merger: Merger, tmp_path: Path) -> None:
    result = export(run.folder, "-f", "merged", "--by-group", "--d-min", "3", "--shells", "4", "-o",
                    tmp_path / "run.mtz")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-dark.mtz", "run-pumped_10_ps.mtz"]
    check_mtz(tmp_path / "run-dark.mtz", merger, "dark")
    check_mtz(tmp_path / "run-pumped_10_ps.mtz", merger, "pumped/10 ps")
    said = " ".join(result.output.split())
    for name, merge in merger.groups.items():
        assert f"{name}: {merge.n_crystals} crystals" in said
    assert said.count("R_split") == 2


def test_one_group_alone_is_merged_on_the_same_scale(run: Run, merger: Merger, tmp_path: Path) -> None:
    result = export(run.folder, "-f", "merged", "--group", "dark", "--d-min", "3", "-o", tmp_path / "dark.mtz")
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["dark.mtz"]
    check_mtz(tmp_path / "dark.mtz", merger, "dark")


def test_a_stream_of_one_group_holds_its_images_alone(run: Run, tmp_path: Path) -> None:
    assert export(run.folder, "-f", "stream", "--group", "pumped/10 ps", "-o", tmp_path / "p.stream").exit_code == 0
    chunks = read_stream(tmp_path / "p.stream").chunks
    entries = [(str(d.path), f"//{d.entry}") for s in run.shots if s.group == "pumped/10 ps" for d in s.dumped]
    assert [(chunk.filename, chunk.event) for chunk in chunks] == entries
    assert 5 < len(entries) < len(run.shots)


def test_a_stream_by_group_has_a_list_beside_it_as_partialator_reads_it(run: Run, tmp_path: Path) -> None:
    assert export(run.folder, "-f", "stream", "--by-group", "-o", tmp_path / "run.stream").exit_code == 0
    chunks = read_stream(tmp_path / "run.stream").chunks
    assert len(chunks) == len(run.shots)
    lines = (tmp_path / "run.split").read_text().splitlines()
    names = {"dark": "dark", "pumped/10 ps": "pumped_10_ps"}
    for line, chunk, shot in zip(lines, chunks, run.shots, strict=True):
        # the last word is the data set and, where it has //, the one before is the event; file names may have spaces
        image, _, data_set = line.rpartition(" ")
        filename, _, event = image.rpartition(" ")
        assert (filename, event, data_set) == (chunk.filename, chunk.event, names[shot.group])


@pytest.mark.parametrize("kind", ["mtz", "dials", "cxi"])
def test_other_formats_take_one_group_too(run: Run, tmp_path: Path, kind: str) -> None:
    suffix = {"mtz": ".mtz", "dials": ".expt", "cxi": ".cxi"}[kind]
    result = export(run.folder, "-f", kind, "--group", "dark", "-o", tmp_path / f"dark{suffix}")
    assert result.exit_code == 0, result.output
    assert f"{of(run, 'dark')} images" in result.stderr.replace("\n", " ")
    if kind == "mtz":
        file = gemmi.read_mtz_file(str(tmp_path / "dark.mtz"))
        assert len(file.batches) == sum(len(shot.crystals) for shot in run.shots if shot.group == "dark")
    if kind == "dials":
        assert len(read_experiments(tmp_path / "dark.expt")) == of(run, "dark")


def test_groups_are_counted_when_dumps_are_looked_through(run: Run) -> None:
    dumps = look_through(sorted(run.folder.glob("*.h5")))
    assert dumps.groups == Counter(shot.group for shot in run.shots)


def test_what_cannot_be_done_by_group_is_said(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*arguments: str) -> str:
        return refused(capsys, monkeypatch, run.folder, *arguments, "-o", tmp_path / "x.mtz")

    assert "no image of the group 'pump': found dark (" in said("-f", "merged", "--group", "pump")
    assert "--by-group is for merged files and streams" in said("-f", "mtz", "--by-group")
    assert "say one or the other" in said("-f", "merged", "--by-group", "--group", "dark")
    assert "a geometry is the same for all groups" in said("-f", "geom", "--group", "dark")
    (tmp_path / "x-dark.mtz").touch()
    assert "x-dark.mtz is there already" in said("-f", "merged", "--by-group")
    assert not list(tmp_path.glob(".*"))


def test_dumps_without_groups_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = process(tmp_path / "dumps", range(2)).folder
    for option in (["--by-group"], ["--group", "dark"]):
        said = refused(capsys, monkeypatch, folder, "-f", "merged", *option, "-o", tmp_path / "x.mtz")
        assert "their shots are not grouped; by what they are must be said in [groups]" in said


def test_a_group_without_a_crystal_has_no_file(tmp_path: Path) -> None:
    run = process(tmp_path / "dumps", range(12), groups=("dark", "pumped"))
    mixed = process(tmp_path / "dumps", range(12, 14), groups=("broken",), integrate=False)
    assert of(mixed, "broken") == 2
    result = export(run.folder, "-f", "merged", "--by-group", "--d-min", "3", "-o", tmp_path / "run.mtz")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.glob("*.mtz")) == ["run-dark.mtz", "run-pumped.mtz"]
    assert "No file of its own has the group broken." in " ".join(result.output.split())


def test_beyond_those_that_are_told_apart_the_smallest_groups_are_together() -> None:
    groups = {f"delay {n}": n + 1 for n in range(MAX_GROUPS + 3)}
    assert told_apart(groups) == [*(f"delay {n}" for n in range(MAX_GROUPS + 2, 2, -1)), OTHERS]
    assert told_apart({"a": 1, OTHERS: 5}) == [OTHERS, "a"]


def test_names_of_many_groups_are_made_in_no_time_and_are_all_different() -> None:
    names = [f"pulse {n}" for n in range(20_000)] + [f"pulse_{n}" for n in range(20_000)] + ["Pulse 7"]
    words = _words(names)
    assert words[:2] == ["pulse_0", "pulse_1"] and words[20_007] == "pulse_7-2" and words[-1] == "Pulse_7-3"
    assert len({word.lower() for word in words}) == len(names)


def test_of_very_many_groups_the_largest_are_named_where_one_is_not_found(run: Run) -> None:
    dumps = replace(look_through(sorted(run.folder.glob("*.h5"))), groups={f"pulse {n}": n + 1 for n in range(1000)})
    with pytest.raises(ValueError, match=r"the group 'dark': found pulse 984 \(985\), .* and further ones$") as refusal:
        dumps.of("dark")
    assert len(str(refusal.value)) < 1000

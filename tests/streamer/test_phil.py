"""PHIL files: read strictly, and what their parameters mean here."""

from pathlib import Path

import pytest

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.pyana.phil_file import Parameter, read_phil
from braggwatch.streamer.pyana.phil_target import NOT_KNOWN, Target, read_target


def parameters(folder: Path, text: str) -> list[Parameter]:
    path = folder / "a.phil"
    path.write_text(text)
    return read_phil(path)


def target(folder: Path, text: str) -> Target:
    path = folder / "a.phil"
    path.write_text(text)
    return read_target(path)


def fault(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        target(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a = 1\nb.c = 2", {"a": "1", "b.c": "2"}),
        ("s {\n a = 1\n t { b = 2 }\n}\nc=3", {"s.a": "1", "s.t.b": "2", "c": "3"}),
        ("s\n{\n a = 1\n}", {"s.a": "1"}),
        ("s.t { a = 1; b = 2 }", {"s.t.a": "1", "s.t.b": "2"}),
        ("a = 1 2 \\\n  3 # four\n#b = 1", {"a": "1 2 3"}),
        ("a = 'b # c' \"d = e\"", {"a": "b # c d = e"}),
        ("!a = 1\n!s { b = 1 }\nc = 2", {"c": "2"}),
        ('a = None\n  .type = float\n  .help = "as long\nas it takes"\nb = 1', {"a": "None", "b": "1"}),
        ("include = 1", {"include": "1"}),
        ("", {}),
    ],
)
def test_scopes_values_quotes_and_comments_are_read(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    assert {p.name: p.text for p in parameters(tmp_path, text)} == found


def test_included_files_stand_in_their_place_with_their_own_lines(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner.phil").write_text("\nb = 2\ninclude file innermost.phil\n")
    (tmp_path / "sub" / "innermost.phil").write_text("c = 3\n")
    found = parameters(tmp_path, "a = 1\ns {\n include file sub/inner.phil\n}\nd = 4\n")
    assert [(p.name, p.line, p.path.name) for p in found] == [
        ("a", 1, "a.phil"),
        ("s.b", 2, "inner.phil"),
        ("s.c", 1, "innermost.phil"),
        ("d", 5, "a.phil"),
    ]


def test_of_choices_the_marked_one_counts(tmp_path: Path) -> None:
    one, several, none = parameters(tmp_path, "a = *P C I\nb = x *y *z\nc = Auto\n")
    assert (one.value, several.value, none.value) == (("P",), ("y", "z"), None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("distl {\n res.outer = 2\n", "a.phil:1: expected a closing brace for the scope distl, found the file's end"),
        ("a = 1\n}\n", "a.phil:2: expected a parameter or a scope, found a closing brace without an opening one"),
        ("a = 1\nb\n", "a.phil:2: expected b = VALUE or b {, found nothing behind b"),
        ("a b = 1\n", "a.phil:1: expected a = VALUE or a {, found 'b' behind a"),
        ("a =\n", "a.phil:1: expected a value for a (None for none), found nothing"),
        ("a = 1 = 2\n", "a.phil:1: expected one value for a, found a second ="),
        ("= 1\n", "a.phil:1: expected the name of a parameter or a scope, found '='"),
        ("\n2x = 1\n", "a.phil:2: expected the name of a parameter or a scope, found '2x'"),
        ("a-b = 1\n", "a.phil:1: expected the name of a parameter or a scope, found 'a-b'"),
        ("'a' = 1\n", "a.phil:1: expected the name of a parameter or a scope, found 'a'"),
        ("a = 'x\nb = 1\n", "a.phil:1: expected the quote ' to be closed, found the file's end"),
        ("a = { 1 }\n", "a.phil:1: expected a value for a, found '{'"),
        ("include scope os.system\n", "a.phil:1: expected include file PATH (what other includes name is Python code"),
        (
            "include file none.phil\n",
            "a.phil:1: include file none.phil: none.phil: there is no such file; expected a PHIL file",
        ),
        ("include file a.phil\n", "a.phil:1: expected files that do not include each other, found a.phil"),
        ("s {" * 40, "a.phil:1: expected at most 32 scopes in each other, found more"),
        ("a", "a.phil:1: expected a = VALUE or a {, found nothing behind a"),
        ("\ninclude file b\0.phil", "a.phil:2: expected text, found a zero byte"),
    ],
)
def test_what_is_malformed_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert fault(tmp_path, text).startswith(said)


def test_limits_and_sizes_of_spots_go_to_the_hit_finder(tmp_path: Path) -> None:
    found = target(
        tmp_path,
        "distl {\n res { outer = 2.2\n inner = 40 }\n minimum_signal_height = 5\n minimum_spot_height = 6\n"
        " minimum_spot_area = 2\n spot_area_maximum_factor = 20\n peripheral_margin = 3\n"
        " scanbox_windows = 102 51 51\n}\n",
    )
    assert {key: value for key, (value, _) in found.spots.items()} == {
        "d_min": 2.2,
        "d_max": 40.0,
        "minimum_signal_height": 5.0,
        "minimum_spot_height": 6.0,
        "minimum_spot_area": 2,
        "spot_area_maximum_factor": 20.0,
        "peripheral_margin": 3,
        "scanbox_window": 51,
    }
    assert (found.notes, found.dropped) == ([], [])


def test_of_two_different_limits_the_one_of_distl_counts_and_it_is_said(tmp_path: Path) -> None:
    found = target(tmp_path, "distl_highres_limit = 3\ndistl.res.outer = 2\ndistl_lowres_limit = 50\n")
    assert found.spots["d_min"][0] == 2.0
    assert found.spots["d_max"][0] == 50.0
    ((said, parameter),) = found.notes
    assert said == "is not distl.res.outer = 2; spots are searched once, with that"
    assert parameter.name == "distl_highres_limit"
    assert not target(tmp_path, "distl_highres_limit = 2\ndistl.res.outer = 2.0\n").notes


def test_boxes_of_other_proportions_are_said(tmp_path: Path) -> None:
    ((said, _),) = target(tmp_path, "distl.scanbox_windows = 71 51 41").notes
    assert said == "the last, 41, counts for the last two rounds, twice that for the first"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("target_cell = 79 79 38 90 90 90\nknown_setting = 9", "79 79 38 90 90 90 tP"),
        ("target_cell = 38 79 79 90 90 90\nknown_setting = 9", "79 79 38 90 90 90 tP"),  # the tutorial's order
        ("target_cell = 79,38,79,90,90,90", "79 79 38 90 90 90 tP"),
        ("target_cell = 79 79 38 90 90 90\nknown_setting = 5", "79 79 38 90 90 90 oP"),
        ("target_cell = 93 93 131 90 90 120\nknown_setting = 12", "93 93 131 90 90 120 hP"),
        ("target_cell = 131 93 93 120 90 90\nknown_setting = 12", "93 93 131 90 90 120 hP"),
        (
            "target_cell = 78 78 78 90 90 90\nknown_setting = 22\ntarget_cell_centring_type = P C *I R F",
            "78 78 78 90 90 90 cI",
        ),
        ("target_cell = 50 60 70 90 95 90\ntarget_cell_centring_type = C", "50 60 70 90 95 90 mC"),
        ("target_cell = 50 60 70 90 95 90\nknown_setting = 2", "50 60 70 90 95 90 mP"),
        ("target_cell = 50 60 70 80 85 95\nknown_setting = 1", "50 60 70 80 85 95 aP"),
        (
            "target_cell = 58 58 150 90 90 120\nknown_setting = 5\ntarget_cell_centring_type = R",
            "58 58 150 90 90 120 hR",
        ),
        ("target_cell = 79 79 38 90 90 90\nknown_symmetry = P43212", "79 79 38 90 90 90 P43212"),
        ("known_cell = 79 79 38 90 90 90\nknown_symmetry = 'P 43 21 2'", "79 79 38 90 90 90 P43212"),
    ],
)
def test_cell_centring_and_setting_become_the_cell_that_is_looked_for(tmp_path: Path, text: str, cell: str) -> None:
    found = target(tmp_path, text)
    assert found.cell is not None
    assert found.cell[0] == cell
    UnitCell.from_string(cell)


def test_a_setting_that_counts_what_only_the_image_knows_is_said(tmp_path: Path) -> None:
    found = target(tmp_path, "target_cell = 79 79 38 90 90 90\nknown_setting = 7")
    assert found.cell is not None
    assert found.cell[0] == "79 79 38 90 90 90 tP"
    ((said, _),) = found.notes
    assert said == "which lattice this means depends on the image; taken from the cell's shape: tetragonal"


def test_symmetry_without_a_cell_is_said(tmp_path: Path) -> None:
    found = target(tmp_path, "known_setting = 9\ntarget_cell_centring_type = P\n")
    assert found.cell is None
    assert [(p.name, said) for said, p in found.notes] == [
        ("target_cell_centring_type", "says nothing without a target_cell"),
        ("known_setting", "says nothing without a target_cell"),
    ]


def test_numbers_of_spots_gain_and_tiles_are_read(tmp_path: Path) -> None:
    found = target(
        tmp_path,
        "distl_minimum_number_spots_for_indexing = 20\nintegration.detector_gain = 7.5\ndistl.tile_flags = 0 1 0 1\n",
    )
    assert found.min_spots is not None and found.gain is not None and found.ignored_tiles is not None
    assert (found.min_spots[0], found.gain[0], found.ignored_tiles[0]) == (20, 7.5, [1, 3])


def test_what_has_no_meaning_here_is_told_with_the_reason(tmp_path: Path) -> None:
    found = target(
        tmp_path,
        "mosaicity_limit = 1\nintegration {\n model = user_supplied\n mosaic.refinement_target = LSQ *ML\n}\n"
        "distl.tile_translations = 0 1\nindexing.verbose_cv = True\nbeam_search_scope = None\nviewer.size = 3\n",
    )
    reasons = {parameter.name: reason for parameter, reason in found.dropped}
    assert list(reasons) == [
        "mosaicity_limit",
        "integration.model",
        "integration.mosaic.refinement_target",
        "distl.tile_translations",
        "indexing.verbose_cv",
        "viewer.size",
    ]
    assert reasons["mosaicity_limit"].startswith("the width of reflections is estimated from each crystal's own spots")
    assert reasons["integration.mosaic.refinement_target"] == reasons["mosaicity_limit"]
    assert reasons["distl.tile_translations"] == "the geometry file says where the panels lie"
    assert reasons["viewer.size"] == NOT_KNOWN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("distl.res.outer = near", "a.phil:1: distl.res.outer: expected a number, Å, found 'near'"),
        ("distl.res.outer = -2", "a.phil:1: distl.res.outer: expected a number above 0, Å, found '-2'"),
        ("distl.res.outer = nan", "a.phil:1: distl.res.outer: expected a number, Å, found 'nan'"),
        ("distl.minimum_spot_area = 2.5", "a.phil:1: distl.minimum_spot_area: expected a whole number of at least 1"),
        ("distl.minimum_spot_area = 0", "a.phil:1: distl.minimum_spot_area: expected a whole number of at least 1"),
        (
            "distl.peripheral_margin = -1",
            "a.phil:1: distl.peripheral_margin: expected a whole number of pixels, at least",
        ),
        (
            "distl.scanbox_windows = 51 51",
            "a.phil:1: distl.scanbox_windows: expected three sizes of at least 10 pixels",
        ),
        ("distl.tile_flags = 0 2", "a.phil:1: distl.tile_flags: expected 0 or 1 for each tile, 1 for one that is left"),
        ("target_cell = 79 79 38 90 90", "a.phil:1: target_cell: expected 6 numbers, a b c in Å, alpha beta gamma in"),
        ("target_cell = 79 79 -38 90 90 90", "a.phil:1: target_cell: expected axes a, b, c above 0 Angstrom"),
        ("target_cell = 70 79 38 90 90 90\nknown_setting = 9", "a.phil:1: target_cell: space group P 4 is tetragonal"),
        (
            "target_cell = 79 79 38 90 90 90\nknown_symmetry = P99",
            "a.phil:1: target_cell: expected a space group such as",
        ),
        (
            "target_cell_centring_type = X",
            "a.phil:1: target_cell_centring_type: expected one of P, C, I, R, F, found 'X'",
        ),
        (
            "known_setting = nine",
            "a.phil:1: known_setting: expected a whole number of at least 1, found 'nine'",
        ),
        ("integration.detector_gain = 0", "a.phil:1: integration.detector_gain: expected a number above 0, ADU of a"),
    ],
)
def test_values_that_cannot_be_are_refused_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    assert fault(tmp_path, text).startswith(said)

"""What the parameters of an `xtal_target` mean here: resolution limits, sizes and numbers of spots, the cell, tiles."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from braggwatch.processing.bravais import Parameters, lattice_name, system_of
from braggwatch.processing.chain_settings import SettingsError
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.pyana.cfg_file import Option
from braggwatch.streamer.pyana.phil_file import Parameter, read_phil

_SYSTEM_OF_SETTING = {
    1: "triclinic", 2: "monoclinic", 3: "monoclinic", 4: "monoclinic", 5: "orthorhombic", 9: "tetragonal",
    12: "hexagonal", 22: "cubic",
}  # fmt: skip
"""LABELIT's number of a setting for a lattice of just that symmetry; it counts the settings of each lattice anew."""

_METHOD2 = "no resolution is estimated from numbers of spots; distl.res.outer limits the search"
_WIDTH = "the width of reflections is estimated from each crystal's own spots; [integrate] profile_radius fixes it"
_BACKGROUND = "the background of a reflection is a ring, [integrate] middle and outer"
_TOLERANCE = "[index] length_tolerance and angle_tolerance say which lattices are believed"
_GEOMETRY = "the geometry file says where the panels lie"

_NO_MEANING = {
    "distl_maximum_number_spots_for_indexing": "indexing chooses the spots that it needs",
    "force_method2_resolution_limit": _METHOD2,
    "distl.method2_cutoff_percentage": _METHOD2,
    "distl.compactness_filter": "spots are not judged by their shape",
    "distl.peak_intensity_maximum_factor": "no spot is left out for being strong",
    "distl.range": "images come one by one",
    "mosaicity_limit": _WIDTH,
    "integration.model": _WIDTH,
    "integration.background_factor": _BACKGROUND,
    "integration.guard_width_sq": _BACKGROUND,
    "integration.signal_penetration": "reflections are summed in a disc, [integrate] inner",
    "integration.spotfinder_subset": "lattices are refined against all spots that they explain",
    "integration.mask_pixel_value": "masked pixels are known by the mask",
    "beam_search_scope": "the beam's place is refined for each crystal instead, [integrate] refine",
    "difflimit_sigma_cutoff": "reflections are integrated to the detector's corners, or to [integrate] d_min",
    "lepage_max_delta": "the lattice is that of the cell; [index] angle_tolerance says what it may differ by",
    "rmsd_tolerance": _TOLERANCE,
    "mosflm_rmsd_tolerance": _TOLERANCE,
    "outlier_detection_switch": "[index] max_lattices says how many lattices are looked for",
}
_NO_MEANING_IN_SCOPE = {
    "integration.mosaic": _WIDTH,
    "distl.quad_translations": _GEOMETRY,
    "distl.tile_translations": _GEOMETRY,
    "distl.detector_tiling": _GEOMETRY,
    "distl.detector_format_version": _GEOMETRY,
    "indexing": "LABELIT's indexing is not used",
    "integration": "LABELIT's integration is not used",
}
NOT_KNOWN = "it steers a part of LABELIT or cctbx that is not used"


@dataclass
class Target:
    """What an `xtal_target` says, each value with the parameter it came from."""

    path: Path
    spots: dict[str, tuple[Any, Parameter]] = field(default_factory=dict)
    """By key of ``[hitfind]``."""
    cell: tuple[str, Parameter] | None = None
    """As ``[index] cell`` takes it."""
    min_spots: tuple[int, Parameter] | None = None
    """What a shot must have to be indexed."""
    gain: tuple[float, Parameter] | None = None
    """ADU of a photon."""
    ignored_tiles: tuple[list[int], Parameter] | None = None
    """Numbers of tiles, from 0."""
    notes: list[tuple[str, Parameter]] = field(default_factory=list)
    """What is not as it was."""
    dropped: list[tuple[Parameter, str]] = field(default_factory=list)
    """What has no meaning here, with the reason."""


def find_target(option: Option) -> Path:
    """Return the file that `xtal_target` names, which may leave out ``.params`` or ``.phil``. Raises SettingsError."""
    if option.text[0] in "\"'":
        raise option.wrong("a path as it is, without quotes")
    tried = [Path(option.text + suffix).expanduser() for suffix in ("", ".params", ".phil")]
    for path in tried:
        if path.is_file():
            return path
    raise option.wrong(f"a PHIL file at {', '.join(map(str, tried[:-1]))} or {tried[-1]}")


def read_target(path: Path) -> Target:
    """Read a PHIL file for the parameters that mean something here. Raises SettingsError with file and line."""
    parameters = {parameter.name: parameter for parameter in read_phil(path)}  # of several, the last counts
    target = Target(path)
    _resolution(target, parameters)
    for name, (key, read) in _SPOTS.items():
        parameter = _take(parameters, name)
        if parameter is not None:
            target.spots[key] = read(parameter), parameter
    _scan_boxes(target, _take(parameters, "distl.scanbox_windows"))
    target.cell = _cell(target, parameters)
    parameter = _take(parameters, "distl_minimum_number_spots_for_indexing")
    if parameter is not None:
        target.min_spots = _whole(parameter), parameter
    parameter = _take(parameters, "integration.detector_gain")
    if parameter is not None:
        target.gain = _positive(parameter, "ADU of a photon"), parameter
    target.ignored_tiles = _tiles(_take(parameters, "distl.tile_flags"))
    target.dropped = [(p, _reason(p.name)) for p in parameters.values() if p.value is not None]
    return target


def _take(parameters: dict[str, Parameter], name: str) -> Parameter | None:
    parameter = parameters.pop(name, None)
    return None if parameter is None or parameter.value is None else parameter


def _positive(parameter: Parameter, what: str) -> float:
    (number,) = parameter.numbers(1, what)
    if not number > 0:
        raise parameter.wrong(f"a number above 0, {what}")
    return number


def _whole(parameter: Parameter) -> int:
    expected = "a whole number of at least 1"
    numbers = parameter.integers(expected)
    if len(numbers) != 1 or numbers[0] < 1:
        raise parameter.wrong(expected)
    return numbers[0]


def _not_negative(parameter: Parameter) -> int:
    expected = "a whole number of pixels, at least 0"
    numbers = parameter.integers(expected)
    if len(numbers) != 1 or numbers[0] < 0:
        raise parameter.wrong(expected)
    return numbers[0]


_SPOTS: dict[str, tuple[str, Callable[[Parameter], float]]] = {
    "distl.minimum_signal_height": ("minimum_signal_height", lambda p: _positive(p, "standard deviations")),
    "distl.minimum_spot_height": ("minimum_spot_height", lambda p: _positive(p, "standard deviations")),
    "distl.minimum_spot_area": ("minimum_spot_area", _whole),
    "distl.spot_area_maximum_factor": ("spot_area_maximum_factor", lambda p: _positive(p, "times minimum_spot_area")),
    "distl.peripheral_margin": ("peripheral_margin", _not_negative),
}


def _resolution(target: Target, parameters: dict[str, Parameter]) -> None:
    """distl's own limits, or the general ones; where both are given and differ, distl's count."""
    for key, names in (
        ("d_min", ("distl.res.outer", "distl_highres_limit")),
        ("d_max", ("distl.res.inner", "distl_lowres_limit")),
    ):
        given = [parameter for name in names if (parameter := _take(parameters, name)) is not None]
        values = [_positive(parameter, "Å") for parameter in given]
        if values:
            target.spots[key] = values[0], given[0]
        if len(set(values)) == 2:
            target.notes.append(
                (f"is not {given[0].name} = {values[0]:g}; spots are searched once, with that", given[1])
            )


def _scan_boxes(target: Target, parameter: Parameter | None) -> None:
    if parameter is None:
        return
    expected = "three sizes of at least 10 pixels"
    sizes = parameter.integers(expected)
    if len(sizes) != 3 or min(sizes) < 10:
        raise parameter.wrong(expected)
    target.spots["scanbox_window"] = sizes[-1], parameter
    if sizes[1] != sizes[2] or not 1.9 <= sizes[0] / sizes[2] <= 2.1:
        target.notes.append(
            (f"the last, {sizes[-1]}, counts for the last two rounds, twice that for the first", parameter)
        )


def _tiles(parameter: Parameter | None) -> tuple[list[int], Parameter] | None:
    if parameter is None:
        return None
    expected = "0 or 1 for each tile, 1 for one that is left out"
    flags = parameter.integers(expected)
    if not set(flags) <= {0, 1}:
        raise parameter.wrong(expected)
    return [number for number, flag in enumerate(flags) if flag], parameter


def _cell(target: Target, parameters: dict[str, Parameter]) -> tuple[str, Parameter] | None:
    """Put cell, centring and symmetry together."""
    known, wanted = _take(parameters, "known_cell"), _take(parameters, "target_cell")
    centring = _take(parameters, "target_cell_centring_type")
    setting, symmetry = _take(parameters, "known_setting"), _take(parameters, "known_symmetry")
    letter = _centring(centring)
    number = None if setting is None else _whole(setting)
    parameter = wanted or known
    if parameter is None:
        for lost in (centring, setting, symmetry):
            if lost is not None:
                target.notes.append(("says nothing without a target_cell", lost))
        return None
    a, b, c, alpha, beta, gamma = parameter.numbers(6, "a b c in Å, alpha beta gamma in degrees")
    cell = _unique_axis_last((a, b, c, alpha, beta, gamma))
    if symmetry is not None:
        text = f"{_numbers(cell)} {''.join(symmetry.text.split())}"
    else:
        system = _system(target, cell, number, setting)
        text = f"{_numbers(cell)} {lattice_name(system, letter)}"
    try:
        UnitCell.from_string(text)
    except ValueError as error:
        raise SettingsError(f"{parameter.place}: {error}") from None
    return text, parameter


def _system(target: Target, cell: Parameters, number: int | None, setting: Parameter | None) -> str:
    shape = system_of(cell)
    if number is None or setting is None:
        return shape
    if number == 5 and shape in ("rhombohedral", "hexagonal"):
        return "rhombohedral"
    if number in _SYSTEM_OF_SETTING:
        return _SYSTEM_OF_SETTING[number]
    target.notes.append(
        (f"which lattice this means depends on the image; taken from the cell's shape: {shape}", setting)
    )
    return shape


def _centring(parameter: Parameter | None) -> str:
    if parameter is None or parameter.value is None:
        return "P"
    letters = parameter.value
    if len(letters) != 1 or letters[0] not in tuple("PCIRFAB"):
        raise parameter.wrong("one of P, C, I, R, F")
    return letters[0]


def _unique_axis_last(cell: Parameters) -> Parameters:
    """Turn the axes of a tetragonal or hexagonal cell in a circle until the two alike come first."""
    a, b, c, alpha, beta, gamma = cell
    system = system_of(cell)
    turns: list[Parameters] = [cell, (b, c, a, beta, gamma, alpha), (c, a, b, gamma, alpha, beta)]
    if system == "tetragonal":
        return min(turns, key=lambda turned: abs(turned[0] - turned[1]))
    if system == "hexagonal":
        return max(turns, key=lambda turned: turned[5])
    return cell


def _numbers(cell: Parameters) -> str:
    return " ".join(f"{number:g}" for number in cell)


def _reason(name: str) -> str:
    if name in _NO_MEANING:
        return _NO_MEANING[name]
    for scope, reason in _NO_MEANING_IN_SCOPE.items():
        if name == scope or name.startswith(f"{scope}."):
            return reason
    return NOT_KNOWN

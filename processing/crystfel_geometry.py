"""CrystFEL geometry files (``.geom``): what they say, read strictly.

The format is that of CrystFEL 0.11 (crystfel_geometry(5)); what older versions wrote is read too: ``panel/clen``,
``rigid_group`` lines, bad regions that name no panel. A line that is not understood is refused with its number.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from braggwatch.processing.beam import HC
from braggwatch.processing.crystfel_values import (
    FILE_SETTINGS,
    N_MASKS,
    NOT_USED,
    PANEL_SETTINGS,
    REQUIRED,
    SYNONYMS,
    InDataFile,
    number,
)

LARGEST_FILE = 16 * 2**20
"""Bytes. Geometry files of the largest detectors have some 100 kB; more than this is a data file given by mistake."""


@dataclass(frozen=True)
class CrystfelMask:
    """Where a mask lies, and how its values are to be read."""

    data: str
    """Path of the array inside the file."""
    file: str | None = None
    """The file's name; None means that the mask lies in each data file."""
    good_bits: int = 0
    """A pixel is bad unless all of these bits are set."""
    bad_bits: int = 0
    """A pixel is bad if any of these bits is set."""


@dataclass(frozen=True)
class CrystfelPanel:
    """A panel as the file describes it: lengths in pixels except where it says otherwise."""

    name: str
    min_fs: int
    """First column; rows and columns are counted in the panel's data array, both ends included."""
    max_fs: int
    min_ss: int
    max_ss: int
    corner_x: float
    """Lab position of the outer corner of the first pixel."""
    corner_y: float
    fs: tuple[float, float, float]
    """Lab vector from one pixel to the next along a row."""
    ss: tuple[float, float, float]
    res: float
    """Pixels per metre."""
    coffset: float = 0.0
    """What to add to the camera length for this panel, m."""
    clen: float | InDataFile | None = None
    """This panel's own camera length, m; None means the file's."""
    data: str = "/data/data"
    """Path of the array in a data file; ``%`` stands for the event."""
    dims: tuple[int | str, ...] = ("ss", "fs")
    """What each axis of that array is: ``ss``, ``fs``, ``%`` for the frame number, or an index at which it is fixed."""
    max_adu: float = float("inf")
    adu_per_photon: float | None = None
    adu_per_eV: float | None = None  # noqa: N815 - the file's own name
    flag_equal: tuple[float, ...] = ()
    """Pixels of these values are bad."""
    flag_lessthan: tuple[float, ...] = ()
    """Pixels below any of these are bad."""
    flag_morethan: tuple[float, ...] = ()
    """Pixels above any of these are bad."""
    no_index: bool = False
    """The whole panel is bad."""
    mask_edge_pixels: int = 0
    """Width of the border of bad pixels around the panel."""
    masks: tuple[CrystfelMask, ...] = ()


@dataclass(frozen=True)
class BadRegion:
    """A rectangle of bad pixels."""

    name: str
    fsss: bool
    """True: limits in columns and rows of the data array, included. False: in lab x and y, pixels, not included."""
    first: tuple[float, float]
    """Lower limits, ``(fs, ss)`` or ``(x, y)``."""
    last: tuple[float, float]
    """Upper limits."""
    panel: str | None = None
    """None means all panels."""


@dataclass(frozen=True)
class CrystfelGeometry:
    """What a CrystFEL geometry file says."""

    path: str
    panels: tuple[CrystfelPanel, ...]
    clen: float | InDataFile | None = None
    """Camera length, m; None where the file says nothing."""
    photon_energy: float | InDataFile | None = None
    """eV; None where the file says nothing. A wavelength left to the data file appears here with the unit A or m."""
    bandwidth: float = 0.0
    """Relative standard deviation of the spectrum."""
    detector_shift: tuple[float, float] = (0.0, 0.0)
    """Shift of the whole detector along lab x and y, m."""
    bad: tuple[BadRegion, ...] = ()
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Members of each group, panels or other groups."""
    rigid_groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Lines ``rigid_group_NAME`` and ``rigid_group_collection_NAME`` (as ``collection_NAME``), members unchecked."""
    not_used: tuple[str, ...] = ()
    """Lines that are right, but mean nothing to a reader of live frames, each with its number."""

    @property
    def knows_clen(self) -> bool:
        """The file itself gives each panel's camera length."""
        return all(isinstance(self.clen if p.clen is None else p.clen, float) for p in self.panels)

    @property
    def knows_photon_energy(self) -> bool:
        """The file itself gives the photon energy or the wavelength."""
        return isinstance(self.photon_energy, float)

    @classmethod
    def read(cls, path: str | Path) -> "CrystfelGeometry":
        """Read a file; raises ValueError with its name, the line, what was expected and what was found."""
        path = Path(path)
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"{path}: expected a geometry file of at most {LARGEST_FILE} bytes; is this a data file?")
        return cls.from_text(path.read_text("utf-8", errors="replace"), str(path))

    @classmethod
    def from_text(cls, text: str, path: str = "geometry") -> "CrystfelGeometry":
        """Read the text of a file; `path` is what error messages call it."""
        reader = _Reader(path)
        for line_number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
            statement = line.split(";", 1)[0].strip()
            if statement:
                reader.line = line_number
                reader.statement(statement)
        return reader.finish()


class _Reader:
    """Takes one statement after another; knows the file and line for its complaints."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.line = 0
        self.file: dict[str, Any] = {}
        self.file_lines: dict[str, int] = {}
        self.defaults: dict[str, Any] = {"dim0": "ss", "dim1": "fs"}
        self.idle_default = 0
        """Line of the last default that no panel has taken up yet."""
        self.panels: dict[str, dict[str, Any]] = {}
        self.bad: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, tuple[str, ...]] = {}
        self.rigid_groups: dict[str, tuple[str, ...]] = {}
        self.not_used: list[str] = []

    def refuse(self, message: str) -> NoReturn:
        raise ValueError(f"{self.path}, line {self.line}: {message}")

    def value(self, read: Callable[[str], Any], key: str, text: str) -> Any:
        try:
            return read(text)
        except ValueError as expected:
            self.refuse(f"{key}: expected {expected}, found {text!r}")

    def statement(self, statement: str) -> None:
        key, equals, text = (part.strip() for part in statement.partition("="))
        if not (equals and key and text):
            self.refuse(f"expected 'parameter = value' or 'panel/parameter = value', found {statement!r}")
        owner, slash, name = key.partition("/")
        if not slash:
            self.top_level(key, text)
        elif owner.startswith("bad"):
            self.bad_region(owner, name, text)
        elif not owner or owner.startswith(("group", "rigid_group")):
            self.refuse(f"expected a panel's name that does not begin with group or rigid_group, found {owner!r}")
        else:
            if owner not in self.panels:
                self.panels[owner] = dict(self.defaults)
                self.idle_default = 0
            self.panel_setting(self.panels[owner], name, text)

    def top_level(self, key: str, text: str) -> None:
        if key in FILE_SETTINGS:
            value = self.value(FILE_SETTINGS[key], key, text)
            if self.file.setdefault(key, value) != value:
                self.refuse(f"{key} is given again; expected one value, found another in line {self.file_lines[key]}")
            self.file_lines.setdefault(key, self.line)
        elif key.startswith("rigid_group_"):
            self.rigid_groups[key.removeprefix("rigid_group_")] = self.members(text)
        elif key.startswith("group_"):
            self.groups[key.removeprefix("group_")] = self.members(text)
        elif key in NOT_USED:
            self.panel_setting(self.defaults, key, text)
        else:
            self.panel_setting(self.defaults, key, text)
            self.idle_default = self.line

    def members(self, text: str) -> tuple[str, ...]:
        members = tuple(member.strip() for member in text.split(","))
        if not all(members) or len(set(members)) < len(members):
            self.refuse(f"expected a list of different names with commas between them, found {text!r}")
        return members

    def panel_setting(self, settings: dict[str, Any], key: str, text: str) -> None:
        if key in NOT_USED:
            self.not_used.append(f"line {self.line}: {key} = {text}")
            return
        key = SYNONYMS.get(key, key)
        if key not in PANEL_SETTINGS:
            self.refuse(f"expected a parameter of CrystFEL's geometry files, found {key!r}")
        value = self.value(PANEL_SETTINGS[key], key, text)
        if key.startswith("flag_"):
            value = (*settings.get(key, ()), value)
        settings[key] = value

    def bad_region(self, owner: str, key: str, text: str) -> None:
        region = self.bad.setdefault(owner, {"line": self.line})
        if key == "panel":
            region[key] = text
        elif key in ("min_fs", "max_fs", "min_ss", "max_ss", "min_x", "max_x", "min_y", "max_y"):
            region[key] = self.value(number, key, text)
        else:
            self.refuse(f"expected min_ or max_ with fs, ss, x or y, or panel, for a bad region; found {key!r}")

    def finish(self) -> CrystfelGeometry:
        if not self.panels:
            raise ValueError(f"{self.path}: expected at least one panel, found none")
        if self.idle_default:
            self.line = self.idle_default
            self.refuse("this applies to no panel: a parameter without a panel's name holds for the panels after it")
        self.check_groups()
        return CrystfelGeometry(
            path=self.path,
            panels=tuple(self.finished_panel(name, settings) for name, settings in self.panels.items()),
            clen=self.file.get("clen"),
            photon_energy=self.photon_energy(),
            bandwidth=self.file.get("bandwidth", 0.0),
            detector_shift=(self.shift("x"), self.shift("y")),
            bad=tuple(self.finished_region(name, region) for name, region in self.bad.items()),
            groups=self.groups,
            rigid_groups=self.rigid_groups,
            not_used=tuple(self.not_used),
        )

    def photon_energy(self) -> float | InDataFile | None:
        energy: float | InDataFile | None = self.file.get("photon_energy")
        wavelength: float | InDataFile | None = self.file.get("wavelength")
        if energy is not None and wavelength is not None:
            self.line = self.file_lines["wavelength"]
            self.refuse(f"expected photon_energy or wavelength, found both (line {self.file_lines['photon_energy']})")
        if isinstance(wavelength, float):
            if not wavelength > 0:
                self.line = self.file_lines["wavelength"]
                self.refuse(f"wavelength: expected a number above 0, found {wavelength} A")
            return HC / wavelength
        return energy if wavelength is None else wavelength

    def shift(self, axis: str) -> float:
        shift = self.file.get(f"detector_shift_{axis}", 0.0)
        if isinstance(shift, InDataFile):
            self.line = self.file_lines[f"detector_shift_{axis}"]
            self.refuse(
                f"detector_shift_{axis}: expected a number, found {shift.path!r}; live frames come without a data file"
            )
        return float(shift)

    def check_groups(self) -> None:
        known = set(self.panels)
        for name, members in self.groups.items():
            unknown = [member for member in members if member not in known]
            if unknown:
                raise ValueError(
                    f"{self.path}: group_{name}: expected panels, or groups defined before it; found "
                    f"{', '.join(unknown)}"
                )
            known.add(name)

    def finished_panel(self, name: str, settings: dict[str, Any]) -> CrystfelPanel:
        for key in REQUIRED:
            if key not in settings:
                raise ValueError(f"{self.path}: panel {name}: expected {key}, found no line '{name}/{key} = …'")
        if settings["min_fs"] > settings["max_fs"] or settings["min_ss"] > settings["max_ss"]:
            raise ValueError(
                f"{self.path}: panel {name}: expected min_fs <= max_fs and min_ss <= max_ss, found "
                f"fs {settings['min_fs']}..{settings['max_fs']}, ss {settings['min_ss']}..{settings['max_ss']}"
            )
        plain = {key: value for key, value in settings.items() if key in CrystfelPanel.__dataclass_fields__}
        return CrystfelPanel(name=name, dims=self.dims(name, settings), masks=self.masks(name, settings), **plain)

    def dims(self, name: str, settings: dict[str, Any]) -> tuple[int | str, ...]:
        numbers = sorted(int(key[3:]) for key in settings if key.startswith("dim"))
        dims = tuple(settings[f"dim{number}"] for number in numbers)
        found = ", ".join(f"dim{number} = {dim}" for number, dim in zip(numbers, dims, strict=True))
        if numbers != list(range(len(numbers))):
            raise ValueError(f"{self.path}: panel {name}: expected dim0, dim1 … without a gap, found {found}")
        if dims.count("ss") != 1 or dims.count("fs") != 1 or dims.index("ss") > dims.index("fs"):
            raise ValueError(
                f"{self.path}: panel {name}: expected one dim with ss and, after it, one with fs; found {found}"
            )
        return dims

    def masks(self, name: str, settings: dict[str, Any]) -> tuple[CrystfelMask, ...]:
        masks = []
        for n in range(N_MASKS):
            of_mask = {key for key in settings if key.startswith(f"mask{n}_")}
            if of_mask and f"mask{n}_data" not in of_mask:
                raise ValueError(
                    f"{self.path}: panel {name}: expected mask{n}_data, which says where the mask lies, beside "
                    f"{', '.join(sorted(of_mask))}"
                )
            if of_mask:
                masks.append(
                    CrystfelMask(
                        data=settings[f"mask{n}_data"],
                        file=settings.get(f"mask{n}_file"),
                        good_bits=settings.get(f"mask{n}_goodbits", 0),
                        bad_bits=settings.get(f"mask{n}_badbits", 0),
                    )
                )
        return tuple(masks)

    def finished_region(self, name: str, region: dict[str, Any]) -> BadRegion:
        self.line = region["line"]
        given = {key for key in region if key.startswith(("min_", "max_"))}
        axes = ("fs", "ss") if given & {"min_fs", "max_fs", "min_ss", "max_ss"} else ("x", "y")
        expected = {f"{end}_{axis}" for end in ("min", "max") for axis in axes}
        if given != expected:
            self.refuse(
                f"bad region {name}: expected min and max of fs and ss, or of x and y; found "
                f"{', '.join(sorted(given)) or 'none'}"
            )
        panel = region.get("panel")
        if panel is not None and panel not in self.panels:
            self.refuse(f"bad region {name}: expected the name of a panel, found {panel!r}")
        first, last = ((region[f"{end}_{axes[0]}"], region[f"{end}_{axes[1]}"]) for end in ("min", "max"))
        if first[0] > last[0] or first[1] > last[1]:
            self.refuse(f"bad region {name}: expected min <= max, found {first} and {last}")
        return BadRegion(name, axes[0] == "fs", first, last, panel)

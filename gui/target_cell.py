"""The cell that the indexer looks for, out of the settings in force, and another one in the same form."""

import tomllib
from dataclasses import dataclass

from braggwatch.processing.stages.index import is_cell_file
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.picture_messages import SettingsInForce
from braggwatch.streamer.wording import plain


@dataclass(frozen=True)
class TargetCell:
    """``cell`` of the table ``[index]``."""

    text: str
    """As it stands there; empty where it does not."""
    cell: UnitCell | None
    problem: str = ""
    """Why there is no cell, as a sentence."""

    @classmethod
    def of(cls, settings: SettingsInForce | None) -> "TargetCell":
        """Read it; never raises, and opens no file: whoever names one may be on another machine."""
        if settings is None:
            return cls("", None, "The processor has not said its settings yet.")
        try:
            table = tomllib.loads(settings.text).get("index")
            text = table.get("cell") if isinstance(table, dict) else None
        except (tomllib.TOMLDecodeError, RecursionError):
            return cls("", None, "The settings that the processor sent are no TOML.")
        if not isinstance(text, str):
            return cls("", None, "The settings in force name no target cell.")
        if is_cell_file(text):
            return cls(text, None, f"The target cell is in a file on the processor's machine: {plain(text, 200)}.")
        try:
            return cls(text, UnitCell.from_string(text))
        except ValueError as error:
            return cls(text, None, f"The target cell cannot be read here: {error}.")

    def in_this_form(self, cell: UnitCell) -> str:
        """Return another cell as it would stand in the settings, with the symmetry word that stands there now."""
        words = self.text.replace(",", " ").split()
        symmetry = " ".join(words[6:])
        lengths = " ".join(f"{length:.2f}" for length in cell.parameters[:3])
        angles = " ".join(f"{angle:.2f}".rstrip("0").rstrip(".") for angle in cell.parameters[3:])
        return f"{lengths} {angles} {symmetry}".rstrip()

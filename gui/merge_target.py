"""What the data set is to reach, out of the settings in force, and another target as a change of them. Free of Qt."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from braggwatch.gui.numbers import angstrom
from braggwatch.gui.tuned_fields import Value
from braggwatch.streamer.merge_settings import MergeSettings
from braggwatch.streamer.picture_messages import SettingsInForce
from braggwatch.streamer.wording import plain

TABLE = "merge"
Values = Mapping[tuple[str, str], Value]
"""By table and key, as `SettingsChanges` asks for them."""
NO_MATTER = "does not matter"


@dataclass(frozen=True)
class MergeTarget:
    """The target as a person thinks of it; None where something does not matter."""

    d_min: float | None
    """Angstrom; None: the resolution of the merge."""
    cc_half: float | None
    completeness: float | None
    """0 to 1."""
    multiplicity: float | None

    @classmethod
    def of(cls, settings: MergeSettings) -> "MergeTarget":
        """Read it from the table ``[merge]``, in which 0 stands for what does not matter."""
        return cls(
            settings.target_d_min, settings.target_cc_half or None, settings.target_completeness or None,
            settings.target_multiplicity or None,
        )  # fmt: skip

    def as_values(self) -> dict[tuple[str, str], Value]:
        """Return it as it stands in the settings."""
        return {
            (TABLE, "target_d_min"): self.d_min,
            (TABLE, "target_cc_half"): self.cc_half or 0.0,
            (TABLE, "target_completeness"): self.completeness or 0.0,
            (TABLE, "target_multiplicity"): self.multiplicity or 0.0,
        }

    def with_values(self, values: Values) -> "MergeTarget":
        """Return it with some values of the settings taken over."""
        numbers = [None if value is None else float(value) for value in {**self.as_values(), **values}.values()]
        return MergeTarget(numbers[0], *(number or None for number in numbers[1:]))

    def in_words(self) -> dict[tuple[str, str], str]:
        """Return each part with its name, such as ``CC½ 0.50``."""
        said = (
            ("resolution", angstrom(self.d_min) if self.d_min is not None else "that of the merge"),
            ("CC½", f"{self.cc_half:g}" if self.cc_half is not None else NO_MATTER),
            ("completeness", f"{100 * self.completeness:g} %" if self.completeness is not None else NO_MATTER),
            ("multiplicity", f"{self.multiplicity:g}" if self.multiplicity is not None else NO_MATTER),
        )
        return {name: f"{word} {text}" for name, (word, text) in zip(self.as_values(), said, strict=True)}


def settings_of_merge(settings: SettingsInForce | None) -> MergeSettings:
    """Return the table ``[merge]`` in force; raises ValueError with a sentence where there is none that makes sense."""
    if settings is None:
        raise ValueError("The processor has not said its settings yet.")
    try:
        table = tomllib.loads(settings.text).get(TABLE, {})
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ValueError("The settings that the processor sent are no TOML.") from None
    try:
        return MergeSettings.model_validate(table)
    except ValidationError as error:
        raise ValueError(f"The settings of the merge make no sense here: {_first(error)}.") from None


def difference(old: MergeTarget, new: MergeTarget) -> dict[tuple[str, str], Value]:
    """Return what is to be changed in the settings."""
    before = old.as_values()
    return {name: value for name, value in new.as_values().items() if value != before[name]}


def said_difference(old: MergeTarget, new: MergeTarget) -> str:
    """Say it, such as ``CC½ 0.5 → 0.6``; empty where nothing differs."""
    before, after = old.in_words(), new.in_words()
    return " · ".join(f"{before[name]} → {after[name].split(' ', 1)[1]}" for name in difference(old, new))


def problem_with(in_force: MergeSettings, new: MergeTarget) -> str:
    """Say why a target would be refused; empty where it would not."""
    changes = {key: value for (_, key), value in new.as_values().items()}
    try:
        MergeSettings.model_validate({**in_force.model_dump(), **changes})
    except ValidationError as error:
        return f"{_first(error)}."
    return ""


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    where = ".".join(str(part) for part in found["loc"])
    return plain(f"{where}: {found['msg']}" if where else found["msg"].removeprefix("Value error, "), 200)

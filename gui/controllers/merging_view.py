"""What the merging controller and its panel say to each other."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.controllers.merging_wording import Words
from braggwatch.gui.merge_target import MergeTarget
from braggwatch.gui.plausible_merge import Moments

F64 = NDArray[np.float64]
ShellQuantity = Literal["cc_half", "completeness", "snr", "r_split"]


@dataclass(frozen=True)
class Fact:
    """One line about the merge."""

    name: str
    value: str
    target: str
    """Empty where none is set."""
    meaning: str
    tone: str = "text"
    """Name of a field of `Theme`."""
    short: str = ""
    """The value where there is little room; empty: the same."""


@dataclass(frozen=True, eq=False)
class Progress:
    """How the merge came to where it is, and where it goes."""

    moments: Moments
    target_cc_half: float | None
    target_completeness: float | None
    outer: str
    """Which shell the target's CC1/2 is of, such as ``2.07–2.00 Å``; empty where there is no target."""
    expected: tuple[float, float, float] | None
    """When the target is likely reached, s since 1970: after which 10 %, 50 % and 90 % of futures have."""


@dataclass(frozen=True)
class ShellLine:
    """One row of the table."""

    texts: tuple[str, ...]
    """As `SHELL_HEADS`."""
    meaning: str


@dataclass(frozen=True)
class GroupLine:
    """One row of the table of groups."""

    name: str
    """Of the group; empty: all crystals."""
    texts: tuple[str, ...]
    """As `GROUP_HEADS`."""
    tone: str
    """The group's colour: name of a field of `Theme`; empty for all."""
    forecast_tone: str
    meaning: str
    chosen: bool
    """Whether the numbers, plots and tables by shell are those of this one."""
    can_be_chosen: bool


GROUP_HEADS = ("group", "crystals", "% compl.", "CC½", "to (Å)", "target")
SHELL_HEADS = ("d (Å)", "unique", "% compl.", "mult.", "I/σ", "CC½", "CC*", "% R_split")


@dataclass(frozen=True, eq=False)
class ShellPlots:
    """What is drawn against resolution; arrays ``(n,)``, NaN where unknown."""

    inverse_d2: F64
    """Middles of the shells, 1/Angstrom²."""
    edges: F64
    """``(n, 2)``: from and to, 1/Angstrom²."""
    values: dict[ShellQuantity, F64]
    """Completeness and R_split in percent."""
    errors: F64
    """Standard errors of CC1/2."""
    targets: dict[ShellQuantity, float]
    target_d: float | None
    """Angstrom."""
    tips: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MergingShown:
    """All of it."""

    verdict: Words
    quality: tuple[str, ...]
    """The longest text first, as is `target`."""
    target: tuple[str, ...]
    facts: tuple[Fact, ...]
    progress: Progress
    shells: ShellPlots
    table: tuple[ShellLine, ...]
    groups: tuple[GroupLine, ...] = ()
    """All crystals first; empty where shots are not grouped."""


@dataclass(frozen=True)
class TargetShown:
    """The target that is being edited."""

    target: MergeTarget
    limits: tuple[float, float]
    """Angstrom: finest and coarsest resolution that can be aimed at."""
    said: str
    """What would change; empty: nothing."""
    problem: str
    """Why it cannot be put in force; empty: it can."""
    undo: str
    """What would be undone; empty: nothing."""
    pending: bool


class MergingView(Protocol):
    """What the controller asks of its panel."""

    shell_clicked: Any
    """Place of the shell (int), from low resolution."""
    moment_clicked: Any
    """Place of the moment (int), from the oldest."""
    group_clicked: Any
    """Name of the group (str), empty for all crystals."""
    target_wanted: Any
    target_edited: Any
    """With a `MergeTarget`."""
    confirmed: Any
    cancelled: Any
    undo_wanted: Any

    def show_merging(self, shown: MergingShown) -> None:
        """Show it."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""

    def show_target(self, shown: TargetShown | None) -> None:
        """Let the user edit a target; None: not any more."""

    def set_can_change(self, why_not: str) -> None:
        """Enable the button that begins to edit, where there is no reason against it."""

    def show_line(self, line: str) -> None:
        """Say how a change ended."""

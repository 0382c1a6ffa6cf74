"""What trial settings would change, shot by shot and altogether."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.feed_messages import Rate
from braggwatch.streamer.picture_messages import ImageKind
from braggwatch.streamer.statistics import wilson


@dataclass(frozen=True)
class Outcome:
    """What became of one shot."""

    n_spots: int
    is_hit: bool
    n_lattices: int


@dataclass(frozen=True)
class ShotEffect:
    """One shot, by the settings in force and by those that are tried out."""

    key: ShotKey
    kind: ImageKind
    """What the processor took it for when it came."""
    before: Outcome
    after: Outcome


@dataclass(frozen=True)
class Tally:
    """Many shots by one set of settings."""

    hits: Rate
    indexed: Rate
    """Of the hits."""
    spots: float | None
    """Median number of spots in a hit; None without hits."""

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> "Tally":
        """Count."""
        every = list(outcomes)
        hits = [outcome for outcome in every if outcome.is_hit]
        indexed = sum(outcome.n_lattices > 0 for outcome in hits)
        spots = float(np.median([outcome.n_spots for outcome in hits])) if hits else None
        return cls(wilson(len(hits), len(every)), wilson(indexed, len(hits)), spots)


@dataclass(frozen=True, eq=False)
class ShownEffect:
    """The shot that is shown, with the places of its spots."""

    effect: ShotEffect
    before: NDArray[np.float32]
    """``(n, 2)``: fs and ss in pixels of the image array."""
    after: NDArray[np.float32]
    above: NDArray[np.float32] | None
    """``(n, 2)``: fs and ss of the pixels that are high enough to be part of a spot; None: not asked for."""


@dataclass(frozen=True, eq=False)
class Effect:
    """How far a trial has come, and with what result."""

    shown: ShownEffect | None = None
    shots: tuple[ShotEffect, ...] = ()
    """Those that are done, the newest first."""
    of: int = 0
    """How many were asked for."""
    finished: bool = False
    indexes: bool = False
    """Whether shots were indexed too."""
    problem: str = ""
    """Why nothing was tried, as a sentence."""
    note: str = ""
    """What was left out and why, as a sentence."""
    before: Tally = field(init=False)
    after: Tally = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "before", Tally.of(shot.before for shot in self.shots))
        object.__setattr__(self, "after", Tally.of(shot.after for shot in self.shots))

    def changed(self) -> list[tuple[ShotKey, str]]:
        """Return the shots that are judged otherwise, each with what becomes of it; lost ones first."""
        said = [(shot, _change(shot)) for shot in self.shots]
        order = ("no hit any more", "not indexed any more", "now a hit", "now a hit and indexed", "now indexed")
        changed = [(order.index(text), shot.key, text) for shot, text in said if text]
        return [(key, text) for _, key, text in sorted(changed, key=lambda entry: entry[0])]

    def expected_hit_rates(self, seen: dict[ImageKind, int]) -> tuple[float, float] | None:
        """Return the part of all frames that would be hits, before and after.

        `seen` is how many frames of each kind the processor has seen: hits are shown more often than blanks are, so
        that each kind must be given its due. None where a kind that was seen is not among the shots.
        """
        total = sum(seen.values())
        if not total or not self.finished:
            return None
        rates = np.zeros(2)
        for kind, n in seen.items():
            of_kind = [shot for shot in self.shots if shot.kind == kind]
            if n and not of_kind:
                return None
            if n:
                hits = [(shot.before.is_hit, shot.after.is_hit) for shot in of_kind]
                rates += n / total * np.mean(hits, axis=0)
        return float(rates[0]), float(rates[1])


def _change(shot: ShotEffect) -> str:
    before, after = shot.before, shot.after
    was, is_now = before.n_lattices > 0, after.n_lattices > 0
    if before.is_hit != after.is_hit:
        if before.is_hit:
            return "no hit any more"
        return "now a hit and indexed" if is_now else "now a hit"
    if was == is_now:
        return ""
    return "now indexed" if is_now else "not indexed any more"

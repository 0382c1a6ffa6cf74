"""The last hits as small pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol

from braggwatch.gui.known_groups import KnownGroups, known_groups, label
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.numbers import angstrom, count
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.thumbnails import Thumbnail, ThumbnailMaker
from braggwatch.streamer.picture_messages import ShotImage
from braggwatch.streamer.wording import clock

AT_MOST = 100
"""How many shots the strip shows."""

Meaning = Literal["hit", "indexed", "multi_lattice"]
"""A colour of the theme."""


@dataclass(frozen=True, eq=False)
class Film:
    """One shot on the strip."""

    key: ShotKey
    meaning: Meaning
    word: str
    """The same as a word."""
    lines: tuple[str, str]
    """What stands below."""
    about: str
    """All of it in sentences, with units."""
    picture: Thumbnail | None
    """None as long as there is none."""
    shown: bool
    """Whether it is the shot that the window shows."""
    group_tone: str = ""
    """Name of the field of `Theme` that is its group's colour; empty where shots are not grouped."""


class FilmStripView(Protocol):
    """What the controller needs of `panels.film_strip.FilmStripPanel`."""

    film_chosen: Any

    def set_films(self, films: Sequence[Film]) -> None:
        """Show these shots, oldest first."""

    def set_empty(self, text: str) -> None:
        """Say why there is nothing to see."""


class FilmStripController:
    """Keeps the strip up to date; the pictures are made in a thread of their own."""

    def __init__(self, monitor: Monitor, view: FilmStripView) -> None:
        self.stale = True
        self._monitor, self._view = monitor, view
        self._pictures: dict[ShotKey, Thumbnail | None] = {}
        self._maker = ThumbnailMaker(self._note)
        self._keys: tuple[ShotKey, ...] = ()
        for signal in (monitor.remembered_changed, monitor.shot_changed, monitor.selection_changed,
                       monitor.geometry_changed, monitor.settings_changed, monitor.link_changed):  # fmt: skip
            signal.connect(self._note)
        view.film_chosen.connect(self._choose)

    def _note(self) -> None:
        self.stale = True

    def refresh(self) -> None:
        """Show the last hits, with the pictures that there are, and ask for the others."""
        self.stale = False
        shots = self._last_hits()
        self._pictures |= self._maker.take()
        self._pictures = {key: self._pictures[key] for key in shots if key in self._pictures}
        wanted = [shot for key, shot in shots.items() if key not in self._pictures and shot.payload]
        self._maker.want((shot, on) for shot in wanted if (on := self._monitor.geometries.of_shot(shot)) is not None)
        shown = self._monitor.in_view
        known = known_groups(self._monitor)
        self._keys = tuple(shots)
        self._view.set_films(
            [
                _film(key, shot, self._pictures.get(key), key == shown, self._monitor.geometries.borrowed(shot), known)
                for key, shot in shots.items()
            ]
        )
        self._view.set_empty("" if shots else self._why_empty())

    def _last_hits(self) -> dict[ShotKey, ShotImage]:
        hits = (shot for shot in reversed(self._monitor.remembered) if shot.kind != "blank")
        newest_first = [(ShotKey.of(shot.result), shot) for shot in islice(hits, AT_MOST)]
        return dict(reversed(newest_first))

    def _why_empty(self) -> str:
        n = len(self._monitor.remembered)
        if n:
            return f"No hit among the last {count(n)} shots that came with their pixels."
        if self._monitor.status is None:
            return "No shots: nothing was heard from the processor yet."
        return "No hit yet. The last hits appear here, the newest on the right."

    def _choose(self, key: ShotKey) -> None:
        if key in self._keys:
            self._monitor.select(self._keys, self._keys.index(key))


def _film(
    key: ShotKey, shot: ShotImage, picture: Thumbnail | None, shown: bool, geometry: str, known: KnownGroups
) -> Film:
    result = shot.result
    n = len(result.crystals)
    meaning: Meaning = "multi_lattice" if n > 1 else "indexed" if n == 1 else "hit"
    word = f"{n} lattices" if n > 1 else meaning
    explained = sum(crystal.n_indexed for crystal in result.crystals)
    about = [
        f"Frame {count(result.number)}, {clock(shot.time)}: {word}",
        f"{count(result.n_peaks)} spots found" + (f", {count(explained)} of them indexed" if n else ""),
        f"95 % of the spots lie within {angstrom(result.resolution)}",
    ]
    if result.group:
        about.append(f"Group {label(result.group)}")
    if geometry:
        about.append(f"Drawn with the {geometry}; that of its own run is not known here")
    which = " · ".join(filter(None, (count(result.number), label(result.group))))
    lines = which, f"{count(result.n_peaks)} spots · {angstrom(result.resolution)}"
    tone = known.tone(result.group) if result.group else ""
    return Film(key, meaning, word, lines, "\n".join(about), picture, shown, tone)

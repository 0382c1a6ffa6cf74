"""Which map of the pixels is shown instead of the shot, and the maps that the processor has sent. Free of Qt."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from psygnal import Signal

from braggwatch.gui.monitor import Monitor
from braggwatch.processing.pixel_maps import MapKind
from braggwatch.streamer.archive_messages import Answer, Refusal
from braggwatch.streamer.map_messages import Map, MapWanted

LayerKind = Literal["image", "dark", "noise", "gain", "mask"]
LAYERS: tuple[LayerKind, ...] = ("image", "dark", "noise", "gain", "mask")
UNITS: dict[LayerKind, str] = {"image": "ADU", "dark": "ADU", "noise": "ADU", "gain": "factor", "mask": ""}
"""Where the processor names none."""
MAX_MAPS = 4
"""That are kept packed; one of 16 Mpx takes some 50 MB."""


@dataclass(frozen=True)
class Layer:
    """What the image panel shows: the shot, or a map of the pixels instead of it."""

    kind: LayerKind = "image"
    unit: str = UNITS["image"]
    stage: int = 0
    n_stages: int = 1
    """Of how many gain stages there is such a map."""
    masked_by: tuple[int, ...] = ()
    """Of a mask, how many pixels each of `mask_sources.SOURCES` masks."""


class ImageLayers:
    """Asks the archive for the map of the chosen layer, once for each run and state of the settings."""

    changed = Signal()
    """Another layer is wanted, or a map has come."""

    def __init__(self, monitor: Monitor) -> None:
        self.kind: LayerKind = "image"
        self.stage = 0
        self._monitor = monitor
        self._session: tuple[object, ...] = ()
        """Whose maps these are: those of another processor, or by other settings, are other ones."""
        self._maps: dict[MapWanted, Map] = {}
        self._asked: set[MapWanted] = set()
        self._refused: set[MapWanted] = set()

    def choose(self, kind: LayerKind) -> None:
        """Show this layer from now on; what was refused before is asked for again."""
        self.kind = kind
        for wanted in self._refused:
            self._maps.pop(wanted, None)
        self._refused.clear()
        self.changed.emit()

    def choose_stage(self, stage: int) -> None:
        """Show the maps of one of JUNGFRAU's gain stages from now on."""
        self.stage = stage
        self.changed.emit()

    def find(self, series: str) -> Map | None:
        """Return the chosen layer's map for a run, without its stages where it has none; None while it is awaited."""
        if self.kind == "image":
            return None
        self._forget_others()
        staged = self._wanted(series, self.kind, self.stage)
        if staged not in self._maps:
            self._ask(staged)
            return None
        return self._maps[staged]

    def _wanted(self, series: str, kind: MapKind, stage: int) -> MapWanted:
        return MapWanted(series, kind, stage if kind in ("dark", "gain") else 0)

    def _forget_others(self) -> None:
        settings = self._monitor.settings
        session = (self._monitor.hits, None if settings is None else settings.version)
        if len(self._session) != 2 or session[0] is not self._session[0] or session[1] != self._session[1]:
            self._session = session
            self._maps.clear()
            self._asked.clear()
            self._refused.clear()

    def _ask(self, wanted: MapWanted) -> None:
        if wanted not in self._asked:
            self._asked.add(wanted)
            self._monitor.outbox.ask(wanted, partial(self._take, self._session, wanted))

    def _take(self, session: tuple[object, ...], wanted: MapWanted, answer: Answer) -> None:
        if session is not self._session:
            return
        self._asked.discard(wanted)
        if isinstance(answer, Map) and (answer.series, answer.kind) == (wanted.series, wanted.kind):
            found = answer
        else:
            problem = answer.problem if isinstance(answer, Refusal) else "the archive answered something else"
            found = Map(series=wanted.series, kind=wanted.kind, stage=wanted.stage, problem=problem)
        if found.problem:
            self._refused.add(wanted)
        self._maps[wanted] = found
        while len(self._maps) > MAX_MAPS:
            del self._maps[next(iter(self._maps))]
        self.changed.emit()

"""Everything that the window knows, and which shot it shows. Free of Qt; all of it belongs to one thread."""

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from psygnal import Signal

from braggwatch.gui.geometries import Geometries
from braggwatch.gui.hit_columns import HitColumns
from braggwatch.gui.outbox import Outbox
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.shot_memory import ShotMemory
from braggwatch.processing.detector import Detector
from braggwatch.streamer.archive_messages import MAX_TAGGED, Answer, Hits, HitsWanted, Refusal, Shot, ShotWanted
from braggwatch.streamer.feed_messages import Finished, History, LastShots, Message, Status
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.picture_messages import (
    Geometry,
    ImageKind,
    Peakogram,
    Powder,
    PowderKind,
    SettingsInForce,
    ShotImage,
)

Follow = Literal["frame", "hit", "indexed"]
"""What the image shows as long as nobody has chosen a shot: the newest of all, the newest hit, the newest indexed."""

SELDOM = 1.5
"""While more of them are to come, it is said that there are more hits whenever they are so many times as many."""
_FOLLOWED: dict[Follow, tuple[ImageKind, ...]] = {
    "frame": ("blank", "hit", "indexed"),
    "hit": ("hit", "indexed"),
    "indexed": ("indexed",),
}


class Monitor:
    """What the processor has said, and what the user has chosen; tells whoever listens what has changed."""

    status_changed = Signal()
    history_changed = Signal()
    merging_changed = Signal()
    settings_changed = Signal()
    geometry_changed = Signal()
    peakogram_changed = Signal()
    powder_changed = Signal(str)
    """With the powder's kind."""
    hits_changed = Signal()
    """There are more, or all of them are others."""
    tags_changed = Signal(object)
    """With the rows of `hits` whose tags are others."""
    shot_changed = Signal()
    """Another shot is shown, or its pixels have come."""
    selection_changed = Signal()
    last_shots_changed = Signal()
    remembered_changed = Signal(object)
    """With the `ShotImage` that is new; None where all are forgotten."""
    link_changed = Signal()
    """The processor is heard, or is gone."""
    said = Signal(str)
    """A line that a person should see: what went wrong."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.follow: Follow = "indexed"
        self.link: str = "never heard"
        """``heard``, ``record`` where it is a record that is heard, ``gone`` or ``never heard``."""
        self._forget()

    def _forget(self) -> None:
        self.status: Status | None = None
        self.history: History | None = None
        self.last_shots: LastShots | None = None
        self.finished: Finished | None = None
        self.merging: Merging | None = None
        self.settings: SettingsInForce | None = None
        self.geometry: Geometry | None = None
        self.detector: Detector | None = None
        self.peakogram: Peakogram | None = None
        self.powders: dict[PowderKind, Powder] = {}
        self.hits = HitColumns()
        self.shot: ShotImage | None = None
        """What is shown; without payload where its pixels are not to be had."""
        self.shot_problem = ""
        """Why the chosen shot or its pixels are not to be had, as a sentence."""
        self.selection: tuple[ShotKey, ...] = ()
        """The shots that the user has chosen; empty while the view is live."""
        self.position = 0
        """Which of `selection` is shown."""
        self.geometries = Geometries()
        """Those of earlier runs too."""
        self.remembered = ShotMemory()
        """The last shots that came with their pixels, blanks among them, oldest first."""
        self._newest: dict[ImageKind, ShotImage] = {}
        self._asking_for_hits = False
        self._n_hits_told = 0
        self._state_of_tags = ""

    # -- what the processor says --------------------------------------------------------------------------------

    def begin_anew(self) -> None:
        """Forget everything: another processor answers at the address, or the record is another one."""
        self._forget()
        for signal in (self.status_changed, self.history_changed, self.merging_changed, self.settings_changed,
                       self.geometry_changed, self.peakogram_changed, self.hits_changed, self.shot_changed,
                       self.selection_changed):  # fmt: skip
            signal.emit()
        self.remembered_changed.emit(None)
        for kind in get_args(PowderKind):
            self.powder_changed.emit(kind)

    def set_link(self, link: str) -> None:
        """Note whether the processor is heard."""
        if link != self.link:
            self.link = link
            self.link_changed.emit()

    def take(self, messages: Iterable[Message]) -> None:
        """Take what the feed has said, oldest first."""
        for message in messages:
            match message:
                case Status():
                    self.status = message
                    self.status_changed.emit()
                case History():
                    self.history = message
                    self.history_changed.emit()
                case LastShots():
                    self.last_shots = message
                    self.last_shots_changed.emit()
                case Finished():
                    self.finished = message
                    self.status_changed.emit()
                case Merging():
                    self.merging = message
                    self.merging_changed.emit()
                case SettingsInForce():
                    self.settings = message
                    self.settings_changed.emit()
                case Geometry():
                    self._take_geometry(message)
                case ShotImage():
                    self._take_image(message)
                case Peakogram():
                    self.peakogram = message
                    self.peakogram_changed.emit()
                case Powder():
                    self.powders[message.kind] = message
                    self.powder_changed.emit(message.kind)

    def _take_geometry(self, message: Geometry) -> None:
        try:
            detector = self.geometries.add(message)
        except ValueError as error:
            self.said.emit(f"the geometry that the processor sent makes no sense: {error}")
            return
        self.geometry, self.detector = message, detector
        self.geometry_changed.emit()

    def _take_image(self, image: ShotImage) -> None:
        if self.remembered.add(image):
            self.remembered_changed.emit(image)
        self._newest[image.kind] = image
        if self.live and image.kind in _FOLLOWED[self.follow]:
            self._show(image)

    def remember_earlier(self, image: ShotImage) -> None:
        """Remember a shot of before, if there is room for it; what is shown stays."""
        if self.remembered.insert(image):
            self.remembered_changed.emit(image)

    def ask_for_hits(self) -> None:
        """Ask for the hits that are new, and go on asking until there are no more; a call meanwhile does nothing."""
        if not self._asking_for_hits:
            self._asking_for_hits = True
            hits = self.hits
            wanted = HitsWanted(hits.last, tags=self._state_of_tags)
            self.outbox.ask(wanted, lambda answer: self._take_hits(hits, answer))

    def _take_hits(self, hits: HitColumns, answer: Answer) -> None:
        if hits is not self.hits:
            return  # asked for before everything was forgotten
        self._asking_for_hits = False
        if not isinstance(answer, Hits):
            return
        hits.extend(answer.rows)
        # Of a long record page after page comes, and there is no need to draw all plots anew for each of them.
        if len(hits) > (SELDOM * self._n_hits_told if answer.more else self._n_hits_told):
            self._n_hits_told = len(hits)
            self.hits_changed.emit()
        self._state_of_tags = answer.tags
        if answer.tagged is not None:
            tagged = {ShotKey(shot.series, shot.number): shot.tags for shot in answer.tagged}
            self._tell_tags(hits.retag_all(tagged, complete=len(tagged) < MAX_TAGGED))
        if answer.more:
            self.ask_for_hits()

    def retag(self, key: ShotKey, tags: tuple[str, ...]) -> None:
        """Note what tags a shot has now."""
        row = self.hits.retag(key, tags)
        self._tell_tags([] if row is None else [row])

    def _tell_tags(self, rows: list[int]) -> None:
        if rows:
            self.tags_changed.emit(rows)

    # -- what the user chooses ----------------------------------------------------------------------------------

    @property
    def live(self) -> bool:
        """Whether the newest shot is shown, rather than a chosen one."""
        return not self.selection

    @property
    def selected(self) -> ShotKey | None:
        """The chosen shot that is shown; None while the view is live."""
        return self.selection[self.position] if self.selection else None

    @property
    def in_view(self) -> ShotKey | None:
        """The shot that the window is about: the chosen one, whose pixels may not have come yet, or the newest."""
        if self.selection:
            return self.selected
        return None if self.shot is None else ShotKey.of(self.shot.result)

    def go_live(self, follow: Follow | None = None) -> None:
        """Show the newest shot from now on."""
        self.follow = follow or self.follow
        self.selection, self.position = (), 0
        self.selection_changed.emit()
        candidates = [image for kind in _FOLLOWED[self.follow] if (image := self._newest.get(kind))]
        if candidates:
            self._show(max(candidates, key=lambda image: image.time))

    def pause(self) -> None:
        """Keep the shot that is shown."""
        if self.live and self.shot is not None:
            self.selection = (ShotKey.of(self.shot.result),)
            self.selection_changed.emit()

    def select(self, keys: Sequence[ShotKey], position: int = 0) -> None:
        """Show a shot, and step through all of `keys` from now on; without keys nothing happens."""
        if keys:
            self.selection = tuple(keys)
            self._move_to(position)

    def step(self, by: int) -> None:
        """Go on (or back) by so many shots: of the selection, or of all hits where only one shot is selected."""
        self.pause()
        if len(self.selection) > 1:
            self._move_to(min(max(self.position + by, 0), len(self.selection) - 1))
            return
        n = len(self.hits)
        if n and self.selected is not None:
            here = self.hits.find(self.selected)
            row = n - 1 if here is None else min(max(here + by, 0), n - 1)
            self.select([self.hits.key(row)])

    def jump(self, number: int) -> None:
        """Show the frame of a number, of the run whose shot is shown."""
        series = self.shot.result.series if self.shot is not None else self.geometry.series if self.geometry else None
        if series is not None:
            self.select([ShotKey(series, number)])

    def _move_to(self, position: int) -> None:
        self.position = position
        key = self.selection[position]
        self.selection_changed.emit()
        kept = self.remembered.find(key)
        if kept is not None and kept.payload:
            self._show(kept)
        else:
            self.outbox.ask(ShotWanted(*key), lambda answer: self._take_shot(key, answer))

    def _take_shot(self, key: ShotKey, answer: Answer) -> None:
        if key != self.selected:
            return  # the user has gone on
        if isinstance(answer, Shot):
            self._show(answer.image, answer.problem)
        elif isinstance(answer, Refusal):
            self._show(None, answer.problem)

    def _show(self, image: ShotImage | None, problem: str = "") -> None:
        self.shot, self.shot_problem = image, problem
        self.shot_changed.emit()

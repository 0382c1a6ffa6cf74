"""Keeps the image panel on the shot or map that is shown: pixels are unpacked in a thread, the newest shot wins."""

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from psygnal import Signal

from braggwatch.gui import image_wording as wording
from braggwatch.gui.controllers.image_map import ImageMap
from braggwatch.gui.image_assembly import Assembly
from braggwatch.gui.image_layers import Layer, LayerKind
from braggwatch.gui.image_picture import Picture
from braggwatch.gui.image_preparation import Preparation, PreparedShot, map_pixels
from braggwatch.gui.image_rings import Ring
from braggwatch.gui.image_spots import Points, Spots, placed
from braggwatch.gui.monitor import Follow, Monitor
from braggwatch.streamer.picture_messages import ShotImage


class ImageView(Protocol):
    """What the controller asks of the panel."""

    follow_wanted: Any
    """With ``frame``, ``hit`` or ``indexed``."""
    pause_wanted: Any
    """With True to pause, False to go live."""
    step_wanted: Any
    """With by how many shots."""
    jump_wanted: Any
    """With a frame number."""
    pointed: Any
    """With the picture coordinates under the cursor, NaN where there is none."""
    predicted_shown: Any
    """With whether predicted reflections are to be seen."""
    layer_chosen: Any
    """With the name of a layer."""
    stage_chosen: Any
    """With the number of a gain stage."""
    trouble: Any
    """With a sentence."""

    def set_layer(self, layer: Layer) -> None:
        """Say what the next picture shows."""

    def set_picture(self, picture: Picture | None, shape: tuple[int, int]) -> None:
        """Show a picture, or an empty place of a picture's size."""

    def set_spots(self, spots: Spots) -> None:
        """Show what was found."""

    def set_pixels_above(self, points: Points) -> None:
        """Mark pixels, as ``(n, 2)`` picture coordinates."""

    def set_trial_spots(self, points: Points) -> None:
        """Show what would be found with the settings that are tried."""

    def set_geometry(self, rings: tuple[Ring, ...], centre: tuple[float, float] | None) -> None:
        """Show rings of equal resolution and the beam centre."""

    def set_caption(self, parts: tuple[str, ...], *, old: bool) -> None:
        """Say which shot it is, the most important part first."""

    def set_sentence(self, text: str) -> None:
        """Say why there is nothing to see; empty for nothing to say."""

    def set_state(self, live: bool, follow: Follow, number: int | None) -> None:
        """Say whether the view is live, what it follows, and the number of the frame shown."""

    def set_readout(self, text: str) -> None:
        """Say what is under the cursor."""


class ImageController:
    """Keeps the panel on `monitor.shot`.

    Unpacking, assembling and binning a shot run in a thread of their own, one shot at a time: whatever is shown when
    that is done comes next, and what has passed meanwhile is left out. A map of the pixels that is shown instead stays
    until another layer, run or state of the settings makes it another one.
    """

    picture_changed = Signal()
    """Another picture is shown."""

    def __init__(self, monitor: Monitor, view: ImageView) -> None:
        self.stale = True
        self._monitor, self._view = monitor, view
        self._thread = ThreadPoolExecutor(1, "image")
        self._preparation = Preparation()
        self._job: Future[PreparedShot] | None = None
        self._asked: tuple[object, ...] = ()
        self._shown: PreparedShot | None = None
        self._map = ImageMap(monitor, self._thread, self._preparation, self._note)
        self._predict = True
        self._at = (math.nan, math.nan)
        self._trial: tuple[ArrayLike, ArrayLike] | None = None
        self._above: NDArray[np.float32] | None = None
        for signal in (
            monitor.shot_changed, monitor.selection_changed, monitor.geometry_changed, monitor.status_changed,
            monitor.settings_changed, monitor.hits_changed,
        ):  # fmt: skip
            signal.connect(self._note)
        view.layer_chosen.connect(self._choose_layer)
        view.stage_chosen.connect(self._choose_stage)
        view.follow_wanted.connect(self._follow)
        view.pause_wanted.connect(self._pause)
        view.step_wanted.connect(self._step)
        view.jump_wanted.connect(self._jump)
        view.pointed.connect(self._point)
        view.predicted_shown.connect(self._show_predicted)
        view.trouble.connect(self._say)

    @property
    def preparing(self) -> bool:
        """Whether a shot or a map is being unpacked; `stale` tells when it is done."""
        return self._job is not None or self._map.preparing

    @property
    def assembly(self) -> Assembly | None:
        """Where the pixels lie in the picture that is shown; None where there is none."""
        shown = self._map.prepared if self._map.instead else self._shown
        return None if shown is None or shown.picture is None else shown.assembly

    def run(self, job: Callable[[], object]) -> None:
        """Have something done in the thread that unpacks."""
        self._thread.submit(job)

    def beyond(self, limit: float, *, below: bool) -> Future[NDArray[np.bool_]] | None:
        """Have the pixels found that are below or above a value in what is shown; None where no values are shown."""
        beyond, submit = self._preparation.beyond, self._thread.submit
        if self._map.instead:
            layer = self._map.prepared
            if layer is None or layer.picture is None or layer.found.kind == "mask":
                return None
            detector = layer.assembly.detector.without_flags()
            return submit(beyond, map_pixels(layer.found), detector, limit, below=below)
        shown = self._shown
        if shown is None or shown.picture is None:
            return None
        return submit(beyond, shown.shot, shown.assembly.detector, limit, below=below)

    def refresh(self) -> None:
        """Show what has been prepared, and have the shot prepared that is wanted now."""
        self.stale = False
        monitor = self._monitor
        if self._job is not None and self._job.done():
            job, self._job = self._job, None
            self._show(job.result())
        shot = monitor.shot
        if shot is None:
            self._show_nothing()
        elif self._job is None:
            self._prepare(shot)
        if self._map.refresh():
            self._show_map()
        self._say_which()
        number = None if self._shown is None else self._shown.shot.result.number
        self._view.set_state(monitor.live, monitor.follow, number)

    def set_trial_peaks(self, fs: ArrayLike, ss: ArrayLike) -> None:
        """Show spots that settings under trial would find in the shown shot; image coordinates ``(n,)`` in pixels."""
        self._trial = fs, ss
        self._show_trial()

    def clear_trial_peaks(self) -> None:
        """Show no such spots any more."""
        self._trial = None
        self._show_trial()

    def set_pixels_above(self, places: NDArray[np.float32] | None) -> None:
        """Mark pixels of the shown shot, ``(n, 2)`` fs and ss, as high enough to be part of a spot; None: none."""
        self._above = places
        self._show_trial()

    def _note(self) -> None:
        self.stale = True

    def _note_done(self, job: object) -> None:
        self.stale = True  # from the other thread: nothing but this flag is touched

    def _prepare(self, shot: ShotImage) -> None:
        monitor = self._monitor
        detector = monitor.geometries.of_shot(shot)
        wanted = (shot, detector, self._predict, monitor.settings if self._predict else None)
        if len(wanted) == len(self._asked) and all(a is b for a, b in zip(wanted, self._asked, strict=True)):
            return
        self._asked = wanted
        self._job = self._thread.submit(self._preparation.shot, shot, detector, monitor.settings, self._predict)
        self._job.add_done_callback(self._note_done)

    def _show_map(self) -> None:
        self._view.set_layer(self._map.layer)
        self._show_picture()
        self._point(*self._at)

    def _choose_layer(self, kind: LayerKind) -> None:
        self._map.choose(kind)
        self._show_map()

    def _choose_stage(self, stage: int) -> None:
        self._map.choose_stage(stage)

    def _show_picture(self) -> None:
        """Show the shot or the map; while one is awaited nothing, so that nobody takes one for the other."""
        shown = self._map.prepared if self._map.instead else self._shown
        picture = None if shown is None else shown.picture
        has_place = shown is not None and (picture is not None or not self._map.instead)
        self._view.set_picture(picture, shown.assembly.shape if shown is not None and has_place else (0, 0))
        self.picture_changed.emit()

    def _show(self, prepared: PreparedShot) -> None:
        self._shown = prepared
        view = self._view
        self._show_picture()
        view.set_geometry(prepared.rings, prepared.centre)
        view.set_spots(prepared.spots)
        self._show_trial()
        self._point(*self._at)

    def _show_nothing(self) -> None:
        if self._shown is not None or not self._asked:
            self._shown, self._asked = None, ()
            self._show_picture()
            self._view.set_geometry((), None)
            self._view.set_spots(Spots())
            self._show_trial()

    def _show_trial(self) -> None:
        points = above = np.empty((0, 2))
        if self._shown is not None:
            if self._trial is not None:
                fs, ss = (np.asarray(values, float) for values in self._trial)
                points = placed(self._shown.assembly, fs, ss)
            if self._above is not None:
                above = placed(self._shown.assembly, self._above[:, 0], self._above[:, 1])
        self._view.set_trial_spots(points)
        self._view.set_pixels_above(above)

    def _say_which(self) -> None:
        monitor, shown = self._monitor, self._shown
        if self._map.instead:
            layer, known = self._map.prepared, monitor.geometry is not None
            self._view.set_caption(wording.layer_caption(self._map.kind, layer), old=False)
            self._view.set_sentence(wording.without_map(self._map.kind, layer, known=known))
            return
        if monitor.shot is None or shown is None:
            self._view.set_caption((), old=False)
            self._view.set_sentence(wording.nothing_to_show(monitor) if monitor.shot is None else "")
            return
        self._view.set_caption(wording.caption(monitor, shown.shot), old=wording.is_old(monitor, shown.shot))
        problem = shown.problem or shown.assembly.problem
        if shown.picture is None:
            self._view.set_sentence(wording.without_pixels(problem or monitor.shot_problem))
        else:
            self._view.set_sentence(wording.without_pixels(problem) if problem else "")

    def _follow(self, what: Follow) -> None:
        self._monitor.go_live(what)

    def _pause(self, paused: bool) -> None:
        if paused:
            self._monitor.pause()
        else:
            self._monitor.go_live()

    def _step(self, by: int) -> None:
        self._monitor.step(by)

    def _jump(self, number: int) -> None:
        self._monitor.jump(number)

    def _point(self, x: float, y: float) -> None:
        self._at, shown = (x, y), self._shown
        text = ""
        if self._map.instead:
            layer = self._map.prepared
            text = "" if layer is None else wording.layer_readout(layer, shown, x, y)
        elif shown is not None and shown.picture is not None:
            text = wording.readout(shown.picture, x, y, shown.geometry_known)
        self._view.set_readout(text)

    def _show_predicted(self, wanted: bool) -> None:
        self._predict = wanted
        self.stale = True

    def _say(self, text: str) -> None:
        self._monitor.said.emit(text)

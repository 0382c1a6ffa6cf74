"""The map of the pixels that the image panel shows instead of the shot: asked for, unpacked in the thread, kept."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from braggwatch.gui.image_layers import UNITS, ImageLayers, Layer, LayerKind
from braggwatch.gui.image_preparation import Preparation, PreparedMap
from braggwatch.gui.monitor import Monitor


class ImageMap:
    """Keeps the chosen layer's map of the run in view; what is there stays until another one has come."""

    def __init__(
        self, monitor: Monitor, thread: ThreadPoolExecutor, preparation: Preparation, note: Callable[[], None]
    ) -> None:
        """`preparation` belongs to `thread`; `note` is called when there may be something new, from any thread."""
        self._monitor, self._thread, self._preparation, self._note = monitor, thread, preparation, note
        self._layers = ImageLayers(monitor)
        self._layers.changed.connect(self._tell)
        self._job: Future[PreparedMap] | None = None
        self._asked: tuple[Any, Any] = (None, None)
        self.prepared: PreparedMap | None = None
        """None while it is awaited, and where the shot is to be shown."""

    @property
    def kind(self) -> LayerKind:
        """The layer that was chosen."""
        return self._layers.kind

    @property
    def instead(self) -> bool:
        """Whether a map is to be shown, and not the shot."""
        return self._layers.kind != "image"

    @property
    def preparing(self) -> bool:
        """Whether a map is being unpacked."""
        return self._job is not None

    @property
    def layer(self) -> Layer:
        """What is shown, as the view is told."""
        if self.prepared is None:
            return Layer(self.kind, UNITS[self.kind], self._layers.stage)
        found = self.prepared.found
        return Layer(found.kind, found.unit or UNITS[found.kind], found.stage, found.n_stages, self.prepared.masked_by)

    def choose(self, kind: LayerKind) -> None:
        """Show another layer from now on."""
        self.prepared, self._asked = None, (None, None)
        self._layers.choose(kind)

    def choose_stage(self, stage: int) -> None:
        """Show another gain stage from now on."""
        self._layers.choose_stage(stage)

    def refresh(self) -> bool:
        """Have the map prepared that is wanted now; tells whether `prepared` is another one than before.

        Its run is that of the shot in view, or without a shot the present one.
        """
        is_new = False
        if self._job is not None and self._job.done():
            job, self._job = self._job, None
            is_new = job.result().found.kind == self.kind
            self.prepared = job.result() if is_new else self.prepared
        monitor, shot = self._monitor, self._monitor.shot
        if shot is not None:
            series, detector = shot.result.series, monitor.geometries.of_shot(shot)
        elif monitor.geometry is not None:
            series, detector = monitor.geometry.series, monitor.detector
        else:
            return is_new
        found = self._layers.find(series)
        asked_already = found is self._asked[0] and detector is self._asked[1]
        if found is not None and self._job is None and not asked_already:
            self._asked = found, detector
            self._job = self._thread.submit(self._preparation.map, found, detector)
            self._job.add_done_callback(lambda _job: self._note())
        return is_new

    def _tell(self) -> None:
        self._note()

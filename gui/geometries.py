"""Where the pixels of the last runs were. Free of Qt."""

import msgspec

from braggwatch.processing.detector import Detector
from braggwatch.streamer.picture_messages import Geometry, ShotImage

MAX_DETECTORS = 4
"""Different ones that are kept: the mask of one of 16 Mpx takes 16 MB."""
MAX_RUNS = 1000


class Geometries:
    """Keeps the detector of each run; runs with the same geometry share one."""

    def __init__(self) -> None:
        self._detectors: dict[Geometry, Detector] = {}
        """By the geometry without its run, the one that came last at the end."""
        self._of_run: dict[str, Geometry] = {}
        self._present: tuple[int, Detector] | None = None
        """Number of the present run, and its detector."""

    def add(self, geometry: Geometry) -> Detector:
        """Take the geometry of a run instead of the one before; raises ValueError where it makes no sense."""
        anonymous = msgspec.structs.replace(geometry, series="", run=0, alike=())
        detector = self._detectors.pop(anonymous, None) or geometry.detector()
        self._detectors[anonymous] = detector
        for series in geometry.alike[-MAX_RUNS:]:
            self._of_run.setdefault(series, anonymous)
        self._of_run.pop(geometry.series, None)
        self._of_run[geometry.series] = anonymous
        if len(self._detectors) > MAX_DETECTORS:
            del self._detectors[next(iter(self._detectors))]
        while len(self._of_run) > MAX_RUNS:
            del self._of_run[next(iter(self._of_run))]
        self._present = geometry.run, detector
        return detector

    def of(self, series: str) -> Detector | None:
        """Return the detector of a run (`Series.key`); None where it is not known, or not any more."""
        geometry = self._of_run.get(series)
        return None if geometry is None else self._detectors.get(geometry)

    def of_shot(self, shot: ShotImage) -> Detector | None:
        """Return the detector of a shot's run, or where that is not known the present one; see `borrowed`."""
        own = self.of(shot.result.series)
        return own if own is not None or self._present is None else self._present[1]

    def borrowed(self, shot: ShotImage) -> str:
        """Return whose geometry stands in for that of a shot's run, as words; empty where its own is known, or none."""
        if self._present is None or self.of(shot.result.series) is not None:
            return ""
        run, detector = self._present
        return f"geometry of run {run}" if detector.shape == tuple(shot.shape) else ""

"""Where the pixels of the last runs were. Free of Qt."""

import msgspec

from braggwatch.processing.detector import Detector
from braggwatch.streamer.picture_messages import Geometry

MAX_DETECTORS = 4
"""Different ones that are kept: the mask of one of 16 Mpx takes 16 MB."""
MAX_RUNS = 1000


class Geometries:
    """Keeps the detector of each run; runs with the same geometry share one."""

    def __init__(self) -> None:
        self._detectors: dict[Geometry, Detector] = {}
        """By the geometry without its run, the one that came last at the end."""
        self._of_run: dict[str, Geometry] = {}

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
        return detector

    def of(self, series: str) -> Detector | None:
        """Return the detector of a run (`Series.key`); None where it is not known, or not any more."""
        geometry = self._of_run.get(series)
        return None if geometry is None else self._detectors.get(geometry)

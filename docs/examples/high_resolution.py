"""A stage of one's own: keeps only shots that diffract far out."""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.shot import Shot


class HighResolutionSettings(BaseModel):
    """What far out means."""

    model_config = ConfigDict(extra="forbid")

    d: float = Field(default=2.5, gt=0, description="Spots at a finer resolution than this count, Å.")
    min_spots: int = Field(default=5, ge=1, description="So many of them are needed.")


class HighResolution:
    """Skips shots with too few spots at high resolution."""

    Settings = HighResolutionSettings

    def __init__(self, settings: HighResolutionSettings) -> None:
        self._settings = settings

    def begin(self, series: Series, detector: Detector) -> None:
        """Refuse a series whose photon energy nobody knows."""
        if detector.beam is None:
            raise ValueError("resolution needs the photon energy: set photon_energy in [detector]")

    def event(self, shot: Shot) -> Verdict:
        """Count the spots that lie far out."""
        peaks = shot.peaks
        if peaks is None:
            return Verdict.SKIP
        d = shot.detector.resolution(peaks.fs, peaks.ss, peaks.panel)
        far_out = np.count_nonzero(d < self._settings.d)
        return Verdict.KEEP if far_out >= self._settings.min_spots else Verdict.SKIP

    def end(self) -> None:
        """Nothing is left open."""

"""The stage that averages the images it sees: darks, backgrounds, the maximum of a run."""

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from braggwatch.processing.average_files import blank_detector, write_average
from braggwatch.processing.averaging import RunningMoments
from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.nxmx import safe_file_name, unique_name
from braggwatch.processing.shot import Shot

_log = logging.getLogger(__name__)


class AverageSettings(BaseModel):
    """Where averages are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path = Field(
        default=Path("averages"), description="Folder for the files; it is made if it is not there."
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="First part of the files' names; the name of the instance if left out.",
    )
    write_seconds: float = Field(
        default=30.0, gt=0, description="The file is brought up to date so often while images come, s."
    )


class Average:
    """Gathers mean, standard deviation and maximum of each pixel over all shots of a series, and keeps every one.

    Each process writes one file a series, NAME_RUN_SERIES_TIME_PROCESS.h5, whole at any time; `braggwatch dark` merges
    those of several processes into one. An image of another shape than the series' first goes by.
    """

    def __init__(self, settings: AverageSettings, *, instance: str, provenance: Mapping[str, str]) -> None:
        """Take the settings, the name of this use of the stage, and texts that go into each file's attributes."""
        self.settings = settings
        self.instance = instance
        self._provenance = dict(provenance)
        self._moments: RunningMoments | None = None
        self._path = Path()
        self._due = 0.0
        self._failed: str | None = None

    def begin(self, series: Series, detector: Detector) -> None:
        """Begin a new average; compile for the series' pixel type."""
        self.end()
        if series.dtype is not None:
            small = RunningMoments(blank_detector((2, 2)))
            small.add(np.zeros((2, 2), series.dtype))
            _ = small.mean
        self._moments = RunningMoments(detector)
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        name = self.settings.name or safe_file_name(self.instance)
        parts = (name, safe_file_name(series.name) if series.name else "", f"{series.number:04d}", started)
        self._path = self.settings.directory / unique_name(parts, 0)
        self._due = monotonic() + self.settings.write_seconds

    def event(self, shot: Shot) -> Verdict:
        """Take the shot's image into the average; always KEEP."""
        if self._moments is None:
            raise RuntimeError("begin() must come before event()")
        self._moments.add(shot.image)
        if monotonic() >= self._due:
            self._write()
        if self._failed is not None:
            shot.notices[f"{self.instance}-not-written"] = self._failed
        return Verdict.KEEP

    def end(self) -> None:
        """Write the average, if there was an image."""
        moments = self._moments
        if moments is not None and moments.n_images:
            self._write()
        self._moments = None

    def _write(self) -> None:
        assert self._moments is not None
        try:
            write_average(self._path, self._moments, self._provenance)
            self._failed = None
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
            because = f"average {self.instance}: cannot write to {self.settings.directory}: {reason}"
            if self._failed is None:
                _log.error("%s; it is tried again every %g s", because, self.settings.write_seconds)
            self._failed = because
        self._due = monotonic() + self.settings.write_seconds

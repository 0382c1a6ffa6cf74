"""The stage that writes what indexing and integration made of an image into a file of its own."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.lattice_geometry import Placement
from braggwatch.processing.nxmx import safe_file_name
from braggwatch.processing.result_files import ResultFiles
from braggwatch.processing.shot import Shot
from braggwatch.processing.single_images.description import milliseconds, time_of
from braggwatch.processing.stages.directory import refuse_unwritable
from braggwatch.processing.stages.pausing import Pause
from braggwatch.processing.whole_files import free_path, remove_abandoned, write_whole


class ResultsSettings(BaseModel):
    """Where the files are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path = Field(
        default=Path("integration"), description="Folder for the files; it is made if it is not there."
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="First part of the files' names; the name of the instance and _ if left out.",
    )

    def check_directory(self) -> None:
        """Raise ValueError where nothing could be written to `directory`, which need not exist yet."""
        refuse_unwritable(self.directory)


class Results:
    """Writes one HDF5 file for each shot with a lattice (see `ResultFiles`), and keeps every shot.

    A file is called NAME, UTC time of the exposure YYYYMMDDhhmmssmmm, ``_``, frame number, ``.h5``, as `Dump` calls
    single images; none replaces another, and none has its name before it is whole. What is not written because the disk
    is full or the directory not writable costs no hit (see `Pause`).
    """

    def __init__(self, settings: ResultsSettings, *, instance: str, provenance: Mapping[str, str]) -> None:
        """Take the settings, the name of this use of the stage, and texts that say how the files were made."""
        self.settings = settings
        self.instance = instance
        self.pause = Pause(f"results {instance}", f"{instance}-results-not-written")
        self._basename = settings.name or f"{safe_file_name(instance)}_"
        self._files = ResultFiles(provenance)
        self._placement: Placement | None = None

    def begin(self, series: Series, detector: Detector) -> None:
        """Get ready for a series, and remove what killed processes of this machine left unfinished."""
        if self._placement is None:
            with contextlib.suppress(OSError):  # the first shot will say what is wrong with the directory
                remove_abandoned(self.settings.directory)
        self._placement = Placement(detector)
        detector.project(np.array([[0.0, 0.0, 1.0]]))  # compiles the kernel

    def event(self, shot: Shot) -> Verdict:
        """Write the file of a shot that has a lattice; always KEEP."""
        if not shot.crystals:
            return Verdict.KEEP
        self.pause.attempt(self._write, shot, self.settings.directory)
        return Verdict.KEEP

    def end(self) -> None:
        """Nothing is left open."""

    def _write(self, shot: Shot) -> None:
        if self._placement is None:
            raise RuntimeError("begin() must come before event()")
        directory = self.settings.directory
        directory.mkdir(parents=True, exist_ok=True)
        time = time_of(shot)
        path = free_path(directory / f"{self._basename}{milliseconds(time)}_{shot.number:05d}.h5")
        content: Any = self._files.content(shot, self._placement)
        write_whole({path: lambda file: file.write(content)})

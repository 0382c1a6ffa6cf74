"""The stage that appends what it sees to a CrystFEL stream."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from braggwatch.processing.chain import Verdict
from braggwatch.processing.crystfel_geometry_text import DUMP, geometry_text
from braggwatch.processing.crystfel_stream_text import StreamText
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.nxmx import safe_file_name
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.shared_stream import SharedStream
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.directory import refuse_unwritable
from braggwatch.processing.stages.pausing import Pause
from braggwatch.processing.unit_cell import UnitCell


class StreamSettings(BaseModel):
    """Where the stream is, and which shots go into it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path = Field(default=Path("streams"), description="Folder for the files; it is made if it is not there.")
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="First part of the files' names; the name of the instance if left out.",
    )
    shots: Literal["indexed", "hits"] = Field(
        default="indexed",
        description="Which shots go into the file: indexed (those with a lattice), or hits (those without one too).",
    )

    def check_directory(self) -> None:
        """Raise ValueError where nothing could be written to `directory`, which need not exist yet."""
        refuse_unwritable(self.directory)


class Stream:
    """Appends each indexed shot, or each hit, to a CrystFEL stream, and keeps every one of them.

    A series has one file, NAME_SERIES.stream in the directory, which all workers write together and which is whole
    after every shot (see `SharedStream`); a change of geometry or cell in mid-series begins another, with -2 at the end
    of its name. An image that was dumped before is named by its dump, so that CrystFEL shows its pixels; others by the
    key of the series and the number of the frame.

    A stream that cannot be written, because the disk is full or the directory not writable, pauses (see `Pause`).
    """

    def __init__(
        self, settings: StreamSettings, *, instance: str, cell: UnitCell | None = None, adu_per_photon: float = 1.0
    ) -> None:
        """Take the settings, the name of this use of the stage, and for the header the cell looked for and the gain."""
        self.settings = settings
        self.instance = instance
        self.pause = Pause(f"stream {instance}", f"{instance}-not-streamed")
        self._name = settings.name or safe_file_name(instance)
        self._cell = cell
        self._adu_per_photon = adu_per_photon

    def begin(self, series: Series, detector: Detector) -> None:
        """Get ready for a series; its file is made with its first shot.

        Raises ValueError for a detector without a beam.
        """
        if detector.beam is None:
            raise ValueError(
                f"stream {self.instance}: a stream needs the photon energy, and the series does not say it: give "
                "photon_energy in [detector]"
            )
        self._wavelength = detector.beam.wavelength
        self._text = StreamText(
            detector,
            geometry=geometry_text(detector, file=DUMP, adu_per_photon=self._adu_per_photon),
            cell=self._cell,
            command=f"Braggwatch, stage {self.instance}",
        )
        path = self.settings.directory / f"{self._name}_{safe_file_name(series.key)}.stream"
        self._stream = SharedStream(path, self._text.header)
        self._text.chunk("warm-up", 0, serial=1, wavelength=1.0, peaks=Peaks.empty())  # compiles the kernel

    @property
    def path(self) -> Path:
        """The file of the series."""
        return self._stream.path

    def event(self, shot: Shot) -> Verdict:
        """Append the shot if it is of those that are asked for; always KEEP."""
        if not shot.crystals and not (self.settings.shots == "hits" and shot.is_hit):
            return Verdict.KEEP
        self.pause.attempt(self._append, shot, self._stream.path)
        return Verdict.KEEP

    def end(self) -> None:
        """Close the file."""
        self._stream.close()

    def _append(self, shot: Shot) -> None:
        filename, event = shot.series.key, shot.number
        if shot.dumped:
            filename, event = str(shot.dumped[-1].path.absolute()), shot.dumped[-1].entry
        chunk = self._text.chunk(
            filename,
            event,
            serial=shot.number + 1,
            wavelength=self._wavelength,
            peaks=Peaks.empty() if shot.peaks is None else shot.peaks,
            crystals=shot.crystals,
            reflections=shot.reflections,
        )
        try:
            self._stream.append(chunk)
        except OSError:
            self._stream.close()
            raise

"""The stage that writes the images it sees into files."""

import contextlib
import errno
import logging
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from braggwatch.processing.chain import Verdict
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.decompression import as_hdf5_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.nxmx import (
    NXmxWriter,
    packed_cxi_mask,
    packed_mask,
    repair_abandoned,
    safe_file_name,
    unique_name,
)
from braggwatch.processing.shot import DumpedImage, Shot
from braggwatch.processing.shot_groups import MAX_GROUPS, OTHERS
from braggwatch.processing.single_images import SingleImageFiles
from braggwatch.processing.single_images.description import milliseconds, time_of
from braggwatch.processing.stages.directory import refuse_unwritable
from braggwatch.processing.stages.one_in import OneIn
from braggwatch.processing.whole_files import remove_abandoned

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 10.0
"""How long a dump that cannot write waits before it tries again, s."""
_LEAST_FREE_BYTES = 64 << 20
"""Room on the disk without which no file is begun."""


class DumpSettings(BaseModel):
    """Where and how images are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path = Field(default=Path("dumps"), description="Folder for the files; it is made if it is not there.")
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="First part of the files' names, before the time of their first image; if left out, files begin "
        "with the name of the instance.",
    )
    format: Literal["nxmx", "cxi", "tiff", "cbf", "npy"] = Field(
        default="nxmx",
        description="File format: nxmx (NeXus HDF5, many images a file, with spots and lattices); cxi (the same with "
        "the names of CXI files as well); or a file an image, pixels only: tiff (32 bit), cbf (integers), npy (with a "
        ".json beside it).",
    )
    one_blank_in: int | None = Field(
        default=None,
        ge=1,
        description="Write blanks instead of hits: one, chosen at random, of this many; none: write what the stages "
        "before let pass.",
    )
    by_group: bool = Field(
        default=False,
        description="Write the shots of each group ([groups]) into files of their own, which have its name in theirs.",
    )
    images_per_file: int = Field(
        default=1000, ge=1, description="Images in an nxmx or cxi file before the next one is begun."
    )
    flush_seconds: float = Field(
        default=1.0,
        ge=0.0,
        description="Longest time in s until an image in such a file can be read by others, and what a crash can lose "
        "at most; 0 makes each image readable at once.",
    )

    def check_directory(self) -> None:
        """Raise ValueError where nothing could be written to `directory`, which need not exist yet."""
        refuse_unwritable(self.directory)


class Dump:
    """Writes each shot that it sees, with its spots and lattices, and keeps every one of them.

    With `DumpSettings.one_blank_in` it writes blanks instead, which the chain shows it also where their way has ended
    (`sees_blanks`): one of so many that this process sees one after the other, at random, so that what repeats from
    shot to shot, such as a laser, is in the sample as often as in all blanks.

    Formats other than nxmx and cxi have a file for each image (`SingleImageFiles`), which is there when the shot goes
    on. Of the others, each process writes its own files, none of which was there before: NAME, UTC time of the first
    image YYYYMMDDhhmmssmmm, _PROCESS_NUMBER.h5 or .cxi in the directory, or where the settings have no name,
    INSTANCE_RUN_SERIES_STARTED_PROCESS_NUMBER. A file holds images of one series, one shape and one dtype, and with
    `DumpSettings.by_group` of one group, whose name follows NAME or INSTANCE. Pixels are stored as they came,
    compressed chunk by compressed chunk, unless a stage changed them or the detector packed them in another way.

    An image goes to the file at once and can be read by others after at most `DumpSettings.flush_seconds`; a process
    that is killed loses no more than that. If it was killed in the midst of a flush, the file can be opened again when
    the next process on this machine dumps to the directory, and before that with ``h5py.File(path, swmr=True)``.

    A dump that cannot write, because the disk is full or the directory not writable, never costs a hit: the shot
    goes on with a notice instead of a `DumpedImage`, `paused_because` says why, one line is logged, and after ten
    seconds the next shot is tried again in a new file. `not_written` counts the shots that went by.
    """

    def __init__(self, settings: DumpSettings, *, instance: str, provenance: Mapping[str, str]) -> None:
        """Take the settings, the name of this use of the stage, and texts that say how the files were made.

        `provenance` goes into each file under ``/entry/process``: ``version`` of the program, ``settings`` in force.
        """
        self.settings = settings
        self.instance = instance
        self.paused_because: str | None = None
        """Why nothing is written at the moment, as a sentence; None while all is well."""
        self.not_written = 0
        """Shots that could not be written since the dump was made."""
        self._provenance = dict(provenance)
        self._writers: dict[str, NXmxWriter] = {}
        """The file that grows, of each group; of all shots under the empty name without `by_group`."""
        self._groups: set[str] = set()
        """Those that have files of their own."""
        self._unclosed: list[NXmxWriter] = []
        """Files that could not be closed when the disk was full."""
        self._series = ""
        self._started = ""
        self._file_number = 0
        self._retry_at = 0.0
        self._single: SingleImageFiles | None = None
        if settings.format != "nxmx" and settings.format != "cxi":
            self._single = SingleImageFiles(settings.directory, settings.format)
        self._sample = None if settings.one_blank_in is None else OneIn(settings.one_blank_in)
        # The flush of a stream that has fallen silent comes from a timer's thread.
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @property
    def sees_blanks(self) -> bool:
        """Whether the chain shows this stage shots that a stage before has found to be blank."""
        return self._sample is not None

    def begin(self, series: Series, detector: Detector) -> None:
        """Get ready for a series; its first file is made with its first shot."""
        with self._lock:
            if not self._series:
                self._see_to_abandoned()
            self._close()
            self._begin(series)
        if self._single is not None:
            return
        packed_mask(detector)  # so that the first hit need not wait for it
        if self.settings.format == "cxi":
            packed_cxi_mask(detector)

    def event(self, shot: Shot) -> Verdict:
        """Write the shot and add a `DumpedImage` to it; always KEEP."""
        if self._sample is not None and (shot.is_hit or not self._sample.takes_next()):
            return Verdict.KEEP
        with self._lock:
            if self.paused_because is not None and monotonic() < self._retry_at:
                return self._go_without(shot)
            try:
                path, entry = self._write(shot)
            except OSError as error:
                self._pause(error)
                return self._go_without(shot)
            self.paused_because = None
        shot.dumped.append(DumpedImage(self.instance, path, entry))
        return Verdict.KEEP

    def _write(self, shot: Shot) -> tuple[Path, int]:
        """Write the shot; return the file and the image's index in it."""
        if self._single is not None:
            self._refuse_full_disk()
            name = self.settings.name or f"{safe_file_name(self.instance)}_"
            group = group_in_file_name(self._group_of(shot))
            return self._single.write(shot, f"{name}{group}_" if group else name), 0
        chunk, dtype = _packed(shot)
        writer = self._writer_for(shot, dtype)
        entry = writer.append(shot, chunk)
        self._flush_in_time(writer)
        return writer.path, entry

    def _go_without(self, shot: Shot) -> Verdict:
        self.not_written += 1
        if self.paused_because is not None:
            shot.notices[f"{self.instance}-not-dumped"] = self.paused_because
        return Verdict.KEEP

    def end(self) -> None:
        """Close the file, and those for whose end the disk had no room, if it has by now."""
        with self._lock:
            self._close()
            with contextlib.suppress(OSError):
                self._close_unclosed()

    def _see_to_abandoned(self) -> None:
        directory = self.settings.directory
        try:
            if self._single is not None:
                for path in remove_abandoned(directory):
                    _log.warning("%s: removed, a process was killed in the midst of writing it", path)
                return
            for path in repair_abandoned(directory):
                _log.warning("%s: left open by a process that was killed, now readable", path)
        except OSError:
            return  # the first shot will say what is wrong with the directory

    def _begin(self, series: Series) -> None:
        self._series = series.key
        self._file_number = 0
        self._started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")

    def _writer_for(self, shot: Shot, dtype: np.dtype[Any]) -> NXmxWriter:
        if shot.series.key != self._series:
            self._close()
            self._begin(shot.series)
        group = self._group_of(shot)
        writer = self._writers.get(group)
        if writer is not None and (
            writer.n_images >= self.settings.images_per_file
            or writer.dtype != dtype
            or writer.shape != shot.detector.shape
        ):
            self._close_file(group)
            writer = None
        if writer is None:
            writer = self._writers[group] = self._new_file(shot, dtype, group)
        return writer

    def _group_of(self, shot: Shot) -> str:
        """Return under which name a shot's files are kept; those of further groups are one, as files stay open."""
        if not self.settings.by_group or not shot.group:
            return ""
        if shot.group not in self._groups:
            if len(self._groups) >= MAX_GROUPS:
                return OTHERS
            self._groups.add(shot.group)
        return shot.group

    def _new_file(self, shot: Shot, dtype: np.dtype[Any], group: str) -> NXmxWriter:
        # A file that the disk has no room for costs a descriptor until there is: better not begun.
        self._refuse_full_disk()
        self._close_unclosed()
        is_cxi = self.settings.format == "cxi"
        path = self.settings.directory / unique_name(
            self._name_parts(shot, group_in_file_name(group)), self._file_number, ".cxi" if is_cxi else ".h5"
        )
        self._file_number += 1
        return NXmxWriter(
            path,
            series=shot.series,
            detector=shot.detector,
            dtype=dtype,
            provenance=self._provenance,
            values=shot.frame.values,
            cxi=is_cxi,
        )

    def _name_parts(self, shot: Shot, group: str) -> Sequence[str]:
        """Return what the name of a file begins with whose first image is that of `shot`."""
        if self.settings.name is not None:
            time = milliseconds(time_of(shot))
            return [f"{self.settings.name}{group}_{time}" if group else f"{self.settings.name}{time}"]
        series = shot.series
        run = safe_file_name(series.name) if series.name else ""
        return [safe_file_name(self.instance), group, run, f"{series.number:04d}", self._started]

    def _refuse_full_disk(self) -> None:
        directory = self.settings.directory
        directory.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(directory).free < _LEAST_FREE_BYTES:
            raise OSError(errno.ENOSPC, f"less than {_LEAST_FREE_BYTES >> 20} MiB left", str(directory))

    def _close_unclosed(self) -> None:
        while self._unclosed:
            self._unclosed[-1].close()
            self._unclosed.pop()

    def _flush_in_time(self, writer: NXmxWriter) -> None:
        if self.settings.flush_seconds == 0:
            writer.flush()
        elif self._timer is None:
            self._timer = threading.Timer(self.settings.flush_seconds, self._flush_late)
            self._timer.daemon = True
            self._timer.start()

    def _flush_late(self) -> None:
        with self._lock:
            self._timer = None
            try:
                for writer in self._writers.values():
                    if writer.n_flushed < writer.n_images:
                        writer.flush()
            except OSError as error:
                self._pause(error)

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for group in list(self._writers):
            self._close_file(group)

    def _close_file(self, group: str) -> None:
        writer = self._writers.pop(group, None)
        if writer is None:
            return
        try:
            writer.close()
        except OSError as error:
            self._unclosed.append(writer)
            self._pause(error)

    def _pause(self, error: OSError) -> None:
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        because = f"dump {self.instance}: cannot write to {self.settings.directory}: {reason}"
        if self.paused_because is None:
            _log.error("%s; hits go on being counted, the next try is in %g s", because, _RETRY_SECONDS)
            self.paused_because = because
        self._retry_at = monotonic() + _RETRY_SECONDS
        self._close()


def group_in_file_name(group: str) -> str:
    """Return a group's name as part of a file's; empty for none. Those of numbers stay apart: from, below."""
    return safe_file_name(group.replace("≥", "from").replace("<", "below")) if group else ""


def _packed(shot: Shot) -> tuple[Any, np.dtype[Any]]:
    """Return the chunk to store and the dtype of the pixels in it."""
    frame = shot.frame
    if not shot.pixels_changed and frame.encoding.algorithm == "bslz4":
        chunk = as_hdf5_chunk(frame.payload, frame.encoding, frame.shape, frame.dtype)
        if chunk is not None:
            return chunk, np.dtype(frame.dtype)
    return bslz4_chunk(shot.image), shot.image.dtype

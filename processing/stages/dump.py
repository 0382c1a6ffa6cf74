"""The stage that writes the images it sees into files."""

import atexit
import contextlib
import logging
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.nxmx import (
    NXmxWriter,
    group_in_file_name,
    packed_cxi_mask,
    packed_mask,
    repair_abandoned,
    safe_file_name,
)
from braggwatch.processing.shot import DumpedImage, Shot
from braggwatch.processing.shot_groups import MAX_GROUPS, OTHERS
from braggwatch.processing.single_images import SingleImageFiles
from braggwatch.processing.stages.directory import refuse_full_disk, refuse_unwritable
from braggwatch.processing.stages.one_in import OneIn
from braggwatch.processing.stages.pausing import Pause
from braggwatch.processing.stages.stacks import Stacks
from braggwatch.processing.whole_files import remove_abandoned

_log = logging.getLogger(__name__)


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
    on. Of the others, each process writes files of its own (`Stacks`), with `DumpSettings.by_group` each of one group.
    Pixels are stored in them as they came, compressed chunk by compressed chunk, unless a stage changed them or the
    detector packed them in another way.

    An image goes to the file at once and can be read by others after at most `DumpSettings.flush_seconds`; a process
    that is killed loses no more than that. If it was killed in the midst of a flush, the file can be opened again when
    the next process on this machine dumps to the directory, and before that with ``h5py.File(path, swmr=True)``.

    A dump that cannot write, because the disk is full or the directory not writable, never costs a hit: the shot
    goes on with a notice instead of a `DumpedImage`, one line is logged, and after ten seconds the next shot is tried
    again in a new file (`pause`).
    """

    def __init__(self, settings: DumpSettings, *, instance: str, provenance: Mapping[str, str]) -> None:
        """Take the settings, the name of this use of the stage, and texts that say how the files were made.

        `provenance` goes into each file under ``/entry/process``: ``version`` of the program, ``settings`` in force.
        """
        self.settings = settings
        self.instance = instance
        self.pause = Pause(f"dump {instance}", f"{instance}-not-dumped")
        self._groups: set[str] = set()
        """Those that have files of their own."""
        self._begun = False
        self._single: SingleImageFiles | None = None
        self._stacks: Stacks | None = None
        if settings.format == "nxmx" or settings.format == "cxi":
            self._stacks = Stacks(
                settings.directory, name=settings.name, instance=instance, cxi=settings.format == "cxi",
                images_per_file=settings.images_per_file, provenance=provenance,
            )  # fmt: skip
        else:
            self._single = SingleImageFiles(settings.directory, settings.format)
        self._sample = None if settings.one_blank_in is None else OneIn(settings.one_blank_in)
        # The flush of a stream that has fallen silent comes from a timer's thread.
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        _dumps.add(self)

    @property
    def sees_blanks(self) -> bool:
        """Whether the chain shows this stage shots that a stage before has found to be blank."""
        return self._sample is not None

    def begin(self, series: Series, detector: Detector) -> None:
        """Get ready for a series; its first file is made with its first shot."""
        with self._lock:
            if not self._begun:
                self._begun = True
                self._see_to_abandoned()
            self._stop_timer()
            if self._stacks is None:
                return
            try:
                self._stacks.begin(series)
            except OSError as error:
                self.pause.begin(error, self.settings.directory)
        packed_mask(detector)  # so that the first hit need not wait for it
        if self.settings.format == "cxi":
            packed_cxi_mask(detector)

    def event(self, shot: Shot) -> Verdict:
        """Write the shot and add a `DumpedImage` to it; always KEEP."""
        if self._sample is not None and (shot.is_hit or not self._sample.takes_next()):
            return Verdict.KEEP
        with self._lock:
            written = self.pause.attempt(self._write, shot, self.settings.directory)
        if written is not None:
            shot.dumped.append(DumpedImage(self.instance, *written))
        return Verdict.KEEP

    def end(self) -> None:
        """Close the files, and those for whose end the disk had no room, if it has by now."""
        with self._lock:
            self._close()
            if self._stacks is not None:
                with contextlib.suppress(OSError):
                    self._stacks.close_unclosed()

    def _write(self, shot: Shot) -> tuple[Path, int]:
        """Write the shot; return the file and the image's index in it."""
        group = self._group_of(shot)
        if self._stacks is None:
            assert self._single is not None
            refuse_full_disk(self.settings.directory)
            name = self.settings.name or f"{safe_file_name(self.instance)}_"
            group = group_in_file_name(group)
            return self._single.write(shot, f"{name}{group}_" if group else name), 0
        try:
            writer, entry = self._stacks.append(shot, group)
            self._flush_in_time(writer)
        except OSError:
            self._give_up_files()
            raise
        return writer.path, entry

    def _group_of(self, shot: Shot) -> str:
        """Return under which name a shot's files are kept; those of further groups are one, as files stay open."""
        if not self.settings.by_group or not shot.group:
            return ""
        if shot.group not in self._groups:
            if len(self._groups) >= MAX_GROUPS:
                return OTHERS
            self._groups.add(shot.group)
        return shot.group

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
            if self._stacks is None:
                return
            try:
                self._stacks.flush()
            except OSError as error:
                self.pause.begin(error, self.settings.directory)
                self._give_up_files()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._stop_timer()
        if self._stacks is None:
            return
        try:
            self._stacks.close()
        except OSError as error:
            self.pause.begin(error, self.settings.directory)

    def _give_up_files(self) -> None:
        """Close the files that could not be written to, so that the next shot begins a new one."""
        self._stop_timer()
        if self._stacks is not None:
            with contextlib.suppress(OSError):
                self._stacks.close()


_dumps: "weakref.WeakSet[Dump]" = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """End the dumps that nobody has ended before Python's end, which a flush in its timer's thread could hold up."""
    for dump in list(_dumps):
        dump.end()

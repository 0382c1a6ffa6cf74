"""Files of many images that grow: for each group of shots the one that its next image goes to."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.decompression import as_hdf5_chunk
from braggwatch.processing.frame import Series
from braggwatch.processing.nxmx import NXmxWriter, group_in_file_name, safe_file_name, unique_name
from braggwatch.processing.shot import Shot
from braggwatch.processing.single_images.description import milliseconds, time_of
from braggwatch.processing.stages.directory import refuse_full_disk


class Stacks:
    """Writes images into files of one series, one group, one shape and one dtype, none of which was there before.

    A file is called NAME, UTC time of its first image YYYYMMDDhhmmssmmm, _PROCESS_NUMBER.h5 or .cxi, or without a name
    INSTANCE_RUN_SERIES_STARTED_PROCESS_NUMBER; the group, if there is one, follows NAME or INSTANCE. Not thread-safe.
    """

    def __init__(
        self,
        directory: Path,
        *,
        name: str | None,
        instance: str,
        cxi: bool,
        images_per_file: int,
        provenance: Mapping[str, str],
    ) -> None:
        """Write to a directory, files with or without the names of CXI files in them, of so many images each."""
        self._directory = directory
        self._name = name
        self._instance = instance
        self._cxi = cxi
        self._images_per_file = images_per_file
        self._provenance = dict(provenance)
        self._writers: dict[str, NXmxWriter] = {}
        """The file that grows, by group; of all shots under the empty name where they are kept together."""
        self._unclosed: list[NXmxWriter] = []
        """Files that could not be closed when the disk was full."""
        self._series = ""
        self._started = ""
        self._file_number = 0

    def begin(self, series: Series) -> None:
        """Close what belongs to another series; raises OSError as `close`."""
        self._series = series.key
        self._file_number = 0
        self._started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self.close()

    def append(self, shot: Shot, group: str) -> tuple[NXmxWriter, int]:
        """Write a shot; return the file, not yet flushed, and the image's index in it. Raises OSError."""
        if shot.series.key != self._series:
            self.begin(shot.series)
        chunk, dtype = _packed(shot)
        writer = self._writers.get(group)
        if writer is not None and (
            writer.n_images >= self._images_per_file or writer.dtype != dtype or writer.shape != shot.detector.shape
        ):
            self._close_file(group)
            writer = None
        if writer is None:
            writer = self._writers[group] = self._new_file(shot, dtype, group)
        return writer, writer.append(shot, chunk)

    def flush(self) -> None:
        """Make everything that was written readable by others. Raises OSError."""
        for writer in self._writers.values():
            if writer.n_flushed < writer.n_images:
                writer.flush()

    def close(self) -> None:
        """Close all files; those for whose end the disk has no room are closed before the next one is begun.

        Raises the first OSError when all were tried.
        """
        first: OSError | None = None
        for group in list(self._writers):
            try:
                self._close_file(group)
            except OSError as error:
                first = first or error
        if first is not None:
            raise first

    def close_unclosed(self) -> None:
        """Close the files for whose end the disk had no room. Raises OSError if it still has none."""
        while self._unclosed:
            self._unclosed[-1].close()
            self._unclosed.pop()

    def _close_file(self, group: str) -> None:
        writer = self._writers.pop(group)
        try:
            writer.close()
        except OSError:
            self._unclosed.append(writer)
            raise

    def _new_file(self, shot: Shot, dtype: np.dtype[Any], group: str) -> NXmxWriter:
        # A file that the disk has no room for costs a descriptor until there is: better not begun.
        refuse_full_disk(self._directory)
        self.close_unclosed()
        suffix = ".cxi" if self._cxi else ".h5"
        file_name = unique_name(self._name_parts(shot, group_in_file_name(group)), self._file_number, suffix)
        self._file_number += 1
        return NXmxWriter(
            self._directory / file_name,
            series=shot.series,
            detector=shot.detector,
            dtype=dtype,
            provenance=self._provenance,
            values=shot.frame.values,
            cxi=self._cxi,
        )

    def _name_parts(self, shot: Shot, group: str) -> Sequence[str]:
        """Return what the name of a file begins with whose first image is that of `shot`."""
        if self._name is not None:
            time = milliseconds(time_of(shot))
            return [f"{self._name}{group}_{time}" if group else f"{self._name}{time}"]
        series = shot.series
        run = safe_file_name(series.name) if series.name else ""
        return [safe_file_name(self._instance), group, run, f"{series.number:04d}", self._started]


def _packed(shot: Shot) -> tuple[Any, np.dtype[Any]]:
    """Return the chunk to store and the dtype of the pixels in it."""
    frame = shot.frame
    if not shot.pixels_changed and frame.encoding.algorithm == "bslz4":
        chunk = as_hdf5_chunk(frame.payload, frame.encoding, frame.shape, frame.dtype)
        if chunk is not None:
            return chunk, np.dtype(frame.dtype)
    return bslz4_chunk(shot.image), shot.image.dtype

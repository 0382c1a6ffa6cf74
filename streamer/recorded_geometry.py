"""Where the pixels of a recorded run are: out of its dumps, or out of its header and the settings."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from braggwatch.processing.detector import Detector
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.image_files.error import ImageFileError
from braggwatch.streamer.archive_desk import ArchiveDesk
from braggwatch.streamer.record_summary import RecordedRun

_ARRAYS = ("mask", "dark", "noise", "gain_map", "stage_pedestals", "stage_gains")
_FILES = """
SELECT DISTINCT path FROM files WHERE id IN (SELECT file FROM images WHERE run = ? ORDER BY number DESC LIMIT 100)
"""


def recorded_detector(
    connection: sqlite3.Connection, run: RecordedRun, settings: dict[str, Any], desk: ArchiveDesk, beside: Path
) -> Detector:
    """Return the detector of a run, as its dumps have it, or else as its header and `settings` describe it.

    `settings` is the table ``[detector]``; files that it names are also looked for in the folder `beside`. The record
    has neither the detector's own mask nor the geometry file, so that the dumps, which have both, go first.

    Raises ValueError saying what is missing where there is neither; sqlite3.Error where the record cannot be read.
    """
    dumped = _dumped(connection, run, desk)
    try:
        described = _described(run, settings, beside)
    except (ValueError, OSError) as error:
        if dumped is None:
            raise ValueError(f"there is no dump of run {run.series.number} any more, and {error}") from None
        return dumped[0]
    if dumped is None:
        return described
    detector, dtype = dumped
    # A dump does not say which values mark bad pixels; those that a calibration wrote are NaN already.
    return detector if dtype.kind == "f" else replace(detector, flag_values=described.flag_values)


def _dumped(
    connection: sqlite3.Connection, run: RecordedRun, desk: ArchiveDesk
) -> tuple[Detector, np.dtype[Any]] | None:
    for (path,) in connection.execute(_FILES, (run.id,)).fetchall():
        try:
            if (found := desk.detector_of(path)) is not None:
                return found[0], np.dtype(found[1])
        except ImageFileError:
            continue
    return None


def recorded_settings(settings: dict[str, Any], beside: Path) -> DetectorSettings:
    """Return the table ``[detector]`` of a record, its files where they were, or else in the folder `beside`.

    Raises ValueError where it makes no sense.
    """
    found = dict(settings)
    if isinstance(geometry := settings.get("geometry"), str):
        found["geometry"] = _found(geometry, beside)
    for key in _ARRAYS:
        if isinstance(source := settings.get(key), str):
            path, colon, dataset = source.rpartition(":/")
            found[key] = f"{_found(path, beside)}{colon}{dataset}" if colon else str(_found(source, beside))
    try:
        return DetectorSettings.model_validate(found)
    except ValidationError as error:
        raise ValueError(f"its [detector] settings make no sense: {error}") from None


def _described(run: RecordedRun, settings: dict[str, Any], beside: Path) -> Detector:
    return recorded_settings(settings, beside).detector(run.series)


def _found(path: str, beside: Path) -> Path:
    there = Path(path)
    return there if there.is_file() or not (beside / there.name).is_file() else beside / there.name

"""What hit finder and indexer make of an image with settings that are only tried out: nothing is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.chain_settings import (
    ChainSettings,
    SettingsError,
    StageSpec,
    build_chain,
    resolve_stages,
    split_name,
)
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.hitfind import HitfindSettings

JUDGES = ("hitfind", "index")
"""The stages that decide what becomes of a shot and write nothing."""

Tables = Mapping[str, Mapping[str, Any]]


def judging_stages(document: Mapping[str, Any], changes: Tables, modules: Sequence[str] = JUDGES) -> list[StageSpec]:
    """Return the hit finders and indexers (or only `modules`) of a document's chain, in order, with complete options.

    `document` is what a settings file holds, by table; `changes` replaces values by table and key, where None means the
    default. Raises SettingsError naming table, key, what was expected and what was found.
    """
    chain = document.get("chain", {})
    names = chain.get("stages", ChainSettings().stages) if isinstance(chain, Mapping) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"[chain] stages: expected a list of names, found {names!r}")
    tables: dict[str, dict[str, Any]] = {}
    for name in {*document, *changes}:
        table = document.get(name, {})
        if split_name(name)[0] in modules:
            if not isinstance(table, Mapping):
                raise SettingsError(f"{name}: expected a table of settings, found {table!r}")
            merged = {**table, **changes.get(name, {})}
            tables[name] = {key: value for key, value in merged.items() if value is not None}
    return resolve_stages([name for name in names if split_name(name)[0] in modules], tables)


@dataclass(frozen=True, eq=False)
class Judged:
    """What was found in one image."""

    peaks: Peaks
    is_hit: bool
    crystals: list[Crystal]


class TrialRun:
    """Sends images of one detector through hit finders and indexers, as `Pipeline` would."""

    def __init__(self, detector: Detector, stages: Sequence[StageSpec]) -> None:
        """Make the stages; `detector` is for images as the chain sees them. Raises ValueError where they do not fit."""
        self.detector = detector
        self._series = Series(key="trial", number=0, shape=detector.shape)
        self._chain = build_chain(stages, {})
        self._chain.begin(self._series, detector)

    def __call__(self, image: NDArray[Any]) -> Judged:
        """Judge an image ``(ss, fs)``; raises ValueError for another shape, TypeError for other than numbers."""
        frame = Frame(
            series="trial", number=0, payload=b"", shape=self.detector.shape, dtype=str(image.dtype),
            encoding=Encoding(),
        )  # fmt: skip
        shot = Shot(self._series, frame, image, self.detector)
        self._chain.event(shot)
        return Judged(Peaks.empty() if shot.peaks is None else shot.peaks, shot.is_hit, shot.crystals)


def threshold_map(stages: Sequence[StageSpec], detector: Detector, image: NDArray[Any]) -> NDArray[np.float32]:
    """Return the value that each pixel of an image must exceed to be part of a spot: `PeakFinder.threshold_map`.

    That of the first hit finder; all NaN where there is none.
    """
    for spec in stages:
        if isinstance(spec.settings, HitfindSettings):
            return spec.settings.peak_finder(detector).threshold_map(image)
    return np.full(detector.shape, np.nan, np.float32)

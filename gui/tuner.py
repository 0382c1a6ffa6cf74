"""Tries settings out on shots that the window remembers, in a thread of its own. Free of Qt."""

import contextlib
import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.trial_effect import Effect, Outcome, ShotEffect, ShownEffect
from braggwatch.processing.chain_settings import SettingsError, StageSpec, split_name
from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector
from braggwatch.processing.stages.index import is_cell_file
from braggwatch.processing.trial_run import Judged, Tables, TrialRun, judging_stages, threshold_map
from braggwatch.streamer.picture_messages import ShotImage
from braggwatch.streamer.wording import plain

TELL_EVERY_S = 0.1
"""Between two looks at a trial that is under way."""

_MOST_ABOVE = 20_000
"""Pixels that are marked in the image at most."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What is to be tried out."""

    detector: Detector
    settings: str
    """Those in force, TOML."""
    changes: Tables
    """Values by table and key, as in `control_messages.Change`."""
    shown: ShotImage | None = None
    shots: tuple[ShotImage, ...] = ()
    """The newest first; those without pixels, or of another shape than the detector's, are left out."""
    threshold: bool = False
    """Whether the shown shot's pixels above the threshold are wanted."""


class Tuner:
    """Works on the newest trial only: one that comes meanwhile ends the one before between two shots.

    What settings make of a shot is worked out once, and again only after these or the detector have changed. The
    kernels let other threads run.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        """`changed` is called in the tuner's thread whenever there is another `effect`."""
        self.effect = Effect()
        self._changed = changed
        self._condition = threading.Condition()
        self._wanted: Trial | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._bench = _Bench()

    def begin(self, trial: Trial) -> None:
        """Try this out instead of whatever is tried out now; returns at once."""
        with self._condition:
            self._wanted = trial
            self._condition.notify()
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="tuner", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Try nothing any more, and forget what came of it."""
        with self._condition:
            self._wanted = None
            self.effect = Effect()

    def close(self) -> None:
        """End the thread, after the shot that it works on."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (trial := self._next()) is not None:
            try:
                self._try(trial)
            except Exception as error:  # whatever a message or a setting has in it: the next trial may go well
                self._tell(trial, Effect(problem=f"These settings cannot be tried out: {error}"))

    def _next(self) -> Trial | None:
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._wanted is not None)
            return None if self._closed else self._wanted

    def _tell(self, trial: Trial, effect: Effect, *, last: bool = True) -> None:
        """Say how far a trial has come, unless another one is wanted by now."""
        with self._condition:
            if self._wanted is not trial or self._closed:
                return
            self.effect = effect
            if last:
                self._wanted = None
        self._changed()

    def _try(self, trial: Trial) -> None:
        bench = self._bench
        note = bench.prepare(trial)
        shots = [shot for shot in trial.shots if bench.fits(shot)]
        shown = bench.look(trial)
        done: dict[int, ShotEffect] = {}
        left = []
        for place, shot in enumerate(shots):
            if bench.knows(shot):
                done[place] = bench.compare(shot)
            else:
                left.append(place)

        def so_far(finished: bool) -> Effect:
            in_order = tuple(done[place] for place in sorted(done))
            return Effect(shown, in_order, len(shots), finished, bench.indexes, note=note)

        told = 0.0
        for place in left:
            if monotonic() >= told + TELL_EVERY_S:
                self._tell(trial, so_far(finished=False), last=False)
                told = monotonic()
            if self._wanted is not trial or self._closed:
                return
            with contextlib.suppress(ValueError):  # pixels that cannot be unpacked
                done[place] = bench.compare(shots[place])
        self._tell(trial, so_far(finished=True))


class _Judge:
    """One set of settings made ready, and what it has made of the shots so far."""

    def __init__(self, detector: Detector, stages: list[StageSpec]) -> None:
        self.detector, self.stages = detector, stages
        self.run = TrialRun(detector, stages)
        self.known: dict[ShotKey, Outcome] = {}

    def is_for(self, detector: Detector, stages: list[StageSpec]) -> bool:
        return self.detector is detector and self.stages == stages


class _Bench:
    """Both sets of settings, kept as long as they stay the same."""

    def __init__(self) -> None:
        self._before: _Judge | None = None
        self._after: _Judge | None = None
        self._image = np.empty((0, 0), np.uint8)
        self.indexes = False

    def prepare(self, trial: Trial) -> str:
        """Make the stages; return what cannot be tried out, as a sentence. Raises ValueError for bad settings."""
        try:
            document = tomllib.loads(trial.settings)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ValueError(f"the settings that the processor sent are no TOML: {error}") from None
        before, problem = _stages(document, {})
        after, problem_after = _stages(document, trial.changes)
        if not any(spec.module == "hitfind" for spec in after):
            raise ValueError("the processor's chain has no hit finder")
        note = problem_after or problem
        if note:
            before, after = ([spec for spec in specs if spec.module == "hitfind"] for specs in (before, after))
        if self._before is None or not self._before.is_for(trial.detector, before):
            self._before = _Judge(trial.detector, before)
        if self._after is None or not self._after.is_for(trial.detector, after):
            self._after = _Judge(trial.detector, after)
        self.indexes = any(spec.module == "index" for spec in after)
        return note

    def fits(self, shot: ShotImage) -> bool:
        """Tell whether a shot has pixels, those of the detector."""
        return bool(shot.payload) and self._after is not None and shot.shape == self._after.detector.shape

    def knows(self, shot: ShotImage) -> bool:
        """Tell whether both have judged a shot before."""
        key = ShotKey.of(shot.result)
        return all(judge is not None and key in judge.known for judge in (self._before, self._after))

    def compare(self, shot: ShotImage) -> ShotEffect:
        """Judge a shot by both; raises ValueError where its pixels cannot be unpacked."""
        assert self._before is not None and self._after is not None
        key = ShotKey.of(shot.result)
        missing = [judge for judge in (self._before, self._after) if key not in judge.known]
        if missing:
            image = self._unpacked(shot)
            for judge in missing:
                judge.known[key] = _outcome(judge.run(image))
        return ShotEffect(key, shot.kind, self._before.known[key], self._after.known[key])

    def look(self, trial: Trial) -> ShownEffect | None:
        """Judge the shown shot by both, with the places of all spots; None where its pixels are not to be had."""
        if trial.shown is None or not self.fits(trial.shown):
            return None
        assert self._before is not None and self._after is not None
        try:
            image = self._unpacked(trial.shown)
        except ValueError:
            return None
        before, after = self._before.run(image), self._after.run(image)
        key = ShotKey.of(trial.shown.result)
        return ShownEffect(
            ShotEffect(key, trial.shown.kind, _outcome(before), _outcome(after)),
            _places(before),
            _places(after),
            _above(image, threshold_map(self._after.stages, trial.detector, image)) if trial.threshold else None,
        )

    def _unpacked(self, shot: ShotImage) -> NDArray[Any]:
        dtype = np.dtype(shot.dtype)
        if dtype.kind not in "iuf":
            raise ValueError(f"expected pixels of numbers, found {shot.dtype}")
        if self._image.shape != shot.shape or self._image.dtype != dtype:
            self._image = np.empty(shot.shape, dtype)
        decompress(shot.payload, shot.encoding, shot.shape, shot.dtype, self._image)
        return self._image


def _above(image: NDArray[Any], threshold: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return fs and ss of the pixels above their threshold; of too many, some from everywhere."""
    ss, fs = np.nonzero(image > threshold)
    every = max(-(-len(fs) // _MOST_ABOVE), 1)
    return np.stack([fs, ss], axis=1)[::every].astype(np.float32) + np.float32(0.5)


def _stages(document: Mapping[str, Any], changes: Tables) -> tuple[list[StageSpec], str]:
    """Return the stages; where an indexer cannot be made here, only the hit finders, and why."""
    try:
        _refuse_named_files(document, changes)
        return judging_stages(document, changes), ""
    except SettingsError as error:
        if not str(error).startswith("[index"):
            raise
        return judging_stages(document, changes, ("hitfind",)), f"Indexing cannot be tried out: {error}"


def _refuse_named_files(document: Mapping[str, Any], changes: Tables) -> None:
    """Open no file that the feed names: it is on the processor's machine, and what is here is another one."""
    for name, table in document.items():
        if split_name(name)[0] != "index" or not isinstance(table, Mapping) or "cell" in changes.get(name, {}):
            continue
        cell = table.get("cell")
        if isinstance(cell, str) and is_cell_file(cell):
            raise SettingsError(f"[{name}] cell: the file {plain(cell, 200)} is on the processor's machine")


def _outcome(judged: Judged) -> Outcome:
    return Outcome(len(judged.peaks), judged.is_hit, len(judged.crystals))


def _places(judged: Judged) -> NDArray[np.float32]:
    return np.stack([judged.peaks.fs, judged.peaks.ss], axis=1)

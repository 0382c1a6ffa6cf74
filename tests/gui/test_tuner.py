"""Trials against the pipeline itself, on frames with truth."""

import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from messages_by_hand import detector, shot_image
from tuning_shots import CHAIN, TEXT, frame_shots, frames_detector

from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.trial_effect import Effect, Outcome, ShotEffect, Tally
from braggwatch.gui.tuner import Trial, Tuner
from braggwatch.processing.chain_settings import ChainSettings
from braggwatch.processing.crystfel_cell import cell_text
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Frame, Series
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.picture_messages import Geometry, ShotImage


class Told:
    """A tuner, and a way to wait for it."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self._news = threading.Condition()
        self.tuner = Tuner(self._note)

    def _note(self) -> None:
        with self._news:
            self.effects.append(self.tuner.effect)
            self._news.notify()

    def result(self, trial: Trial) -> Effect:
        with self._news:
            self.effects.clear()
            self.tuner.begin(trial)
            assert self._news.wait_for(lambda: any(e.finished or e.problem for e in self.effects), 60)
            return self.effects[-1]


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    yield told
    told.tuner.close()


def by_the_pipeline(shared: Path, changes: dict[str, Any], shots: list[ShotImage]) -> list[tuple[Any, Outcome]]:
    """Peaks and outcome of each shot, from the processor's own pipeline with a stage that writes left out."""
    first = shots[0]
    series = Series(key="run-1", number=1, shape=first.shape, dtype=first.dtype, mask=frames_detector(shared).mask)
    settings = PipelineSettings(
        detector=DetectorSettings(geometry=shared / "frames" / "lysozyme_4m.geom"),
        chain=ChainSettings(stages=["hitfind", "index"]),
        stages={
            "hitfind": {**changes.get("hitfind", {})},
            "index": {"cell": "79.2 79.2 38.0 90 90 90 P43212", **changes.get("index", {})},
        },
    )
    pipeline, found = settings.pipeline(series), []
    for shot in shots:
        frame = Frame(
            series="run-1", number=shot.result.number, payload=shot.payload, shape=shot.shape, dtype=shot.dtype,
            encoding=shot.encoding,
        )  # fmt: skip
        judged = pipeline.process(frame)
        assert judged.peaks is not None
        outcome = Outcome(len(judged.peaks), judged.is_hit, len(judged.crystals))
        found.append((np.stack([judged.peaks.fs, judged.peaks.ss], axis=1), outcome))
    pipeline.end()
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"hitfind": {"min_snr": 9.0, "min_peaks": 25}},
        {"hitfind": {"d_min": 3.0, "max_pixels": 20, "local_bg_radius": 4}},
        {"hitfind": {"method": "spots", "threshold_adu": 60.0}, "index": {"min_spots": 20}},
    ],
)
def test_a_trial_finds_what_the_pipeline_finds_with_these_settings(
    told: Told, shared: Path, changes: dict[str, Any]
) -> None:
    shots = frame_shots(shared, list(range(0, 24, 4)))
    effect = told.result(Trial(frames_detector(shared), TEXT, changes, shots[0], tuple(shots)))
    before, after = by_the_pipeline(shared, {}, shots), by_the_pipeline(shared, changes, shots)
    assert [shot.before for shot in effect.shots] == [outcome for _, outcome in before]
    assert [shot.after for shot in effect.shots] == [outcome for _, outcome in after]
    assert effect.shown is not None
    np.testing.assert_array_equal(effect.shown.before, before[0][0])
    np.testing.assert_array_equal(effect.shown.after, after[0][0])
    assert effect.before.hits.n == sum(outcome.is_hit for _, outcome in before)
    assert effect.after.indexed.n == sum(outcome.n_lattices > 0 for _, outcome in after)
    assert [outcome for _, outcome in before] != [outcome for _, outcome in after]


def test_pixels_above_the_threshold_are_those_of_the_spots_and_few_others(told: Told, shared: Path) -> None:
    (shot,) = frame_shots(shared, [1])
    found = frames_detector(shared)
    trial = Trial(found, TEXT, {"hitfind": {"min_snr": 6.0, "d_min": 2.0}}, shot, (), threshold=True)
    shown = told.result(trial).shown
    assert shown is not None and shown.above is not None
    above = np.zeros(shot.shape, bool)
    above[tuple(shown.above[:, ::-1].astype(int).T)] = True
    assert not above[found.mask | (found.resolution_map() < 2.0)].any()
    for fs, ss in shown.after:
        assert above[int(ss) - 1 : int(ss) + 2, int(fs) - 1 : int(fs) + 2].any()
    assert above.mean() < 0.01


def test_a_newer_trial_ends_the_one_before(told: Told, shared: Path) -> None:
    shots = frame_shots(shared, list(range(12)))
    many = tuple(
        msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result, number=100 * i + shot.result.number))
        for i in range(20)
        for shot in shots
    )
    old = Trial(frames_detector(shared), TEXT, {"hitfind": {"min_snr": 4.0}}, None, many)
    told.tuner.begin(old)
    effect = told.result(replace(old, shots=tuple(shots), changes={"hitfind": {"min_peaks": 1000}}))
    assert effect.after.hits.n == 0
    assert effect.of == len(shots)
    assert not any(e.finished and e.of == len(many) for e in told.effects)


def test_a_cancelled_trial_says_nothing_more(told: Told) -> None:
    shots = tuple(shot_image(number) for number in range(50))
    told.tuner.begin(Trial(detector(), TEXT, {"hitfind": {"min_snr": 4.0}}, None, shots))
    told.tuner.cancel()
    before = len(told.effects)
    time.sleep(0.3)
    assert not any(e.finished for e in told.effects[before:])
    assert not told.tuner.effect.shots


def test_shots_without_pixels_and_of_another_shape_are_left_out(told: Told) -> None:
    without = msgspec.structs.replace(shot_image(1), payload=b"")
    other = shot_image(2, shape=(100, 100))
    damaged = msgspec.structs.replace(shot_image(3), payload=b"\0" * 40)
    odd = msgspec.structs.replace(shot_image(5), dtype="complex64")
    good = shot_image(4)
    effect = told.result(Trial(detector(), TEXT, {}, damaged, (without, other, damaged, odd, good)))
    assert [shot.key.number for shot in effect.shots] == [4]
    assert effect.shown is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"hitfind": {"min_snr": -1.0}}, "[hitfind] min_snr: should be greater than 0"),
        ({"hitfind": {"min_snr": "much"}}, "[hitfind] min_snr: should be a valid number"),
        ({"hitfind": {"nonsense": 1}}, "[hitfind] nonsense: there is no such setting"),
        ({"hitfind": {"max_pixels": 1}}, "max_pixels (1) must not be smaller than min_pixels (2)"),
        ({"hitfind": {"d_min": 5.0, "d_max": 3.0}}, "d_min (5.0) must be smaller than d_max (3.0)"),
    ],
)
def test_settings_that_make_no_sense_are_a_sentence(told: Told, changes: dict[str, Any], problem: str) -> None:
    effect = told.result(Trial(detector(), TEXT, changes, shot_image(1), (shot_image(1),)))
    assert problem in effect.problem
    assert not effect.shots


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[hitfind", "are no TOML"),
        ('[chain]\nstages = ["dump"]', "has no hit finder"),
        ("[chain]\nstages = 3", "[chain] stages: expected a list of names, found 3"),
        ("hitfind = 3", "hitfind: expected a table of settings, found 3"),
        ("[" * 5000, "are no TOML"),
    ],
)
def test_settings_in_force_that_nobody_understands_are_a_sentence(told: Told, text: str, problem: str) -> None:
    assert problem in told.result(Trial(detector(), text, {}, None, ())).problem
    assert told.result(Trial(detector(), TEXT, {}, None, (shot_image(1),))).finished  # and the thread goes on


def test_a_cell_that_cannot_be_read_here_leaves_the_hit_finder_to_be_tried(told: Told) -> None:
    effect = told.result(
        Trial(detector(), TEXT, {"index": {"cell": "/nowhere/of.cell"}}, None, (shot_image(1), shot_image(2)))
    )
    assert len(effect.shots) == 2
    assert not effect.indexes
    assert effect.note.startswith(
        "Indexing cannot be tried out: [index] cell: the cell file /nowhere/of.cell cannot be"
    )


def test_no_cell_file_is_opened_that_the_settings_in_force_name(told: Told, tmp_path: Path) -> None:
    path = tmp_path / "here.cell"
    path.write_text(cell_text(UnitCell.from_string("79.2 79.2 38.0 90 90 90 P43212")))
    document = tomllib.loads(TEXT)
    text = TEXT.replace(document["index"]["cell"], str(path))
    shots = (shot_image(1), shot_image(2))
    effect = told.result(Trial(detector(), text, {}, None, shots))
    assert len(effect.shots) == 2 and not effect.indexes
    assert effect.note == (f"Indexing cannot be tried out: [index] cell: the file {path} is on the processor's machine")
    assert told.result(Trial(detector(), text, {"index": {"cell": document["index"]["cell"]}}, None, shots)).note


def test_a_chain_without_indexer_indexes_nothing(told: Told) -> None:
    text = TEXT.replace(str(CHAIN).replace("'", '"'), '["hitfind"]')
    effect = told.result(Trial(detector(), text, {}, None, (shot_image(1),)))
    assert not effect.indexes and not effect.note


def test_pixels_that_the_geometry_calls_bad_are_bad_in_a_trial_too(told: Told) -> None:
    flagged = replace(detector(), flag_below=-3.0, flag_above=8.0, flag_values=(5.0,))
    sent = Geometry.of("run-1", 1, flagged).detector()
    assert (sent.flag_below, sent.flag_above, sent.flag_values) == (-3.0, 8.0, (5.0,))
    changes = {"hitfind": {"min_snr": 2.0, "min_pixels": 1, "threshold": 0.0}}
    by_sent, by_flagged, without_flags = (
        told.result(Trial(found, TEXT, changes, None, (shot_image(1),))).shots[0].after.n_spots
        for found in (sent, flagged, detector())
    )
    assert by_sent == by_flagged < 0.1 * without_flags


def test_a_detector_without_photon_energy_is_a_sentence_where_a_resolution_is_asked_for(told: Told) -> None:
    dark = replace(detector(), beam=None)
    effect = told.result(Trial(dark, TEXT, {"hitfind": {"d_min": 2.0}}, None, (shot_image(1),)))
    assert "d_min and d_max need the photon energy" in effect.problem


# -- what comes of it ------------------------------------------------------------------------------------------------

BLANK, HIT, INDEXED = Outcome(3, False, 0), Outcome(30, True, 0), Outcome(40, True, 1)


def shot(number: int, before: Outcome, after: Outcome, kind: Any = "hit") -> ShotEffect:
    return ShotEffect(ShotKey("run-1", number), kind, before, after)


def test_shots_that_are_judged_otherwise_are_listed_the_lost_ones_first() -> None:
    effect = Effect(
        shots=(
            shot(1, BLANK, INDEXED), shot(2, HIT, HIT), shot(3, INDEXED, HIT), shot(4, HIT, BLANK), shot(5, BLANK, HIT),
            shot(6, HIT, INDEXED),
        )
    )  # fmt: skip
    assert [(key.number, text) for key, text in effect.changed()] == [
        (4, "no hit any more"), (3, "not indexed any more"), (5, "now a hit"), (1, "now a hit and indexed"),
        (6, "now indexed"),
    ]  # fmt: skip


def test_shots_are_counted_with_their_interval() -> None:
    tally = Tally.of([BLANK, BLANK, HIT, INDEXED])
    assert (tally.hits.n, tally.hits.of, tally.indexed.n, tally.indexed.of, tally.spots) == (2, 4, 1, 2, 35.0)
    assert tally.hits.low == pytest.approx(0.150, abs=1e-3)
    assert tally.hits.high == pytest.approx(0.850, abs=1e-3)
    assert Tally.of([]).hits.value is None and Tally.of([BLANK]).spots is None


def test_the_expected_hit_rate_gives_each_kind_its_due() -> None:
    shots = (shot(1, BLANK, BLANK, "blank"), shot(2, BLANK, HIT, "blank"), shot(3, HIT, HIT), shot(4, HIT, BLANK))
    effect = Effect(shots=shots, finished=True)
    assert effect.expected_hit_rates({"blank": 90, "hit": 10}) == pytest.approx((0.1, 0.5))
    assert effect.expected_hit_rates({"blank": 90, "hit": 5, "indexed": 5}) is None
    assert effect.expected_hit_rates({}) is None

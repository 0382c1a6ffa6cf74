"""A dark that no longer fits, and pixels that go bad while the stream runs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cspad_frames import NOISE, cspad, frame
from numpy.typing import NDArray

from braggwatch.processing import pipeline as pipeline_module
from braggwatch.processing.average_files import blank_detector
from braggwatch.processing.chain import Chain, Verdict
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.pipeline import Pipeline
from braggwatch.processing.pixel_watch import N_IMAGES, N_LEVELS, BadPixelSearch, DarkDrift
from braggwatch.processing.shot import Shot

DETECTOR = cspad(4)
NOISE_MAP = np.full(DETECTOR.shape, NOISE, np.float32)


def said_of(drift: dict[int, float], water: float = 1.0) -> list[str | None]:
    """What is said of blanks whose panels lie so many ADU from their dark, beside their common mode."""
    watch = DarkDrift(DETECTOR, NOISE_MAP)
    rng = np.random.default_rng(0)
    said = []
    for _ in range(N_LEVELS + 2):
        made = frame(DETECTOR, rng, water=water)
        image = made.image.copy()
        for number, panel in enumerate(DETECTOR.panels):
            # a scatter about the dark of a third of the usual, so that thirty blanks average it away
            image[panel.slices] += drift.get(number, 0.0) - 0.7 * made.levels[number]
        said.append(watch.look(image))
    return said


def test_nothing_is_said_while_the_dark_fits_also_under_water() -> None:
    assert said_of({}, water=2.0) == [None] * (N_LEVELS + 2)


@pytest.mark.parametrize("off", [5.0, -8.0, 300.0])
def test_a_dark_that_fits_no_more_is_named_with_panel_and_size(off: float) -> None:
    said = said_of({2: off})
    assert said[: N_LEVELS - 1] == [None] * (N_LEVELS - 1)
    last = said[-1]
    assert last is not None
    assert "on panel a2, whose noise is 2.2 ADU" in last
    assert float(last.split("blanks lie ")[1].split(" ADU")[0]) == pytest.approx(off, abs=1.5)
    assert "on 1 of 4 panels" in last


def test_a_drift_that_the_common_mode_took_away_is_noticed_too() -> None:
    watch = DarkDrift(DETECTOR, NOISE_MAP)
    rng = np.random.default_rng(1)
    said = None
    for _ in range(N_LEVELS):
        image = rng.normal(0, NOISE, DETECTOR.shape).astype(np.float32)
        said = watch.look(image, np.array([0.1, 9.0, 0.1, 0.1], np.float32))
    assert said is not None
    assert "on panel a1" in said


def test_panels_without_noise_or_pixels_are_not_asked() -> None:
    watch = DarkDrift(DETECTOR, np.zeros(DETECTOR.shape, np.float32))
    for _ in range(N_LEVELS + 1):
        assert watch.look(np.full(DETECTOR.shape, 50, np.float32)) is None


def test_pixels_that_go_bad_are_found_in_blanks_with_scattering() -> None:
    detector = DETECTOR.with_mask(np.arange(DETECTOR.mask.size).reshape(DETECTOR.shape) == 5)
    search = BadPixelSearch(detector)
    rng = np.random.default_rng(3)
    found = None
    for _ in range(N_IMAGES + 40):
        image = frame(detector, rng, water=0.5).image
        image[40, 50] += 2000
        image[300, 20] += rng.normal(0, 300)
        image[500, 100] = 3.0
        image[0, 5] = 9000  # masked already
        found = search.look(image)
        if found is not None:
            break
    assert found is not None
    assert {(40, 50), (300, 20), (500, 100)} <= set(zip(*np.nonzero(found), strict=True))
    assert found.sum() <= 3 + 1e-4 * found.size
    assert not found[0, 5]


def test_small_panels_are_judged_several_at_a_time() -> None:
    detector = cspad(64)
    search = BadPixelSearch(detector)
    blank = np.random.default_rng(4).normal(0, NOISE, detector.shape).astype(np.float32)
    n = next(n for n in range(N_IMAGES + 200) if search.look(blank) is not None)
    assert N_IMAGES + 10 < n < N_IMAGES + 20


class Blank:
    """A stage that finds no hit."""

    def begin(self, series: Series, detector: Detector) -> None: ...

    def event(self, shot: Shot) -> Verdict:
        return Verdict.SKIP

    def end(self) -> None: ...


def test_the_pipeline_tells_and_masks(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "EVERY_S", 0.0)
    shape = (80, 90)
    np.save(tmp_path / "dark.npy", np.full(shape, 1000.0))
    np.save(tmp_path / "noise.npy", np.full(shape, 3.0))
    settings = DetectorSettings(
        dark=str(tmp_path / "dark.npy"), noise=str(tmp_path / "noise.npy"), find_bad_pixels=True
    )
    series = Series(
        key="s", number=1, shape=shape, dtype="uint16", photon_energy=1e4, distance=0.1, beam_center=(45.0, 40.0),
        pixel_size=(1e-4, 1e-4),
    )  # fmt: skip
    line = Pipeline(series, settings, Chain([("blank", Blank())]))
    rng = np.random.default_rng(0)
    notices: dict[str, str] = {}
    for number in range(N_IMAGES + 20):
        image = rng.normal(1007, 3, shape).astype(np.uint16)
        image[11, 12] = 5000
        shot = line.process(_frame(image, number))
        notices |= shot.notices
        if "bad-pixels" in shot.notices:
            break
    drift = float(notices["dark-drift"].split("blanks lie ")[1].split(" ADU")[0])
    assert drift == pytest.approx(6.5, abs=1.0)
    assert notices["bad-pixels"].startswith("1 pixels went dead, hot or noisy")
    assert np.isnan(line.process(_frame(image, 999)).image[11, 12])


def _frame(image: NDArray[np.uint16], number: int) -> Frame:
    return Frame(
        series="s", number=number, payload=bslz4_chunk(image), shape=image.shape, dtype="uint16",
        encoding=Encoding("bslz4", "hdf5"),
    )  # fmt: skip


def test_a_detector_of_one_pixel_is_watched_in_peace() -> None:
    one = replace(blank_detector((1, 1)))
    watch, search = DarkDrift(one, np.ones((1, 1), np.float32)), BadPixelSearch(one)
    for _ in range(N_IMAGES + 2):
        assert watch.look(np.full((1, 1), 500, np.float32)) is None
        search.look(np.full((1, 1), 500, np.float32))

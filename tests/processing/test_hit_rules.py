"""The older hit rules, decision by decision, against a slow and plain implementation."""

from typing import Any

import numpy as np
import pytest
from cspad_frames import cspad, frame
from numpy.typing import NDArray
from pydantic import ValidationError
from slow_spots import is_hit

from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.hitfind import Hitfind, HitfindSettings


def judged(image: NDArray[Any], detector: Detector, **settings: Any) -> Shot:
    series = Series(key="s", number=1, shape=detector.shape, dtype=image.dtype.name)
    frame = Frame(series="s", number=0, payload=b"", shape=detector.shape, dtype=image.dtype.name, encoding=Encoding())
    shot = Shot(series, frame, image, detector)
    stage = Hitfind(HitfindSettings(method="spots", **settings))
    stage.begin(series, detector)
    assert stage.event(shot) is (Verdict.KEEP if shot.is_hit else Verdict.SKIP)
    stage.end()
    return shot


def with_spots(detector: Detector, image: NDArray[Any], per_panel: dict[int, int], height: float) -> NDArray[Any]:
    """Add blobs of five pixels, `height` ADU at their middle."""
    result = image.copy()
    rng = np.random.default_rng(8)
    for number, n in per_panel.items():
        panel = detector.panels[number]
        for cell in rng.permutation(14 * 14)[:n]:
            row, column = 6 + 12 * (cell // 14), 6 + 12 * (cell % 14)
            target = result[panel.slices]
            target[row, column] += height
            for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                target[r, c] += height / 2
    return result


SETTINGS = [
    {"rule": rule, "threshold_adu": threshold, "min_peaks": min_peaks, "central_panels": n, "negate_hits": negate}
    for rule in ("permissive", "restrictive")
    for threshold, min_peaks, n, negate in ((450.0, 16, 4, False), (60.0, 12, 4, True), (60.0, 24, 0, False))
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(str(value) for value in s.values()))
def test_every_decision_is_that_of_the_plain_rules(settings: dict[str, Any]) -> None:
    # four ASICs near the beam, four further out
    detector = cspad(12)
    detector = Detector(detector.panels[:4] + detector.panels[8:12], detector.shape)
    nearest = list(range(4)) if settings["central_panels"] else list(range(8))
    rng = np.random.default_rng(11)
    verdicts = []
    for n_inner, n_outer, height in ((0, 0, 0), (3, 0, 600), (4, 0, 600), (5, 2, 600), (0, 30, 600), (6, 6, 70)):
        blank = frame(detector, rng, water=0.5 if height == 70 else 0.0).image
        image = with_spots(detector, blank, {0: n_inner, 1: n_inner, 2: n_inner, 3: n_inner, 6: n_outer}, height)
        image = np.nan_to_num(image)
        shot = judged(image, detector, **settings)
        expected = is_hit(
            image, detector.panels, nearest, threshold=settings["threshold_adu"], min_peaks=settings["min_peaks"],
            rule=settings["rule"], negate=settings["negate_hits"],
        )  # fmt: skip
        assert shot.is_hit is expected, (n_inner, n_outer, height)
        verdicts.append(shot.is_hit)
    assert len(set(verdicts)) == 2


def test_the_spots_of_a_hit_are_those_of_all_panels_and_of_a_blank_those_searched() -> None:
    detector = cspad(16)
    image = with_spots(detector, frame(detector, np.random.default_rng(1)).image, {0: 20, 12: 9}, 600)
    options = {"threshold_adu": 450.0, "central_panels": 8}
    hit = judged(image, detector, min_peaks=20, **options)
    assert hit.peaks is not None
    assert [int((hit.peaks.panel == number).sum()) for number in (0, 12)] == [20, 9]
    assert (hit.peaks.max_value > 450).all()
    blank = judged(image, detector, min_peaks=21, **options)
    assert blank.peaks is not None
    assert set(blank.peaks.panel) == {0}


def test_restrictive_asks_for_spots_well_above_the_background() -> None:
    detector = cspad(8)
    image = with_spots(detector, frame(detector, np.random.default_rng(1), air=20.0).image, {0: 20}, 700)
    level = np.sort(image.ravel())[int(0.9 * image.size)]
    assert 2.5 * level > 600
    assert judged(image, detector, threshold_adu=450.0, min_peaks=20).is_hit
    strict = judged(image, detector, threshold_adu=450.0, min_peaks=1, rule="restrictive")
    assert strict.peaks is not None
    assert (strict.peaks.max_value > 2.49 * level).all()
    assert not judged(image, detector, threshold_adu=450.0, min_peaks=20, rule="restrictive").is_hit


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "restrictive"}, 'rule = "restrictive" goes with method = "spots" only, found "peakfinder8"'),
        ({"central_panels": 8}, 'central_panels goes with method = "spots" only, found method = "peakfinder8"'),
        ({"method": "spots", "threshold_adu": 450.0, "roi": "0:9,0:9"}, 'roi goes with method = "threshold" only'),
        ({"method": "spots"}, 'method = "spots" needs threshold_adu'),
        ({"method": "spots", "threshold_adu": 450.0, "rule": "both"}, "Input should be 'permissive' or 'restrictive'"),
    ],
)
def test_what_the_older_tools_refused_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HitfindSettings(**settings)

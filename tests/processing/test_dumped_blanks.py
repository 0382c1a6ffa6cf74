"""A sample of the blanks is dumped, so that a team can see that no hits are thrown away."""

from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from braggwatch.processing.chain import Chain, Verdict
from braggwatch.processing.chain_settings import SettingsError, build_chain, resolve_stages
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.one_in import OneIn

SHAPE = (20, 30)
DETECTOR = Detector.single_panel(SHAPE, pixel_size=75e-6, distance=0.1, beam_center=(15, 10), photon_energy=12_000)
SERIES = Series(key="run-1", number=1, dtype="uint16")


def chain(directory: Path, stages: list[str], **blanks: Any) -> Chain:
    """Return a chain in which a pixel of 100 makes a hit."""
    tables: dict[str, dict[str, Any]] = {
        "hitfind": {"method": "threshold", "threshold_adu": 100, "min_peaks": 1},
        "hitfind:strict": {"threshold_adu": 1000},
        "dump": {"directory": directory},
        "dump:blanks": blanks,
    }
    made = build_chain(resolve_stages(stages, tables), {})
    made.begin(SERIES, DETECTOR)
    return made


def shot(number: int, brightest: int) -> Shot:
    image = np.full(SHAPE, 3, np.uint16)
    image[5, 6] = brightest
    frame = Frame(
        series=SERIES.key, number=number, payload=bslz4_chunk(image), shape=SHAPE, dtype="uint16",
        encoding=Encoding("bslz4"),
    )  # fmt: skip
    return Shot(SERIES, frame, image, DETECTOR)


def numbers_in(paths: set[Path]) -> list[int]:
    found: list[int] = []
    for path in paths:
        with h5py.File(path) as file:
            found += file["entry/frames/number"][:].tolist()
    return sorted(found)


@pytest.mark.parametrize("stages", [["hitfind", "dump:hit", "dump:blanks"], ["hitfind", "dump:blanks", "dump:hit"]])
def test_one_of_so_many_blanks_is_dumped_and_counts_as_no_hit(tmp_path: Path, stages: list[str]) -> None:
    made = chain(tmp_path, stages, one_blank_in=5)
    shots = [shot(number, 200 if number % 3 == 0 else 50) for number in range(90)]
    for one in shots:
        made.event(one)
    made.end()
    blanks, hits = [one for one in shots if one.number % 3], [one for one in shots if one.number % 3 == 0]
    assert not any(one.is_hit for one in blanks)
    dumped = [one for one in blanks if one.dumped]
    assert Counter(blanks.index(one) // 5 for one in dumped) == dict.fromkeys(range(12), 1)
    assert {place.dump for one in dumped for place in one.dumped} == {"blanks"}
    assert [[place.dump for place in one.dumped] for one in hits] == [["hit"]] * 30
    assert numbers_in({one.dumped[0].path for one in dumped}) == [one.number for one in dumped]
    assert numbers_in({one.dumped[0].path for one in hits}) == [one.number for one in hits]


@pytest.mark.parametrize("format_", ["tiff", "cbf", "npy"])
def test_blanks_are_dumped_as_single_files(tmp_path: Path, format_: str) -> None:
    made = chain(tmp_path, ["hitfind", "dump:blanks"], one_blank_in=1, format=format_)
    shots = [shot(number, 200 if number % 2 else 50) for number in range(6)]
    for one in shots:
        made.event(one)
    assert [len(one.dumped) for one in shots] == [1, 0, 1, 0, 1, 0]
    assert len(list(tmp_path.glob(f"blanks_*.{format_}"))) == 3


def test_what_a_second_hit_test_refuses_is_a_blank_and_no_other_stage_sees_it(tmp_path: Path) -> None:
    made = chain(tmp_path, ["hitfind", "dump:hit", "hitfind:strict", "dump:strict", "dump:blanks"], one_blank_in=1)
    seen = [shot(0, 50), shot(1, 500), shot(2, 5000)]
    for one in seen:
        made.event(one)
    made.end()
    assert [[place.dump for place in one.dumped] for one in seen] == [["blanks"], ["hit", "blanks"], ["hit", "strict"]]


class NoLattice:
    """Ends the way of every shot, as a stage that finds no lattice in it."""

    def begin(self, series: Series, detector: Detector) -> None:
        pass

    def event(self, shot: Shot) -> Verdict:
        return Verdict.SKIP

    def end(self) -> None:
        pass


def test_a_hit_without_a_lattice_is_no_blank(tmp_path: Path) -> None:
    made = chain(tmp_path, ["hitfind", "dump:blanks"], one_blank_in=1)
    stages = list(made.stages)
    made = Chain([stages[0], ("index", NoLattice()), stages[1]])
    hit, blank = shot(0, 200), shot(1, 50)
    made.event(hit)
    made.event(blank)
    assert ([place.dump for place in hit.dumped], [place.dump for place in blank.dumped]) == ([], ["blanks"])
    assert set(hit.timings) == {"hitfind", "index"}
    assert set(blank.timings) == {"hitfind", "dump:blanks"}


def test_a_sample_holds_one_of_each_so_many_and_any_of_them() -> None:
    taken = Counter[int]()
    for _ in range(400):
        sample = OneIn(4)
        first, second = ([sample.takes_next() for _ in range(4)] for _ in range(2))
        assert (sum(first), sum(second)) == (1, 1)
        taken[first.index(True)] += 1
    assert set(taken) == {0, 1, 2, 3}


def test_a_dump_of_blanks_belongs_behind_what_tells_them(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError,
        match=r"^\[dump:blanks\] one_blank_in: expected a stage before it that tells hits from blanks, found none: put "
        r"dump:blanks behind hitfind in \[chain\] stages$",
    ):
        chain(tmp_path, ["dump:blanks", "hitfind"], one_blank_in=10)


def test_not_every_dump_can_be_one_of_blanks() -> None:
    with pytest.raises(
        SettingsError,
        match=r'^\[dump\] one_blank_in: expected in the table of one dump, such as \["dump:blanks"\], not in that of '
        r"all: dump:hit would write blanks instead of hits$",
    ):
        resolve_stages(["hitfind", "dump:hit"], {"dump": {"one_blank_in": 10}})

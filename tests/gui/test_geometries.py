"""Where the pixels of several runs were."""

import msgspec
import pytest
from messages_by_hand import geometry

from braggwatch.gui.geometries import MAX_DETECTORS, MAX_RUNS, Geometries
from braggwatch.streamer.picture_messages import Geometry


def of_run(number: int, width: int = 240) -> Geometry:
    return msgspec.structs.replace(geometry((200, width)), series=f"run-{number}", run=number)


def test_each_run_has_its_own_geometry_and_runs_with_the_same_share_it() -> None:
    geometries = Geometries()
    first = geometries.add(of_run(1))
    other = geometries.add(of_run(2, width=120))
    assert geometries.add(of_run(3)) is first
    assert [geometries.of(f"run-{n}") for n in (1, 2, 3, 4)] == [first, other, first, None]


def test_a_geometry_that_changes_within_a_run_takes_the_place_of_the_one_before() -> None:
    geometries = Geometries()
    geometries.add(of_run(1))
    changed = geometries.add(of_run(1, width=120))
    assert geometries.of("run-1") is changed


def test_earlier_runs_are_known_by_hearsay_unless_they_were_heard_themselves() -> None:
    geometries = Geometries()
    own = geometries.add(of_run(1))
    later = geometries.add(msgspec.structs.replace(of_run(3, width=120), alike=("run-1", "run-2")))
    assert [geometries.of(f"run-{n}") for n in (1, 2, 3)] == [own, later, later]


def test_only_the_last_geometries_and_runs_are_kept() -> None:
    geometries = Geometries()
    for n in range(MAX_DETECTORS + 2):
        geometries.add(of_run(n, width=100 + n))
    assert [geometries.of(f"run-{n}") is None for n in range(MAX_DETECTORS + 2)] == [True] * 2 + [False] * MAX_DETECTORS
    many = tuple(f"earlier-{n}" for n in range(3 * MAX_RUNS))
    geometries.add(msgspec.structs.replace(of_run(99), alike=many))
    assert geometries.of(many[0]) is None
    assert geometries.of(many[-1]) is geometries.of("run-99") is not None


def test_a_geometry_that_makes_no_sense_is_refused_and_those_before_stay() -> None:
    geometries = Geometries()
    first = geometries.add(of_run(1))
    with pytest.raises(ValueError, match="the mask cannot be unpacked"):
        geometries.add(msgspec.structs.replace(of_run(2), mask=b"nonsense"))
    assert geometries.of("run-1") is first
    assert geometries.of("run-2") is None

"""The last hits from before the window came."""

import msgspec
import pytest
from messages_by_hand import NotingOutbox, geometry, result, shot_image

from braggwatch.gui import shot_memory
from braggwatch.gui.earlier_shots import AT_MOST, EarlierShots
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.archive_messages import Refusal, Shot, ShotWanted
from braggwatch.streamer.feed_messages import LastShots, ShotSummary
from braggwatch.streamer.messages import State


class Bench:
    def __init__(self) -> None:
        self.outbox = NotingOutbox()
        self.monitor = Monitor(self.outbox)
        self.earlier = EarlierShots(self.monitor)

    def tell_last(self, *numbers: int, state: State = State.HIT) -> None:
        self.monitor.take([LastShots((), tuple(
            ShotSummary(time=1000.0 + number, series="run-1", number=number, state=state) for number in numbers
        ))])  # fmt: skip

    def wanted(self) -> list[int]:
        return [request.number for request, _ in self.outbox.asked if isinstance(request, ShotWanted)]

    def give(self) -> None:
        (number,) = self.wanted()
        self.outbox.answer(Shot("run-1", number, shot_image(number)))

    def remembered(self) -> list[int]:
        return [image.result.number for image in self.monitor.remembered]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_last_hits_are_fetched_one_at_a_time_and_put_in_order_of_time_while_the_shown_shot_stays(
    bench: Bench,
) -> None:
    bench.monitor.take([shot_image(9)])
    bench.tell_last(3, 5, 7, 9)
    for number in (7, 5, 3):
        assert bench.wanted() == [number]
        bench.give()
        assert bench.monitor.shot is not None and bench.monitor.shot.result.number == 9 and bench.monitor.live
    assert bench.wanted() == []
    assert bench.remembered() == [3, 5, 7, 9]


def test_shots_of_the_same_moment_stay_in_the_order_in_which_they_are_told(bench: Bench) -> None:
    at_once = [msgspec.structs.replace(shot_image(number), time=1000.0) for number in (3, 5, 7, 9)]
    bench.monitor.take([at_once.pop()])
    bench.tell_last(3, 5, 7, 9)
    while at_once:
        bench.outbox.answer(Shot("run-1", at_once[-1].result.number, at_once.pop()))
    assert bench.remembered() == [3, 5, 7, 9]


def test_of_many_hits_only_the_last_are_fetched_and_no_other_kind_of_shot(bench: Bench) -> None:
    bench.tell_last(1, 2, state=State.FAILED)
    assert bench.wanted() == []
    bench = Bench()
    bench.tell_last(*range(100))
    while bench.wanted():
        bench.give()
    assert bench.remembered() == list(range(100 - AT_MOST, 100))


def test_shots_that_are_told_of_later_are_not_fetched(bench: Bench) -> None:
    bench.tell_last(1)
    bench.give()
    bench.tell_last(1, 2, 3)
    assert bench.wanted() == []


def test_a_shot_that_is_not_to_be_had_does_not_keep_the_others_back(bench: Bench) -> None:
    bench.tell_last(1, 2, 3)
    bench.outbox.answer(Shot("run-1", 3, None, "frame 3 was dropped under overload"))
    bench.outbox.answer(Refusal("the archive has not answered for 20 s"))
    bench.give()
    assert bench.remembered() == [1]


def test_a_new_run_ends_it_but_hearing_of_the_present_one_does_not(bench: Bench) -> None:
    bench.tell_last(1, 2, 3)
    bench.monitor.take([geometry()])
    bench.give()
    assert bench.wanted() == [2]
    bench.monitor.take([msgspec.structs.replace(geometry(), series="run-2", run=2)])
    bench.give()
    assert bench.wanted() == []


def test_another_processor_ends_it_and_its_own_hits_are_fetched(bench: Bench) -> None:
    bench.tell_last(1, 2, 3)
    bench.monitor.begin_anew()
    bench.give()
    assert bench.wanted() == [] and bench.remembered() == []
    bench.tell_last(5)
    assert bench.wanted() == [5]


def test_it_ends_when_the_memory_is_full_and_gives_up_no_newer_shot(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(shot_image(9).payload)
    monkeypatch.setattr(shot_memory, "MAX_BYTES", int(2.5 * size))
    bench.monitor.take([shot_image(9)])
    bench.tell_last(3, 5, 7, 9)
    bench.give()
    bench.give()
    assert bench.wanted() == []
    assert bench.remembered() == [7, 9]


def test_shots_without_pixels_do_not_pile_up_without_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shot_memory, "MAX_SHOTS", 3)
    bench.monitor.take([msgspec.structs.replace(shot_image(number), payload=b"") for number in range(5)])
    assert bench.remembered() == [2, 3, 4]


def test_a_shot_that_is_heard_of_twice_is_remembered_once(bench: Bench) -> None:
    bench.tell_last(1)
    bench.monitor.take([shot_image(1)])
    bench.give()
    bench.monitor.take([shot_image(1)])
    assert bench.remembered() == [1]


def test_a_remembered_shot_without_pixels_is_asked_for_when_it_is_chosen_so_that_it_is_said_why(bench: Bench) -> None:
    bench.monitor.take([msgspec.structs.replace(shot_image(1), result=result(1), payload=b"")])
    bench.monitor.select([ShotKey("run-1", 1)])
    assert bench.wanted() == [1]
    bench.outbox.answer(Shot("run-1", 1, next(iter(bench.monitor.remembered)), "frame 1 was not dumped"))
    assert bench.monitor.shot_problem == "frame 1 was not dumped"

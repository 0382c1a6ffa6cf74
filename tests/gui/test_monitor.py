"""What the window knows, and which shot it shows."""

import msgspec
import pytest
from messages_by_hand import NotingOutbox, geometry, hit_row, hits, shot_image

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.archive_messages import MAX_TAGGED, Hits, HitsWanted, Shot, ShotWanted, TaggedShot
from braggwatch.streamer.messages import State


def shown(monitor: Monitor) -> int | None:
    return None if monitor.shot is None else monitor.shot.result.number


def with_hits(*numbers: int) -> tuple[Monitor, NotingOutbox]:
    outbox = NotingOutbox()
    monitor = Monitor(outbox)
    monitor.ask_for_hits()
    outbox.answer(hits([hit_row(i + 1, number) for i, number in enumerate(numbers)]))
    return monitor, outbox


def test_the_image_follows_the_newest_shot_of_the_kind_that_was_chosen() -> None:
    monitor = Monitor(NotingOutbox())
    monitor.take([shot_image(1, State.INDEXED), shot_image(2, State.HIT), shot_image(3, State.BLANK)])
    assert shown(monitor) == 1
    monitor.go_live("hit")
    assert shown(monitor) == 2
    monitor.go_live("frame")
    assert shown(monitor) == 3
    monitor.take([shot_image(4, State.BLANK)])
    assert shown(monitor) == 4


def test_a_chosen_shot_stays_until_the_view_goes_live_again() -> None:
    monitor = Monitor(NotingOutbox())
    monitor.take([shot_image(1)])
    monitor.pause()
    monitor.take([shot_image(2)])
    assert shown(monitor) == 1 and not monitor.live
    monitor.go_live()
    assert shown(monitor) == 2 and monitor.live


def test_a_shot_that_is_not_at_hand_is_asked_for_and_shown_when_it_comes() -> None:
    monitor, outbox = with_hits(5, 9)
    monitor.select([ShotKey("run-1", 9)])
    (request, _) = outbox.asked[-1]
    assert request == ShotWanted("run-1", 9)
    outbox.answer(Shot("run-1", 9, shot_image(9)))
    assert shown(monitor) == 9


def test_an_answer_that_comes_after_the_user_has_gone_on_is_left_out() -> None:
    monitor, outbox = with_hits(5, 9)
    monitor.select([ShotKey("run-1", 5)])
    monitor.select([ShotKey("run-1", 9)])
    outbox.answer(Shot("run-1", 5, shot_image(5)))
    assert shown(monitor) is None
    outbox.answer(Shot("run-1", 9, shot_image(9)))
    assert shown(monitor) == 9


def test_steps_go_through_the_selection_or_else_through_all_hits_and_stop_at_the_ends() -> None:
    monitor, _ = with_hits(5, 9, 12)
    monitor.select([ShotKey("run-1", 9)])
    monitor.step(-1)
    assert monitor.selected == ShotKey("run-1", 5)
    monitor.step(10)
    assert monitor.selected == ShotKey("run-1", 12)
    monitor.select([ShotKey("run-1", 12), ShotKey("run-1", 5)])
    monitor.step(1)
    monitor.step(1)
    assert monitor.selected == ShotKey("run-1", 5) and len(monitor.selection) == 2


def test_hits_are_asked_for_until_there_are_no_more_and_each_is_kept_once() -> None:
    outbox = NotingOutbox()
    monitor = Monitor(outbox)
    monitor.ask_for_hits()
    monitor.ask_for_hits()
    assert len(outbox.asked) == 1
    outbox.answer(hits([hit_row(1, 5), hit_row(2, 6)], more=True))
    assert outbox.asked[0][0] == HitsWanted(after=2)
    outbox.answer(hits([hit_row(2, 6), hit_row(4, 8)]))
    assert monitor.hits.hits["number"].tolist() == [5, 6, 8]
    assert len(monitor.hits.lattices) == 3
    assert not outbox.asked


def test_hits_of_an_earlier_processor_are_not_mixed_with_those_of_the_next() -> None:
    monitor, outbox = with_hits(5)
    monitor.ask_for_hits()
    monitor.begin_anew()
    assert len(monitor.hits) == 0
    monitor.ask_for_hits()
    outbox.answer(hits([hit_row(7, 70)]))
    assert len(monitor.hits) == 0
    outbox.answer(Hits((), 0, False))


def test_a_geometry_that_makes_no_sense_is_a_line_and_nothing_else() -> None:
    monitor = Monitor(NotingOutbox())
    said: list[str] = []
    monitor.said.connect(said.append)
    monitor.take([geometry()])
    before = monitor.detector
    monitor.take([msgspec.structs.replace(geometry(), mask=b"nonsense")])
    assert monitor.detector is before
    assert said == [
        "the geometry that the processor sent makes no sense: the mask cannot be unpacked: "
        "Error -3 while decompressing data: incorrect header check"
    ]


def test_more_hits_than_there_was_room_for_at_first_keep_their_rows() -> None:
    monitor, _ = with_hits(*range(5000))
    assert monitor.hits.hits["number"].tolist() == list(range(5000))
    assert monitor.hits.find(ShotKey("run-1", 4321)) == 4321
    assert monitor.hits.key(77) == ShotKey("run-1", 77)
    assert monitor.hits.lattices["hit"].tolist() == list(range(5000))


def test_the_powders_of_an_earlier_processor_are_told_to_be_gone() -> None:
    monitor = Monitor(NotingOutbox())
    changed: list[str] = []
    monitor.powder_changed.connect(changed.append)
    monitor.begin_anew()
    assert sorted(changed) == ["all", "hits", "spots"] and not monitor.powders


def test_tags_that_others_have_given_or_taken_come_with_the_hits_and_are_asked_for_by_their_state() -> None:
    monitor, outbox = with_hits(5, 9, 12)
    changed: list[list[int]] = []
    monitor.tags_changed.connect(changed.append)
    monitor.ask_for_hits()
    assert outbox.asked[0][0] == HitsWanted(after=3, tags="")
    good, salt = TaggedShot("run-1", 5, ("good",)), TaggedShot("run-1", 12, ("salt",))
    outbox.answer(Hits((), 3, False, tags="2 2 7.0", tagged=(good, salt, TaggedShot("run-1", 6, ("blank",)))))
    assert [monitor.hits.row(row).tags for row in range(3)] == [("good",), (), ("salt",)]
    monitor.ask_for_hits()
    assert outbox.asked[0][0] == HitsWanted(after=3, tags="2 2 7.0")
    outbox.answer(Hits((), 3, False, tags="2 2 7.0"))
    monitor.ask_for_hits()
    outbox.answer(Hits((), 3, False, tags="1 1 7.0", tagged=(good,)))
    assert [monitor.hits.row(row).tags for row in range(3)] == [("good",), (), ()]
    assert changed == [[0, 2], [2]]


def test_of_more_tagged_shots_than_one_answer_has_the_others_keep_their_tags() -> None:
    monitor, outbox = with_hits(5, 9)
    monitor.retag(ShotKey("run-1", 9), ("old",))
    monitor.ask_for_hits()
    many = tuple(TaggedShot("run-1", 1000 + number, ("ice",)) for number in range(MAX_TAGGED))
    outbox.answer(Hits((), 2, False, tags="many", tagged=many))
    assert monitor.hits.row(1).tags == ("old",)


def test_while_page_after_page_of_hits_comes_it_is_said_seldom_and_in_the_end() -> None:
    outbox = NotingOutbox()
    monitor = Monitor(outbox)
    told: list[int] = []
    monitor.hits_changed.connect(lambda: told.append(len(monitor.hits)))
    monitor.ask_for_hits()
    for page in range(20):
        rows = [hit_row(10 * page + i, 10 * page + i) for i in range(10)]
        outbox.answer(hits(rows, more=page < 19))
    assert told[0] == 10 and told[-1] == 200
    assert len(told) < 10
    monitor.ask_for_hits()
    outbox.answer(hits([hit_row(300, 300)]))
    monitor.ask_for_hits()
    outbox.answer(hits([]))
    assert told[-2:] == [200, 201]


def test_a_page_of_hits_with_numbers_that_cannot_be_leaves_those_before_as_they_are() -> None:
    monitor, _ = with_hits(5, 9)
    impossible = msgspec.structs.replace(hit_row(4, 13), n_peaks=2**40)
    with pytest.raises(OverflowError):
        monitor.hits.extend([hit_row(3, 12), impossible])
    assert len(monitor.hits) == len(monitor.hits.hits) == 2
    assert monitor.hits.find(ShotKey("run-1", 12)) is None
    monitor.hits.extend([hit_row(3, 12)])
    assert monitor.hits.key(2) == ShotKey("run-1", 12) and monitor.hits.row(2).number == 12

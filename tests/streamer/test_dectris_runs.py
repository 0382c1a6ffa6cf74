"""Series out of messages of which some are missing, doubled, out of order or from a detector that was restarted."""

from typing import Any

import pytest

from braggwatch.processing.frame import Encoding, Event, Frame, Refused, Series, SeriesEnd
from braggwatch.streamer.sources.runs import Runs
from braggwatch.streamer.sources.wire import End, Image


def start(number: int = 1, name: str = "", **fields: Any) -> Series:
    return Series(key="", number=number, name=name, **fields)


def image(number: int, series: int = 1, name: str = "", **fields: Any) -> Image:
    given: dict[str, Any] = {"payload": b"", "shape": (2, 3), "dtype": "uint16", "encoding": Encoding()} | fields
    return Image(series=series, name=name, number=number, **given)


def told(events: list[Event]) -> list[str]:
    """Events in short: keys with the session's name left out."""
    words = []
    for event in events:
        match event:
            case Series():
                words.append(f"begin {event.key[2:]}{' late' if event.joined_late else ''}")
            case Frame():
                words.append(f"frame {event.series[2:]} {event.number}")
            case SeriesEnd():
                words.append(f"end {event.series[2:]}")
            case Refused():
                words.append(f"refused {event.kind}")
    return words


def story(runs: Runs, *messages: Any) -> list[str]:
    """What messages mean, each a message or a pair of endpoint and message."""
    words = []
    for message in messages:
        endpoint, message = message if isinstance(message, tuple) else (0, message)
        words += told(runs.take(message, endpoint))
    return words


@pytest.fixture
def runs() -> Runs:
    return Runs(session="S")


@pytest.fixture
def two_endpoints() -> Runs:
    return Runs(2, session="S")


def test_a_series_begins_has_frames_and_ends(runs: Runs) -> None:
    assert story(runs, start(), image(0), image(1), End(1)) == ["begin 1-1", "frame 1-1 0", "frame 1-1 1", "end 1-1"]


def test_two_series_follow_each_other(runs: Runs) -> None:
    words = story(runs, start(1), image(0, 1), End(1), start(2), image(0, 2), End(2))
    assert words == ["begin 1-1", "frame 1-1 0", "end 1-1", "begin 2-2", "frame 2-2 0", "end 2-2"]


def test_what_the_start_message_said_goes_into_the_series(runs: Runs) -> None:
    (event,) = runs.take(start(4, "ABC", photon_energy=12000.0))
    assert isinstance(event, Series)
    assert (event.key, event.number, event.name, event.photon_energy) == ("S-1-4", 4, "ABC", 12000.0)


def test_joining_in_mid_series_makes_a_series_of_what_the_image_tells(runs: Runs) -> None:
    events = runs.take(image(17, 5, "ABC"))
    assert told(events) == ["begin 1-5 late", "frame 1-5 17"]
    assert isinstance(events[0], Series)
    assert (events[0].name, events[0].shape, events[0].dtype) == ("ABC", (2, 3), "uint16")
    assert story(runs, image(18, 5, "ABC"), End(5, "ABC")) == ["frame 1-5 18", "end 1-5"]


def test_the_next_start_ends_a_series_whose_end_was_lost(runs: Runs) -> None:
    words = story(runs, start(1), image(0), start(2), image(0, 2))
    assert words == ["begin 1-1", "frame 1-1 0", "end 1-1", "begin 2-2", "frame 2-2 0"]


def test_a_restarted_detector_begins_a_new_series_under_the_old_number(runs: Runs) -> None:
    words = story(runs, start(1), image(0), image(1), start(1), image(0), End(1))
    assert words == ["begin 1-1", "frame 1-1 0", "frame 1-1 1", "end 1-1", "begin 2-1", "frame 2-1 0", "end 2-1"]


def test_a_series_sent_again_under_the_same_id_is_another_series(runs: Runs) -> None:
    words = story(runs, start(1, "A"), image(0, 1, "A"), End(1, "A"), start(1, "A"), image(0, 1, "A"), End(1, "A"))
    assert words == ["begin 1-1", "frame 1-1 0", "end 1-1", "begin 2-1", "frame 2-1 0", "end 2-1"]


def test_a_start_message_sent_twice_begins_one_series(runs: Runs) -> None:
    assert story(runs, start(1), start(1), image(0)) == ["begin 1-1", "frame 1-1 0"]
    assert runs.ignored == {"repeated start": 1}


def test_a_second_start_message_that_says_otherwise_begins_another_series(runs: Runs) -> None:
    words = story(runs, start(1, photon_energy=9000.0), start(1, photon_energy=9500.0), image(0))
    assert words == ["begin 1-1", "end 1-1", "begin 2-1", "frame 2-1 0"]


def test_a_frame_sent_twice_is_said_twice(runs: Runs) -> None:
    assert story(runs, start(1), image(0), image(0)) == ["begin 1-1", "frame 1-1 0", "frame 1-1 0"]


def test_an_end_of_no_series_is_only_counted(runs: Runs) -> None:
    assert story(runs, End(3), start(1), End(3), End(1), End(1)) == ["begin 1-1", "end 1-1"]
    assert runs.ignored == {"end of an unknown series": 3}


def test_a_single_image_under_a_damaged_number_does_not_end_the_series(runs: Runs) -> None:
    words = story(runs, start(1), image(0), image(1, 70), image(2), image(3, 70), End(1))
    assert words == ["begin 1-1", "frame 1-1 0", "refused series", "frame 1-1 2", "refused series", "end 1-1"]


def test_images_under_ever_new_numbers_are_refused(runs: Runs) -> None:
    events = [event for number in range(7) for event in runs.take(image(number, 70 + number) if number else start(1))]
    assert told(events) == ["begin 1-1", *["refused series"] * 5]
    assert isinstance(events[1], Refused)
    assert events[1].reason == "a single image of series 71; open is 1"


def test_two_images_of_a_series_whose_start_was_lost_begin_it(runs: Runs) -> None:
    words = story(runs, start(1), image(0), image(4, 2), image(5, 2), End(2))
    assert words == ["begin 1-1", "frame 1-1 0", "end 1-1", "begin 2-2 late", "frame 2-2 4", "frame 2-2 5", "end 2-2"]


def test_the_only_image_of_a_series_whose_start_was_lost_is_not_lost(runs: Runs) -> None:
    words = story(runs, start(1), image(0), image(4, 2), End(2))
    assert words == ["begin 1-1", "frame 1-1 0", "end 1-1", "begin 2-2 late", "frame 2-2 4", "end 2-2"]


def test_an_image_of_another_shape_or_dtype_than_the_series_is_refused_by_its_number(runs: Runs) -> None:
    runs.take(start(1, shape=(2, 3), dtype="uint16"))
    assert runs.take(image(8, shape=(2, 4))) == [
        Refused("an image of (2, 4) (ss, fs) pixels in a series of (2, 3)", "shape", "S-1-1", 8)
    ]
    assert runs.take(image(9, dtype="uint32")) == [
        Refused("an image of uint32 in a series of uint16", "dtype", "S-1-1", 9)
    ]


def test_a_shape_in_the_wrong_order_is_turned_to_the_headers(runs: Runs) -> None:
    runs.take(start(1, shape=(2, 3)))
    (frame,) = runs.take(image(0, shape=(3, 2)))
    assert isinstance(frame, Frame)
    assert frame.shape == (2, 3)


def test_images_spread_over_two_endpoints_are_one_series(two_endpoints: Runs) -> None:
    words = story(
        two_endpoints,
        (0, start(1, "A")),
        (1, start(1, "A")),
        (0, image(0, 1, "A")),
        (1, image(1, 1, "A")),
        (0, End(1, "A")),
        (1, image(3, 1, "A")),
        (1, End(1, "A")),
    )
    assert words == ["begin 1-1", "frame 1-1 0", "frame 1-1 1", "frame 1-1 3", "end 1-1"]


def test_a_slow_endpoint_does_not_begin_the_series_again(two_endpoints: Runs) -> None:
    words = story(two_endpoints, (0, start(1)), (0, image(0)), (0, End(1)), (1, start(1)), (1, image(1)), (1, End(1)))
    assert words == ["begin 1-1", "frame 1-1 0", "frame 1-1 1", "end 1-1"]


def test_an_endpoint_still_in_the_last_series_gets_its_frames_into_it(two_endpoints: Runs) -> None:
    words = story(
        two_endpoints,
        *((endpoint, start(1)) for endpoint in (0, 1)),
        (0, image(0)),
        (0, End(1)),
        (0, start(2)),
        (1, image(1)),
        (0, image(0, 2)),
        (1, End(1)),
        (1, start(2)),
        (1, image(1, 2)),
        (0, End(2)),
        (1, End(2)),
    )
    assert words == [
        "begin 1-1", "frame 1-1 0", "begin 2-2", "frame 1-1 1", "frame 2-2 0", "end 1-1", "frame 2-2 1", "end 2-2"
    ]  # fmt: skip


def test_an_endpoint_that_never_says_anything_does_not_hold_up_the_next_series(two_endpoints: Runs) -> None:
    words = story(two_endpoints, (0, start(1)), (0, image(0)), (0, End(1)), (0, start(2)), (0, image(0, 2)))
    assert words == ["begin 1-1", "frame 1-1 0", "end 1-1", "begin 2-2", "frame 2-2 0"]


def test_a_start_that_another_endpoints_image_overtook_completes_the_series(two_endpoints: Runs) -> None:
    words = story(two_endpoints, (1, image(1)), (0, start(1, photon_energy=9000.0)), (0, image(0)), (1, image(3)))
    assert words == ["begin 1-1 late", "frame 1-1 1", "begin 1-1", "frame 1-1 0", "frame 1-1 3"]


def test_keys_differ_from_one_program_to_the_next() -> None:
    (first,), (second,) = Runs(session="A").take(start(1)), Runs(session="B").take(start(1))
    assert isinstance(first, Series)
    assert isinstance(second, Series)
    assert first.key != second.key

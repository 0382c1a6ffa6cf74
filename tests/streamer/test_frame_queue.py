"""Frames that wait: in their order, within the memory that they may take, and the bytes always those of what waits."""

import pytest
from by_hand import frames_of

from braggwatch.streamer.frame_queue import FrameQueue
from braggwatch.streamer.hub_settings import Drop
from braggwatch.streamer.workforce import Entry


def entries(*sizes: int) -> list[Entry]:
    return [Entry(frame, 0.0, size) for frame, size in zip(frames_of("s", range(len(sizes))), sizes, strict=True)]


def numbers(found: list[Entry]) -> list[int]:
    return [entry.frame.number for entry in found]


@pytest.mark.parametrize(("drop", "dropped"), [("oldest", [0, 1]), ("newest", [3, 2]), ("never", [])])
def test_what_takes_too_much_memory_is_dropped_at_the_end_that_the_settings_say(drop: Drop, dropped: list[int]) -> None:
    queue = FrameQueue(drop, 25)
    for entry in entries(10, 10, 10, 10):
        queue.append(entry)
    assert queue.has_room is (drop != "never")
    assert numbers(list(queue.surplus())) == dropped
    left = queue.n_bytes
    assert numbers(queue.empty()) == sorted({0, 1, 2, 3} - set(dropped))
    assert (left, queue.n_bytes, len(queue)) == (40 - 10 * len(dropped), 0, 0)


def test_one_frame_stays_however_large() -> None:
    queue = FrameQueue("oldest", 25)
    for entry in entries(10, 100):
        queue.append(entry)
    assert numbers(list(queue.surplus())) == [0]
    assert (len(queue), queue.n_bytes) == (1, 100)


def test_what_is_put_back_is_the_next_again() -> None:
    queue = FrameQueue("oldest", 100)
    for entry in entries(1, 2, 4):
        queue.append(entry)
    first, second = queue.take(), queue.take()
    queue.put_back(second)
    queue.put_back(first)
    assert queue.n_bytes == 7
    assert [queue.take() for _ in range(2)] == [first, second]
    assert (len(queue), queue.n_bytes) == (1, 4)

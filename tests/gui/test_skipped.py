"""Frames that were left out unseen, where nothing else came."""

from messages_by_hand import NotingOutbox
from numbers_by_hand import bins, history, status

from braggwatch.gui.image_wording import nothing_to_show
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.skipped import all_skipped
from braggwatch.streamer.feed_messages import Ledger
from braggwatch.streamer.messages import State

SENTENCE = "All 1\u2009234 frames so far were left out unseen: [select] in the settings keeps only others."


def test_where_all_frames_were_left_out_panels_say_so_instead_of_waiting_for_frames() -> None:
    told = status(totals=Ledger.of({"skipped": 1234, "waiting": 3}, 1237))
    assert all_skipped(told) == SENTENCE
    monitor = Monitor(NotingOutbox())
    monitor.take([told, history(bins({State.SKIPPED: [600, 634]}))])
    assert nothing_to_show(monitor) == SENTENCE


def test_as_soon_as_a_frame_was_looked_at_nothing_is_said_of_it() -> None:
    assert all_skipped(status(totals=Ledger.of({"skipped": 1234, "blank": 1}, 1235))) == ""
    assert all_skipped(status(totals=Ledger.of({}, 0))) == ""

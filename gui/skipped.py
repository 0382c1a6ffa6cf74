"""Frames that are left out unseen, because the settings keep only those of another laser state. Free of Qt."""

from braggwatch.streamer.feed_messages import Status
from braggwatch.streamer.messages import State
from braggwatch.streamer.wording import count


def all_skipped(status: Status) -> str:
    """Return, as a sentence, that all frames so far were left out; empty where that is not so."""
    counts = status.totals.counts
    looked_at = sum(counts.get(state, 0) for state in (State.BLANK, State.HIT, State.INDEXED))
    n = counts.get(State.SKIPPED, 0)
    if looked_at or n <= 0:
        return ""
    return f"All {count(n)} frames so far were left out unseen: [select] in the settings keeps only others."

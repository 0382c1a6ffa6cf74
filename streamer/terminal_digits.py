"""Digits three rows high, for the numbers that a team steers by."""

from braggwatch.streamer.feed_messages import Rate
from braggwatch.streamer.wording import UNKNOWN

HEIGHT = 3
"""Rows."""

_GLYPHS = {
    "0": ("┏━┓", "┃ ┃", "┗━┛"),
    "1": (" ╻ ", " ┃ ", " ╹ "),
    "2": ("╺━┓", "┏━┛", "┗━╸"),
    "3": ("╺━┓", " ━┫", "╺━┛"),
    "4": ("╻ ╻", "┗━┫", "  ╹"),
    "5": ("┏━╸", "┗━┓", "╺━┛"),
    "6": ("┏━╸", "┣━┓", "┗━┛"),
    "7": ("╺━┓", "  ┃", "  ╹"),
    "8": ("┏━┓", "┣━┫", "┗━┛"),
    "9": ("┏━┓", "┗━┫", "╺━┛"),
    ".": (" ", " ", "."),
    "–": ("   ", "╺━╸", "   "),
}


def large_percent(rate: Rate, row: int) -> str:
    """Return one of the rows of a proportion in percent; of a dash where it is not known."""
    digits = UNKNOWN if rate.value is None else f"{100 * rate.value:.1f}"
    drawn = " ".join(_GLYPHS[c][row] for c in digits).replace("  .  ", " . ")
    return drawn + (" %" if row == HEIGHT - 1 and rate.value is not None else "")

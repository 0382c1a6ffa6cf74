"""How numbers are said to people: units always, thin spaces, and a dash for what is not known."""

import math
import time
import unicodedata

from braggwatch.streamer.feed_messages import Rate

UNKNOWN = "–"
THIN_SPACE = "\u2009"


def said(value: float | None, unit: str, digits: int = 1) -> str:
    """Return a number with so many decimals and its unit."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:.{digits}f} {unit}".rstrip()


def count(n: int | None) -> str:
    """Return a number of things, in groups of three digits."""
    return UNKNOWN if n is None else f"{n:,}".replace(",", THIN_SPACE)


def percent(rate: Rate) -> str:
    """Return a proportion as ``12.4 %``."""
    return UNKNOWN if rate.value is None else said(100 * rate.value, "%")


def margin(rate: Rate) -> str:
    """Return half the width of the 95 % interval as ``±0.6``, in percent."""
    if rate.low is None or rate.high is None:
        return ""
    return f"±{50 * (rate.high - rate.low):.1f}"


def duration(seconds: float | None) -> str:
    """Return a span of time in the unit that suits it, from ``0.3 ms`` to ``2.1 d``."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 0.00995:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    for limit, divisor, unit in ((119.5, 1, "s"), (7170, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.{0 if divisor < 3600 else 1}f} {unit}"
    return f"{seconds / 86400:.1f} d"


def per_second(value: float | None) -> str:
    """Return a number of things by the second."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.1f}/s"


def data_rate(n_bytes: float | None) -> str:
    """Return bytes a second in the unit that suits them."""
    if n_bytes is None or not math.isfinite(n_bytes):
        return UNKNOWN
    for limit, divisor, unit in ((999.5e3, 1e3, "kB/s"), (999.5e6, 1e6, "MB/s")):
        if n_bytes < limit:
            return f"{n_bytes / divisor:.0f} {unit}"
    return f"{n_bytes / 1e9:.2f} GB/s"


def clock(seconds: float | None) -> str:
    """Return the local time of day of a moment in s since 1970."""
    try:
        return UNKNOWN if seconds is None else time.strftime("%H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return UNKNOWN


def plain(text: str, limit: int = 200) -> str:
    """Return a text that came from elsewhere without anything that could steer a terminal, and not too long."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" else "\ufffd" for c in text[: limit + 1])
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"

"""A page with pictures of a dark, to look at before it is used."""

import base64
import html
import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

_LONGEST = 900
"""Pixels of the longer side of a picture."""
_PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 sans-serif; margin: 2em; background: #14171a; color: #e6e8eb }}
figure {{ display: inline-block; margin: 0 1.5em 1.5em 0; vertical-align: top }}
img {{ image-rendering: pixelated; max-width: 100%; display: block; background: #000 }}
table {{ border-spacing: 1.2em 0.2em; margin-left: -1.2em }} td:last-child {{ text-align: right }}
</style></head><body><h1>{title}</h1><table>{rows}</table>{figures}</body></html>
"""


def dark_report(
    title: str,
    facts: Mapping[str, str],
    mean: NDArray[np.floating],
    stddev: NDArray[np.floating],
    masks: Mapping[str, NDArray[np.bool_]],
) -> str:
    """Return an HTML page with the mean, the noise and the masks of a dark, ``(ss, fs)``, and a table of `facts`."""
    bad = np.zeros(mean.shape, np.float64)
    for mask in masks.values():
        bad[mask] = 1.0
    pictures = [
        _figure(f"mean, {_span(mean)}", _grey(_smaller(np.nan_to_num(mean), np.mean), *_limits(mean))),
        _figure(f"noise, {_span(stddev)}", _grey(_smaller(np.nan_to_num(stddev), np.mean), *_limits(stddev))),
        # the maximum, so that a single bad pixel is seen
        _figure("bad pixels, white", _grey(_smaller(bad, np.max), 0.0, 1.0)),
    ]
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(text)}</td></tr>" for name, text in facts.items())
    return _PAGE.format(title=html.escape(title), rows=rows, figures="".join(pictures))


def _span(values: NDArray[np.floating]) -> str:
    low, high = _limits(values)
    return f"black {low:.4g} to white {high:.4g} ADU"


def _limits(values: NDArray[np.floating]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, (1, 99))
    return float(low), float(max(high, low + 1e-6))


def _smaller(values: NDArray[np.floating], how: Callable[..., NDArray[np.floating]]) -> NDArray[np.floating]:
    """Return a picture of at most `_LONGEST` pixels, each `how` makes of a square of them; a rest is cut off."""
    step = max(-(-max(values.shape) // _LONGEST), 1)
    rows, columns = (max(n // step, 1) for n in values.shape)
    cut = values[: rows * step, : columns * step]
    blocks = cut.reshape(rows, cut.shape[0] // rows, columns, cut.shape[1] // columns)
    return how(blocks, axis=(1, 3))


def _grey(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    scaled: NDArray[np.uint8] = (np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    return scaled


def _figure(caption: str, picture: NDArray[np.uint8]) -> str:
    data = base64.b64encode(png(picture)).decode()
    return (
        f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def png(picture: NDArray[np.uint8]) -> bytes:
    """Return a grey picture ``(ss, fs)`` uint8 as a PNG file."""
    height, width = picture.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter, none
    rows[:, 1:] = picture
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )

"""What the mask editor says."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tomli_w

from braggwatch.gui.mask_edit import MaskEdit
from braggwatch.gui.mask_shapes import Ring, Shape
from braggwatch.streamer.wording import count, plain

_MOST = 0.5
"""A file that masks a larger part of the pixels than this may well mean the others."""


def name_of(shape: Shape) -> str:
    """Return what a shape is called."""
    if isinstance(shape, Ring):
        return "ring" if shape.inner > 0 else "circle"
    sides = [len(np.unique(along)) for along in shape.corners.T]
    return "rectangle" if len(shape.corners) == 4 and sides == [2, 2] else "polygon"


def changed(n: int, *, add: bool) -> str:
    """Return what a change came to."""
    if not n:
        return f"No pixel changed: all of them were {'masked already' if add else 'not masked'}, or there was none."
    return f"{count(n)} {'pixel' if n == 1 else 'pixels'} {'added to' if add else 'taken off'} the mask."


def loaded(path: Path, n_masked: int, n_pixels: int) -> str:
    """Return what was loaded."""
    said = f"Loaded {plain(path.name, 60)}: {count(n_masked)} of {count(n_pixels)} pixels masked."
    if n_masked > _MOST * n_pixels:
        said += " That is most of them: if this file has 1 where a pixel is good, invert it."
    return said


def setting_line(said: str) -> str:
    """Return the line of a settings file by which a mask is read."""
    return tomli_w.dumps({"mask": said}).strip()


def saved(settings: str, said: str) -> str:
    """Return what to do with the line, by the settings in force (TOML)."""
    try:
        table = tomllib.loads(settings).get("detector", {})
    except (tomllib.TOMLDecodeError, RecursionError):
        table = {}
    table = table if isinstance(table, dict) else {}
    text = "Saved. Into the table [detector] of the settings file:"
    earlier = table.get("mask")
    if isinstance(earlier, str) and earlier != said:
        text = f"Saved. Into the table [detector], in place of {plain(earlier, 60)}:"
    if table.get("mask_good") or table.get("mask_bad") is not None:
        text = text.removesuffix(":") + "; take mask_good and mask_bad out, here 1 is bad:"
    return text


def unsaved(edits: Sequence[MaskEdit], shown: MaskEdit | None) -> str:
    """Return what would be lost; `shown` is the mask that can be seen."""
    n = sum(edit.n_masked for edit in edits)
    what = "The mask" if len(edits) == 1 else f"{len(edits)} masks, for detectors of several shapes,"
    if len(edits) == 1 and edits[0] is not shown:
        what = f"The mask of another detector, of {edits[0].shape[0]} × {edits[0].shape[1]} pixels,"
    return f"{what} with {count(n)} masked pixels {'is' if len(edits) == 1 else 'are'} not saved."


def sentence(text: str) -> str:
    """Return what went wrong, as a sentence."""
    said = plain(text, 300).strip()
    return said[:1].upper() + said[1:] + ("" if said.endswith((".", "!", "?", "…")) else ".")

"""Tables of 256 colours for what `image_picture.Picture.draw` writes."""

from functools import cache
from typing import Literal

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt5.QtGui import QColor

from braggwatch.gui.image_pixels import FIRST_COLOUR, GAP_COLOUR, LAST_COLOUR, MASKED_COLOUR
from braggwatch.gui.mask_sources import SOURCES
from braggwatch.gui.style import mixed
from braggwatch.gui.theme import Theme

ColourMap = Literal["inverted grey", "viridis", "inferno", "cividis"]
EDITED_ALPHA = 200
"""Opacity of pixels that are masked by hand, of 255."""
COLOUR_MAPS: tuple[ColourMap, ...] = ("inverted grey", "viridis", "inferno", "cividis")


@cache
def colour_table(name: ColourMap, masked: str) -> NDArray[np.uint8]:
    """Return ``(256, 4)`` uint8 RGBA: gaps clear, masked pixels in a colour ``#rrggbb``, the rest a colour map."""
    table = np.zeros((256, 4), np.uint8)
    table[GAP_COLOUR] = 0
    table[MASKED_COLOUR] = QColor(masked).getRgb()
    n = LAST_COLOUR - FIRST_COLOUR + 1
    if name == "inverted grey":
        table[FIRST_COLOUR:, :3] = np.linspace(255, 0, n).round().astype(np.uint8)[:, None]
        table[FIRST_COLOUR:, 3] = 255
    else:
        table[FIRST_COLOUR:] = pg.colormap.get(name).getLookupTable(nPts=n, alpha=True)
    table.flags.writeable = False
    return table


def edited_colour(name: ColourMap) -> str:
    """Return the colour of pixels that are masked by hand: one that no shade of the map comes near.

    Blue stands out of greys, and cyan of maps from dark violet to yellow, for colour-blind eyes too.
    """
    return "#0072B2" if name == "inverted grey" else "#00E5FF"


@cache
def mask_table(theme: Theme) -> NDArray[np.uint8]:
    """Return ``(256, 4)`` uint8 RGBA for `mask_sources.categories` between the levels 0 and the number of sources."""
    table = np.zeros((256, 4), np.uint8)
    table[MASKED_COLOUR] = QColor(theme.masked).getRgb()
    numbers = np.round(np.linspace(0, len(SOURCES), LAST_COLOUR - FIRST_COLOUR + 1)).astype(int)
    colours = [QColor(mixed(theme.panel, theme.quiet, 0.2)), *(QColor(getattr(theme, s.colour)) for s in SOURCES)]
    table[FIRST_COLOUR:] = np.array([colour.getRgb() for colour in colours], np.uint8)[numbers]
    table.flags.writeable = False
    return table


def is_bright(colour: NDArray[np.uint8]) -> bool:
    """Return whether dark text is read better on an RGBA colour than bright text."""
    red, green, blue, alpha = (float(part) for part in colour)
    return alpha > 0 and 0.299 * red + 0.587 * green + 0.114 * blue > 127

"""Tables of 256 colours for what `image_picture.Picture.draw` writes."""

from functools import cache
from typing import Literal

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt5.QtGui import QColor

from braggwatch.gui.image_pixels import FIRST_COLOUR, GAP_COLOUR, LAST_COLOUR, MASKED_COLOUR

ColourMap = Literal["inverted grey", "viridis", "inferno", "cividis"]
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


def is_bright(colour: NDArray[np.uint8]) -> bool:
    """Return whether dark text is read better on an RGBA colour than bright text."""
    red, green, blue, alpha = (float(part) for part in colour)
    return alpha > 0 and 0.299 * red + 0.587 * green + 0.114 * blue > 127

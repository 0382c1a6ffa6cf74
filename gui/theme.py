"""Colours and sizes of the window: two themes from one set of tokens.

Meanings have one colour everywhere: Okabe and Ito's, which colour-blind eyes can tell apart (Color Universal Design,
2008); the light theme darkens them until they stand out 3:1 from the page.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Colours as ``#rrggbb``."""

    name: str
    window: str
    panel: str
    line: str
    text: str
    quiet: str
    """Text that steps back, blanks, and values that are old."""
    hit: str
    indexed: str
    multi_lattice: str
    predicted: str
    alarm: str
    """Losses, and whatever needs a person."""
    masked: str
    """Pixels that are no data."""
    group_1: str
    """Of the groups of shots, in their order; `group_tone` says which."""
    group_2: str
    group_3: str
    group_4: str
    group_5: str
    group_6: str
    group_7: str
    group_8: str


DARK = Theme(
    name="dark", window="#14171A", panel="#1B1F24", line="#2A3037", text="#E6E8EB", quiet="#9AA4AF",
    hit="#E69F00", indexed="#009E73", multi_lattice="#56B4E9", predicted="#CC79A7", alarm="#D55E00", masked="#3B2F4A",
    group_1="#5B9BFF", group_2="#F0E442", group_3="#A63FA6", group_4="#35E8A0", group_5="#8A4DFF", group_6="#C9F4FF",
    group_7="#A0762C", group_8="#C86A74",
)  # fmt: skip
LIGHT = Theme(
    name="light", window="#F4F5F7", panel="#FFFFFF", line="#D9DDE3", text="#1C2126", quiet="#5B6672",
    hit="#B57D00", indexed="#00855F", multi_lattice="#2E86B8", predicted="#B0568A", alarm="#C25400", masked="#D9C9E8",
    group_1="#2F5FC4", group_2="#9A8500", group_3="#632303", group_4="#7F06F9", group_5="#2FA070", group_6="#582A6F",
    group_7="#0B3B44", group_8="#D92644",
)  # fmt: skip
THEMES = {theme.name: theme for theme in (DARK, LIGHT)}
N_GROUP_TONES = 8


def group_tone(order: int) -> str:
    """Return the colour of the group at a place, from 0, among all groups: the name of a field of `Theme`.

    Colour-blind eyes can tell the eight apart; after them they begin anew, and whoever draws lines dashes those.
    """
    return f"group_{order % N_GROUP_TONES + 1}"


SPACE = 8
"""The grid of all distances, px."""
TITLE_PX = 12
AXIS_PX = 11
LARGE_PX = 48
LINE_PX = 1.5
BAND_ALPHA = 51
"""20 % of opacity, of 255."""

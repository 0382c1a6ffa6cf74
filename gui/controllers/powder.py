"""Many shots in one picture, and their mean against resolution."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.image_rings import Ring
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.powder_picture import PowderLayout, levels_of, unpacked_pixels, unpacked_profile
from braggwatch.processing.detector import Detector
from braggwatch.streamer.picture_messages import Powder, PowderKind
from braggwatch.streamer.wording import count

What = Literal["sum", "maximum"]
KINDS: tuple[PowderKind, ...] = ("hits", "all", "spots")
ICE_RINGS = (3.90, 3.67, 3.44, 2.67, 2.25, 2.07, 1.95, 1.92, 1.88, 1.72)
"""Hexagonal ice, Angstrom."""
_OF = {"hits": "hits", "all": "frames", "spots": "hits"}


@dataclass(frozen=True)
class PowderShown:
    """What to draw."""

    picture: NDArray[np.float32]
    """``(rows, columns)``, NaN where there is no pixel."""
    masked: NDArray[np.bool_]
    """``(rows, columns)``: a pixel, but masked; False between the panels."""
    levels: tuple[float, float]
    rings: tuple[Ring, ...]
    q: NDArray[np.float32]
    """1/d, 1/Angstrom."""
    profile: NDArray[np.float32]
    """ADU."""
    of: str
    """How many shots it was made of."""
    has_maximum: bool


class PowderView(Protocol):
    """What the controller asks of its panel."""

    kind_chosen: Any
    """One of `KINDS` (str)."""
    what_chosen: Any
    """``sum`` or ``maximum`` (str)."""

    def show_powder(self, shown: PowderShown) -> None:
        """Draw it."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""


class PowderController:
    """Keeps the powder up to date."""

    def __init__(self, monitor: Monitor, view: PowderView) -> None:
        self._monitor, self._view = monitor, view
        self.stale = True
        self.kind: PowderKind = "hits"
        self.what: What = "sum"
        self._layout: tuple[Detector, int, tuple[int, int], PowderLayout | None] | None = None
        monitor.powder_changed.connect(self._note)
        monitor.geometry_changed.connect(self._mark)
        monitor.status_changed.connect(self._mark_unless_known)
        view.kind_chosen.connect(self._choose_kind)
        view.what_chosen.connect(self._choose_what)

    def _mark(self) -> None:
        self.stale = True

    def _note(self, kind: str) -> None:
        if kind == self.kind:
            self.stale = True

    def _mark_unless_known(self) -> None:
        if self.kind not in self._monitor.powders:
            self.stale = True

    def refresh(self) -> None:
        """Unpack and draw what came last."""
        self.stale = False
        powder = self._monitor.powders.get(self.kind)
        if powder is None or powder.n_shots == 0:
            self._view.show_empty(_why_empty(self.kind))
            return
        try:
            self._view.show_powder(self._shown(powder))
        except ValueError as error:
            self._monitor.said.emit(f"the powder of {self.kind} that the processor sent makes no sense: {error}")

    def _shown(self, powder: Powder) -> PowderShown:
        maximum = self.what == "maximum" and bool(powder.maximum)
        pixels = unpacked_pixels(powder.maximum if maximum else powder.sum, powder.shape)
        q, profile = unpacked_profile(powder)
        layout = self._laid_out(powder)
        picture = pixels if layout is None else layout.picture(pixels)
        gaps = np.zeros(picture.shape, bool) if layout is None else layout.gaps(picture.shape)
        made_of = f"{'maximum' if maximum else 'sum'} of {count(powder.n_shots)}"
        if powder.of > powder.n_shots:
            made_of += f" of {count(powder.of)}"
        return PowderShown(
            picture, np.isnan(picture) & ~gaps, levels_of(picture), () if layout is None else layout.rings, q, profile,
            f"{made_of} {_OF[powder.kind]}" + (", spots only" if powder.kind == "spots" else ""), bool(powder.maximum),
        )  # fmt: skip

    def _laid_out(self, powder: Powder) -> PowderLayout | None:
        """Return where the pixels lie; None where the geometry is not known, or is another detector's."""
        detector = self._monitor.detector
        if detector is None:
            return None
        kept = self._layout
        if kept is None or kept[0] is not detector or kept[1:3] != (powder.binning, powder.shape):
            try:
                layout = PowderLayout(detector, powder.binning, powder.shape)
            except ValueError:
                layout = None  # between two runs it may still be one of the detector before
            self._layout = kept = detector, powder.binning, powder.shape, layout
        return kept[3]

    def _choose_kind(self, kind: str) -> None:
        if kind in KINDS:
            self.kind = kind
            self.stale = True

    def _choose_what(self, what: str) -> None:
        if what in ("sum", "maximum"):
            self.what = what  # type: ignore[assignment]
            self.stale = True


def _why_empty(kind: PowderKind) -> str:
    if kind == "all":
        return "No powder of all frames yet: waiting for the first frames."
    return f"No powder of {'hits' if kind == 'hits' else 'spots'} yet: waiting for the first hit."

"""Views without a screen for the controllers: they keep what they are told, and their signals are psygnal's."""

from typing import Any

from psygnal import Signal


class RecordingView:
    """Keeps the last argument of each setter under the setter's name."""

    bar_clicked = Signal(object, object)
    proposed = Signal()
    confirmed = Signal()
    cancelled = Signal()
    group_chosen = Signal(str)
    place_clicked = Signal(float, float)
    axis_chosen = Signal(str)
    fold_chosen = Signal(bool)
    bin_clicked = Signal(int, int)
    kind_chosen = Signal(str)
    what_chosen = Signal(str)

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}

    def _keep(self, name: str, *values: Any) -> None:
        self.told.pop("empty" if name != "empty" else "drawn", None)
        self.told[name] = values[0] if len(values) == 1 else values

    def show_histograms(self, histograms: Any) -> None:
        self._keep("drawn", histograms)

    show_histogram = show_map = show_picture = show_powder = show_histograms

    def show_empty(self, why: str) -> None:
        self._keep("empty", why)

    def show_proposal(self, proposal: Any) -> None:
        self.told["proposal"] = proposal

    def show_groups(self, groups: Any, chosen: str) -> None:
        self.told["groups"] = groups, chosen

    def show_line(self, line: str) -> None:
        self.told["line"] = line

    def set_can_propose(self, can: bool, why_not: str) -> None:
        self.told["can"] = (can, why_not)


class BarView(RecordingView):
    """With bars of one parameter, told by their index."""

    bar_clicked = Signal(int, float, float)

"""How strong the spots of all hits were at which resolution, and how many of them saturate."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.shot_key import ShotKey
from braggwatch.processing.detector import Detector
from braggwatch.streamer.archive_messages import Answer, Refusal, ShotsFound, SpotsWanted
from braggwatch.streamer.picture_messages import Peakogram
from braggwatch.streamer.wording import count

MAX_BINS = 2**20
"""More are not believed."""


@dataclass(frozen=True)
class PeakogramPicture:
    """What to draw."""

    counts: NDArray[np.int64]
    """``(along 1/d, along log10 of the highest pixel)``."""
    inverse_d: tuple[float, float]
    """From and to, 1/Angstrom."""
    log10_max_value: tuple[float, float]
    """From and to, log10 of ADU."""
    saturation: tuple[float, float] | None
    """log10 of ADU: of the panel that saturates first, and of the last one; None where it is not known."""
    summary: str
    detail: str


class PeakogramView(Protocol):
    """What the controller asks of its panel."""

    bin_clicked: Any
    """Which bin (int) along 1/d, and along the highest pixel."""

    def show_picture(self, picture: PeakogramPicture) -> None:
        """Draw it."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""


class PeakogramController:
    """Keeps the peakogram up to date."""

    def __init__(self, monitor: Monitor, view: PeakogramView) -> None:
        self._monitor, self._view = monitor, view
        self.stale = True
        self._picture: PeakogramPicture | None = None
        for signal in (monitor.peakogram_changed, monitor.geometry_changed):
            signal.connect(self._mark)
        view.bin_clicked.connect(self._ask)

    def _mark(self) -> None:
        self.stale = True

    def refresh(self) -> None:
        """Check and draw what came last."""
        self.stale = False
        message = self._monitor.peakogram
        if message is None:
            self._picture = None
            self._view.show_empty("No peakogram yet: it comes with the first hit.")
            return
        try:
            counts = unpacked_counts(message)
        except ValueError as error:
            self._monitor.said.emit(f"the peakogram that the processor sent makes no sense: {error}")
            return
        if not counts.any():
            self._picture = None
            self._view.show_empty(
                "No spots yet: waiting for the first hit."
                if message.n_shots == 0
                else f"No spots to show: {count(message.n_shots)} hits, but their resolution is not known."
            )
            return
        saturation = _saturation(self._monitor.detector)
        summary = f"{count(message.n_peaks)} spots of {count(message.n_shots)} hits"
        self._picture = PeakogramPicture(
            counts, message.inverse_d, message.log10_max_value, saturation, summary,
            _saturated(counts, message.log10_max_value, saturation),
        )  # fmt: skip
        self._view.show_picture(self._picture)

    def _ask(self, i: int, j: int) -> None:
        picture = self._picture
        if picture is None or not (0 <= i < picture.counts.shape[0] and 0 <= j < picture.counts.shape[1]):
            return
        d_edges = np.linspace(*picture.inverse_d, picture.counts.shape[0] + 1)
        value_edges = np.linspace(*picture.log10_max_value, picture.counts.shape[1] + 1)
        wanted = SpotsWanted(
            (float(d_edges[i]), float(d_edges[i + 1])), (float(10 ** value_edges[j]), float(10 ** value_edges[j + 1]))
        )
        if picture.counts[i, j]:
            self._monitor.outbox.ask(wanted, self._found)

    def _found(self, answer: Answer) -> None:
        if isinstance(answer, ShotsFound):
            if answer.shots:
                self._monitor.select([ShotKey(series, number) for series, number in answer.shots])
            else:
                self._monitor.said.emit("the archive has no shot with such a spot")
        elif isinstance(answer, Refusal):
            self._monitor.said.emit(f"the shots behind the peakogram cannot be had: {answer.problem}")


def unpacked_counts(message: Peakogram) -> NDArray[np.int64]:
    """Return the counts ``(1/d, value)`` of a message; raises ValueError where it makes no sense."""
    n_d, n_values = message.shape
    if not (n_d > 0 and n_values > 0 and n_d * n_values <= MAX_BINS):
        raise ValueError(f"{n_d} × {n_values} bins, expected at least one each way and at most {MAX_BINS} in all")
    if len(message.counts) != 4 * n_d * n_values:
        raise ValueError(f"{n_d} × {n_values} counts take {4 * n_d * n_values} bytes, found {len(message.counts)}")
    for name, (low, high) in (("1/d", message.inverse_d), ("log10 of ADU", message.log10_max_value)):
        if not -1e6 < low < high < 1e6:
            raise ValueError(f"its bins reach in {name} from {low} to {high}")
    if message.log10_max_value[1] > 300 or message.log10_max_value[0] < -300:
        raise ValueError(f"its pixels reach up to 10^{message.log10_max_value[1]:g} ADU")
    return np.frombuffer(message.counts, "<u4").reshape(message.shape).astype(np.int64)


def _saturation(detector: Detector | None) -> tuple[float, float] | None:
    if detector is None:
        return None
    values = [panel.max_adu for panel in detector.panels if 0 < panel.max_adu < float("inf")]
    return (float(np.log10(min(values))), float(np.log10(max(values)))) if values else None


def _saturated(
    counts: NDArray[np.int64], log10_max_value: tuple[float, float], saturation: tuple[float, float] | None
) -> str:
    if saturation is None:
        return "saturation value not known"
    # pixels stop at the saturation value, so the bin that holds it counts as a whole
    upper_edges = np.linspace(*log10_max_value, counts.shape[1] + 1)[1:]
    part = counts[:, upper_edges > saturation[0]].sum() / counts.sum()
    return f"{100 * part:.1f} % at or above saturation ({count(round(10 ** saturation[0]))} ADU)"

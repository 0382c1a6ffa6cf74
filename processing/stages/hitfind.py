"""Is there a crystal in the shot?"""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from braggwatch.processing.box_peak_finder import BoxPeakFinder, central_panels
from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.hit_criteria import BrightPixel, BrightSpots, Roi
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.shot import Shot


class HitfindSettings(BaseModel):
    """How hits are told from blanks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["peakfinder8", "threshold", "spots"] = Field(
        default="peakfinder8",
        description="peakfinder8: a hit has at least min_peaks spots; spots: the same with spots found as the older "
        "tools found them, those whose highest pixel is above threshold_adu; threshold: a hit has a pixel of at least "
        "threshold_adu.",
    )
    min_peaks: int = Field(default=10, ge=1, description="A hit has at least this many spots.")
    max_peaks_in_hit: int | None = Field(
        default=None,
        ge=1,
        description="A shot with more spots than this is no hit (ice, powder, a jet on the detector); none: no limit.",
    )
    threshold_adu: float | None = Field(
        default=None,
        description="Pixel value in ADU that the methods threshold and spots ask for, background included.",
    )
    roi: str | None = Field(
        default=None,
        description="With the method threshold, where to look: fast_lo:fast_hi,slow_lo:slow_hi in pixels of the image "
        "array, the upper ends not included; none: everywhere.",
    )
    rule: Literal["permissive", "restrictive"] = Field(
        default="permissive",
        description="With the method spots, which of them count: permissive: those above threshold_adu; restrictive: "
        "of these only those whose highest pixel is also above 2.49 times the value below which 90 % of the pixels "
        "searched lie.",
    )
    central_panels: int = Field(
        default=0,
        ge=0,
        description="With the method spots, how many panels, those nearest the beam, are searched for the decision "
        "(8 ASICs of a CSPAD are the four inner sensors); 0: all. The spots of a hit are those of all panels.",
    )
    negate_hits: bool = Field(default=False, description="Take the blanks for hits and the hits for blanks.")
    min_snr: float = Field(
        default=5.0,
        gt=0,
        description="Standard deviations of the background by which a spot's pixels, and the whole spot, stand out.",
    )
    threshold: float = Field(
        default=5.0,
        ge=0,
        description="Least value of a spot's pixels in ADU, whatever min_snr says: keeps single photons on a dark "
        "detector from counting as spots.",
    )
    min_pixels: int = Field(default=2, ge=1, description="Least size of a spot in pixels.")
    max_pixels: int = Field(default=200, ge=1, description="Largest size of a spot in pixels.")
    local_bg_radius: int = Field(
        default=3,
        ge=1,
        le=100,
        description="The background of a spot is taken from a disc of twice this radius in pixels.",
    )
    minimum_signal_height: float = Field(
        default=2.5,
        gt=0,
        description="With the method spots: standard deviations of the background around it by which a pixel of a "
        "spot stands out.",
    )
    minimum_spot_height: float = Field(
        default=3.5,
        gt=0,
        description="With the method spots: the same for the highest pixel of a spot; never taken as less than "
        "minimum_signal_height.",
    )
    minimum_spot_area: int = Field(default=3, ge=1, description="With the method spots: least size of a spot, pixels.")
    spot_area_maximum_factor: float = Field(
        default=20.0,
        ge=1,
        description="With the method spots: a spot larger than this many times minimum_spot_area is left out.",
    )
    scanbox_window: int = Field(
        default=51,
        ge=10,
        le=1000,
        description="With the method spots: the background is a plane in boxes of about this many pixels a side "
        "(twice as many in the first of three rounds).",
    )
    peripheral_margin: int = Field(
        default=1, ge=0, description="With the method spots: no spot lies within so many pixels of a panel's edge."
    )
    min_radius: float | None = Field(
        default=None,
        ge=0,
        description="Look only further from the beam than this many pixels; none: from the centre on.",
    )
    max_radius: float | None = Field(
        default=None, gt=0, description="Look only closer to the beam than this many pixels; none: to the corners."
    )
    d_min: float | None = Field(default=None, gt=0, description="Look only at this resolution in Å or coarser.")
    d_max: float | None = Field(default=None, gt=0, description="Look only at this resolution in Å or finer.")
    max_peaks: int = Field(
        default=2048, ge=1, le=1_000_000, description="The search ends after this many spots in an image."
    )
    statistics: Literal["sampled", "exact"] = Field(
        default="sampled",
        description="Background of each ring about the beam from about 128 of its pixels (sampled) or from all of them "
        "(exact; several times slower).",
    )

    @field_validator("roi")
    @classmethod
    def _readable(cls, roi: str | None) -> str | None:
        if roi is not None:
            Roi.parse(roi)
        return roi

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.method != "peakfinder8" and self.threshold_adu is None:
            raise ValueError(f'method = "{self.method}" needs threshold_adu, a pixel value in ADU')
        if self.method == "peakfinder8" and self.threshold_adu is not None:
            raise ValueError(
                'threshold_adu has no meaning for method = "peakfinder8": use threshold for the least value of a '
                'spot\'s pixels, or method = "spots" or "threshold"'
            )
        if self.method != "threshold" and self.roi is not None:
            raise ValueError(f'roi goes with method = "threshold" only, found method = "{self.method}"')
        if self.method != "spots":
            if self.rule != "permissive":
                raise ValueError(f'rule = "{self.rule}" goes with method = "spots" only, found "{self.method}"')
            if self.central_panels:
                raise ValueError(f'central_panels goes with method = "spots" only, found method = "{self.method}"')
        if self.max_pixels < self.min_pixels:
            raise ValueError(f"max_pixels ({self.max_pixels}) must not be smaller than min_pixels ({self.min_pixels})")
        if self.max_peaks < self.min_peaks:
            raise ValueError(
                f"with max_peaks = {self.max_peaks} the search ends before min_peaks = {self.min_peaks} spots are found"
            )
        if self.max_peaks_in_hit is not None and not self.min_peaks <= self.max_peaks_in_hit < self.max_peaks:
            raise ValueError(
                f"max_peaks_in_hit must lie between min_peaks ({self.min_peaks}) and max_peaks ({self.max_peaks}), "
                f"where the search ends; found {self.max_peaks_in_hit}"
            )
        for low, high in (("min_radius", "max_radius"), ("d_min", "d_max")):
            a, b = getattr(self, low), getattr(self, high)
            if a is not None and b is not None and not a < b:
                raise ValueError(f"{low} ({a}) must be smaller than {high} ({b})")
        return self

    def peak_finder(self, detector: Detector) -> PeakFinder | BoxPeakFinder:
        """Return the peak finder of the method with these options; for the method threshold, peakfinder8."""
        if self.method == "spots":
            return self.box_peak_finder(detector, None)
        return PeakFinder(
            detector,
            threshold=self.threshold,
            min_snr=self.min_snr,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
            local_bg_radius=self.local_bg_radius,
            min_radius=self.min_radius,
            max_radius=self.max_radius,
            d_min=self.d_min,
            d_max=self.d_max,
            max_peaks=self.max_peaks,
            statistics=self.statistics,
        )

    def box_peak_finder(self, detector: Detector, panels: Sequence[int] | None) -> BoxPeakFinder:
        """Return the older tools' peak finder with these options, for some panels or, with None, for all."""
        return BoxPeakFinder(
            detector,
            minimum_signal_height=self.minimum_signal_height,
            minimum_spot_height=self.minimum_spot_height,
            minimum_spot_area=self.minimum_spot_area,
            spot_area_maximum_factor=self.spot_area_maximum_factor,
            scanbox_window=self.scanbox_window,
            peripheral_margin=self.peripheral_margin,
            minimum_value=-np.inf if self.threshold_adu is None else self.threshold_adu,
            min_radius=self.min_radius,
            max_radius=self.max_radius,
            d_min=self.d_min,
            d_max=self.d_max,
            max_peaks=self.max_peaks,
            panels=panels,
        )


class Hitfind:
    """Finds the spots of each shot, and lets only hits pass."""

    def __init__(self, settings: HitfindSettings) -> None:
        self.settings = settings
        self._finder: PeakFinder | BoxPeakFinder | None = None
        self._bright: BrightPixel | None = None
        self._central: BoxPeakFinder | None = None
        self._bright_spots: BrightSpots | None = None

    def begin(self, series: Series, detector: Detector) -> None:
        """Lay out rings, tiles or boxes for this detector; compile for the series' pixel type."""
        settings = self.settings
        self._finder = settings.peak_finder(detector)
        if settings.method == "threshold":
            assert settings.threshold_adu is not None
            roi = None if settings.roi is None else Roi.parse(settings.roi)
            self._bright = BrightPixel(detector, settings.threshold_adu, roi)
        elif settings.method == "spots":
            assert settings.threshold_adu is not None
            panels = central_panels(detector, settings.central_panels)
            self._central = settings.box_peak_finder(detector, panels)
            self._bright_spots = BrightSpots(
                detector, settings.threshold_adu, settings.rule, self._central.usable, panels
            )
        if series.dtype is not None:
            self._finder.warm_up(series.dtype)
            if self._bright is not None:
                self._bright.warm_up(series.dtype)

    def event(self, shot: Shot) -> Verdict:
        """Put the spots into `shot.peaks` and the decision into `shot.is_hit`.

        With the method ``threshold`` a shot without a bright pixel keeps ``peaks = None``: nobody looked for spots.
        With ``spots`` on some panels a blank has the spots of these alone.
        """
        if self._finder is None:
            raise RuntimeError("begin() must come before event()")
        found, everywhere = self._judge(shot)
        shot.is_hit = found is not self.settings.negate_hits
        if shot.is_hit and not everywhere:
            shot.peaks = self._finder(shot.image)
            if self._bright_spots is not None:
                shot.peaks = self._bright_spots(shot.image, shot.peaks)
        return Verdict.KEEP if shot.is_hit else Verdict.SKIP

    def end(self) -> None:
        """Let go of the work space."""
        self._finder = None
        self._bright = None
        self._central = None
        self._bright_spots = None

    def _judge(self, shot: Shot) -> tuple[bool, bool]:
        """Say whether the shot passes the test, and whether its spots were looked for on the whole detector."""
        assert self._finder is not None
        if self._bright is not None:
            return self._bright(shot.image), False
        if self._central is None or self._bright_spots is None:
            shot.peaks = self._finder(shot.image)
            return self._enough(len(shot.peaks)), True
        shot.peaks = self._bright_spots(shot.image, self._central(shot.image))
        return self._enough(len(shot.peaks)), self._central.searches_all

    def _enough(self, n: int) -> bool:
        most = self.settings.max_peaks_in_hit
        return n >= self.settings.min_peaks and (most is None or n <= most)

"""Where geometry, mask, dark and gain come from."""

from pathlib import Path
from typing import Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from braggwatch.processing.array_files import load_mask
from braggwatch.processing.average_files import blank_detector
from braggwatch.processing.beam import Beam
from braggwatch.processing.calibration import Calibration
from braggwatch.processing.crystfel_geometry import CrystfelGeometry
from braggwatch.processing.crystfel_masks import MaskFiles
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.jungfrau import JungfrauCalibration
from braggwatch.processing.pixel_watch import DarkDrift

_WARM_UP_SHAPE = (64, 64)

Correction = Calibration | JungfrauCalibration
"""What makes of the numbers that a detector sends those that the chain sees."""


class DetectorSettings(BaseModel):
    """What the detector does not say of itself, or says wrongly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="What the detector is called in the files that stages write; left out, what it calls itself.",
    )
    geometry: Path | None = Field(
        default=None, description="CrystFEL geometry file; left out, the stream's header says where the pixels are."
    )
    distance: float | None = Field(
        default=None, gt=0, description="Sample to detector, m; overrides what header or geometry file say."
    )
    photon_energy: float | None = Field(
        default=None, gt=0, description="Photon energy, eV; overrides what header or geometry file say."
    )
    beam_center: tuple[float, float] | None = Field(
        default=None, description="Beam centre as [fs, ss] in pixels; overrides the header's (not a geometry file's)."
    )
    mask: str | None = Field(
        default=None,
        description="Mask as .npy or .h5 (file.h5:/dataset): pixels that are not 0 are left out, unless mask_good or "
        "mask_bad says otherwise.",
    )
    ignored_panels: list[int] = Field(
        default_factory=list,
        description="Panels that are left out, by their place in the geometry file, counted from 0.",
    )
    mask_good: int = Field(
        default=0,
        ge=0,
        lt=2**63,
        description="Bits that all good pixels of the mask have set, as CrystFEL's mask_good: 1 for a mask that is 1 "
        "where a pixel is good (DIALS).",
    )
    mask_bad: int | None = Field(
        default=None, ge=0, lt=2**63, description="Bits of which a good pixel of the mask has none set, as CrystFEL's."
    )
    dark: str | None = Field(
        default=None, description="Average of dark frames, ADU, as .npy or .h5 (file.h5:/dataset); it is subtracted."
    )
    noise: str | None = Field(
        default=None,
        description="Standard deviation of dark frames, ADU, likewise; pixels where it is 0 or no number are masked.",
    )
    max_noise: float | None = Field(
        default=None, gt=0, description="Pixels whose standard deviation is above this are masked, ADU."
    )
    common_mode: Literal["none", "mean", "median", "mode", "gaussian", "chebyshev", "robust"] = Field(
        default="none",
        description="How the level that a whole panel rises and falls by from shot to shot is found and taken away "
        "(docs/calibration.md); robust and mean need noise.",
    )
    gain_map: str | None = Field(
        default=None,
        description="Factor for each pixel as .npy or .h5 (file.h5:/dataset); images are multiplied by it.",
    )
    gain_map_level: float | None = Field(
        default=None,
        gt=0,
        description="The gain map only says where: its pixels that are 0 are multiplied by this, all others by 1.",
    )
    stage_pedestals: str | None = Field(
        default=None,
        description="JUNGFRAU's raw pixels: pedestal of each of its three gain stages, ADU, (3, ss, fs), as .npy or "
        ".h5 (file.h5:/dataset).",
    )
    stage_gains: str | None = Field(
        default=None,
        description="JUNGFRAU's raw pixels: gain of each stage, ADU/keV, likewise; images are then in keV.",
    )
    find_bad_pixels: bool = Field(
        default=False,
        description="Look in corrected blanks for pixels that went dead, hot or noisy, and mask them until the run "
        "ends or the settings change.",
    )
    max_image_bytes: int = Field(
        default=2**30, gt=0, description="Frames that unpack to more than this are refused, bytes."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_noise is not None and self.noise is None:
            raise ValueError("max_noise needs noise: a file with the standard deviation of dark frames")
        if self.mask is None and (self.mask_good or self.mask_bad is not None):
            raise ValueError("mask_good and mask_bad need mask: the file whose bits they are")
        if self.gain_map_level is not None and self.gain_map is None:
            raise ValueError("gain_map_level needs gain_map: a file that is 0 where the level holds")
        if self.common_mode in ("mean", "robust") and self.noise is None:
            raise ValueError(
                f'common_mode = "{self.common_mode}" needs noise: a file with the standard deviation of dark frames'
            )
        if (self.stage_pedestals is None) != (self.stage_gains is None):
            raise ValueError("stage_pedestals and stage_gains go together: a JUNGFRAU needs both")
        if self.stage_pedestals is not None:
            given = [key for key in ("dark", "max_noise", "gain_map") if getattr(self, key) is not None]
            given += ["common_mode"] if self.common_mode != "none" else []
            if given:
                raise ValueError(f"stage_pedestals takes the place of {', '.join(given)}: give one or the other")
        return self

    def named(self, series: Series) -> Series:
        """Return a series whose detector is called as the settings call it."""
        return series if self.name is None else msgspec.structs.replace(series, detector=self.name)

    def detector(self, series: Series) -> Detector:
        """Return the detector of a series, with its masks.

        Raises ValueError naming what is missing and where it can be given.
        """
        if self.geometry is not None:
            detector = Detector.from_crystfel(self.geometry, series=self._corrected(series))
            if self.distance is not None:
                detector = detector.with_distance(self.distance)
        else:
            detector = Detector.from_series(self._corrected(series))
        if self.photon_energy is not None:
            detector = detector.with_beam(Beam(self.photon_energy))
        if series.mask is not None:
            detector = detector.with_mask(series.mask)
        if self.mask is not None:
            detector = detector.with_mask(self.mask_of_file(detector))
        if self.ignored_panels:
            detector = detector.with_mask(self._ignored(detector))
        return detector

    def mask_of_file(self, detector: Detector) -> NDArray[np.bool_]:
        """Return what the file of `mask` masks, ``(ss, fs)``."""
        assert self.mask is not None
        panels = [panel.slices for panel in detector.panels]
        return load_mask(self.mask, detector.shape, good_bits=self.mask_good, bad_bits=self.mask_bad, panels=panels)

    def calibration(self, detector: Detector) -> Correction | None:
        """Return what corrects the images of a detector, or None where nothing is asked for."""
        if self.stage_pedestals is not None and self.stage_gains is not None:
            return JungfrauCalibration.load(detector, self.stage_pedestals, self.stage_gains, self.noise)
        if not self.corrects:
            return None
        return Calibration.load(
            detector,
            self.dark,
            self.noise,
            max_noise=self.max_noise,
            gain=self.gain_map,
            gain_level=self.gain_map_level,
            common_mode=None if self.common_mode == "none" else self.common_mode,
        )

    @property
    def corrects(self) -> bool:
        """Whether anything is done to the pixels, which are float32 then."""
        asked = (self.dark, self.noise, self.gain_map, self.stage_pedestals)
        return self.common_mode != "none" or any(source is not None for source in asked)

    def warm_up(self, dtype: str) -> None:
        """Compile what corrects images of one type, on a small one; no file is read."""
        blank, shape = blank_detector(_WARM_UP_SHAPE), _WARM_UP_SHAPE
        correction: Correction
        if self.stage_pedestals is not None:
            correction = JungfrauCalibration(blank, np.zeros((3, *shape)), np.ones((3, *shape)))
            dtype = "uint16"
        else:
            correction = Calibration(
                blank,
                noise=np.ones(shape),
                gain=None if self.gain_map is None else np.ones(shape),
                common_mode=None if self.common_mode == "none" else self.common_mode,
            )
        correction(np.zeros(shape, dtype))
        if self.noise is not None:
            DarkDrift(blank, np.ones(shape, np.float32))

    def check_files(self) -> None:
        """Raise ValueError, naming the setting, for a file that is missing or no geometry file, or lacks a panel."""
        for key in ("geometry", "mask", "dark", "noise", "gain_map", "stage_pedestals", "stage_gains"):
            source = getattr(self, key)
            if source is None:
                continue
            path = Path(str(source).rpartition(":/")[0] or str(source)) if key != "geometry" else source
            if not path.is_file():
                raise ValueError(f"[detector] {key}: expected a file, found none at {path}")
        n_panels = 1
        if self.geometry is not None:
            try:
                geometry = CrystfelGeometry.read(self.geometry)
            except (OSError, ValueError) as error:
                raise ValueError(f"[detector] geometry: {error}") from None
            n_panels = len(geometry.panels)
            if missing := MaskFiles(geometry).missing:
                raise ValueError(
                    f"[detector] geometry: {self.geometry}: expected its mask file {missing[0]} beside it or in the "
                    "working directory, found none; put it there, or take the lines that name it out"
                )
        self._check_ignored(n_panels)

    def _ignored(self, detector: Detector) -> NDArray[np.bool_]:
        self._check_ignored(len(detector.panels))
        ignored = np.zeros(detector.shape, np.bool_)
        for number in self.ignored_panels:
            ignored[detector.panels[number].slices] = True
        return ignored

    def _check_ignored(self, n: int) -> None:
        strange = [number for number in self.ignored_panels if not 0 <= number < n]
        if strange:
            without = "" if self.geometry else "; without a geometry file ([detector] geometry) there is one panel, 0"
            raise ValueError(
                f"[detector] ignored_panels: expected numbers from 0 to {n - 1}, found {strange[0]}{without}"
            )

    def _corrected(self, series: Series) -> Series:
        names = ("distance", "photon_energy", "beam_center")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return msgspec.structs.replace(series, **given)

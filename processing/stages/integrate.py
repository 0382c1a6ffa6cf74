"""How strong is every reflection that the shot's lattices excite?"""

from dataclasses import fields, replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from braggwatch.processing.chain import Verdict
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.integration import Integrator
from braggwatch.processing.mosaicity import BeamSpread, diffraction_limit, estimate_mosaicity, warm_up
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.polarisation import Polarisation
from braggwatch.processing.prediction import Predictions, Predictor, estimate_profile_radius
from braggwatch.processing.refinement import Refiner
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.unit_cell import UnitCell

_LEAST_RADIUS, _LARGEST_RADIUS = 1e-4, 0.01
"""What a crystal's few spots may say of its profile radius at most, 1/Angstrom."""
_WIDER = 1.2
"""Reflections are predicted so much further than spots were found: how intensities end tells the nodes' size."""


class IntegrateSettings(BaseModel):
    """How far reflections are predicted, and how they are summed up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    refine: bool = Field(
        default=True,
        description="Refine orientation, cell and the beam's place against the spots first.",
    )
    d_min: float | None = Field(
        default=None, gt=0, description="Integrate to this resolution in Å; none: to the detector's corners."
    )
    profile_radius: float | None = Field(
        default=None,
        gt=0,
        le=0.1,
        description="Radius of the reciprocal-lattice points in 1/Å, which says how far from the Ewald sphere a "
        "reflection may be; none: what each crystal's own spots say.",
    )
    inner: float = Field(default=4.0, ge=0.5, le=50, description="Radius of a spot, pixels.")
    middle: float = Field(default=5.0, ge=0.5, le=50, description="Inner radius of its background, pixels.")
    outer: float = Field(default=7.0, gt=0.5, le=50, description="Outer radius of its background, pixels.")
    background: Literal["mean", "plane"] = Field(
        default="mean", description="What is taken off under a spot: the mean of the background, or a plane through it."
    )
    method: Literal["summation", "profile"] = Field(
        default="summation",
        description="Sum up all spots, or fit the profile that strong spots of the shots before had at that place, "
        "which serves weak ones.",
    )
    gain: float = Field(default=1.0, gt=0, description="ADU of one photon.")
    noise: float = Field(default=0.0, ge=0, description="Standard deviation of a pixel that got no photon, ADU.")
    bandwidth: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Relative full width at half maximum of the energy spectrum; none: what the geometry file says.",
    )
    divergence: float = Field(
        default=0.0, ge=0, lt=10, description="Full angle of the beam's cone at half maximum, degrees."
    )
    polarisation: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the beam whose electric field lies in the plane of polarisation: intensities are "
        "corrected for it. None: not corrected, as programs that merge expect it.",
    )
    polarisation_plane: float = Field(
        default=0.0,
        ge=-360,
        le=360,
        description="Angle of that plane from lab x towards y in degrees: 0 for a horizontal field.",
    )


class Integrate:
    """Refines the shot's lattices, predicts their reflections and integrates these; every shot goes on."""

    def __init__(self, settings: IntegrateSettings) -> None:
        self._settings = settings
        self._refiners: dict[UnitCell, Refiner] = {}

    def begin(self, series: Series, detector: Detector) -> None:
        """Get ready for a detector, and compile the kernels."""
        s = self._settings
        if detector.beam is not None and s.bandwidth is not None:
            detector = detector.with_beam(replace(detector.beam, bandwidth=s.bandwidth))
        self._detector = detector
        self._refiners.clear()
        self._integrator = Integrator(
            detector, inner=s.inner, middle=s.middle, outer=s.outer, background=s.background, method=s.method,
            gain=s.gain, noise=s.noise,
            polarisation=None if s.polarisation is None else Polarisation(s.polarisation, s.polarisation_plane),
        )  # fmt: skip
        # lab vectors of a shift of the beam, in pixels of each panel
        self._per_metre = np.stack([np.linalg.pinv(np.array([p.fs, p.ss]).T[:2]) for p in detector.panels])
        if series.dtype is not None:
            self._integrator.warm_up(series.dtype)
        if detector.beam is not None:
            self._spread = BeamSpread.of(detector.beam, s.divergence)
            Predictor(detector, _SMALL_CELL, d_min=10.0)(_SMALL_CELL.A)
        warm_up()

    def event(self, shot: Shot) -> Verdict:
        """Put the refined lattices and their reflections, one table for each, into the shot."""
        if shot.peaks is None or not shot.crystals:
            return Verdict.KEEP
        crystals, predicted = [], []
        for crystal in shot.crystals:
            cell = crystal.known
            if cell is None:
                raise ValueError("a lattice of unknown symmetry cannot be integrated: its stage did not say its cell")
            if self._settings.refine:
                crystal = self._refined(crystal, cell, shot.peaks)
            crystals.append(crystal)
            predicted.append(self._predicted(crystal, cell))
        # all lattices at once: what lies on another's spot, or has one in its background, must know of it
        together = Predictions(
            *(np.concatenate([getattr(p, field.name) for p in predicted]) for field in fields(Predictions))
        )
        reflections, first = self._integrator(shot.image, together), 0
        for number, (crystal, own) in enumerate(zip(crystals, predicted, strict=True)):
            of_crystal = reflections[first : first + len(own)]
            first += len(own)
            shot.crystals[number], of_crystal = self._characterised(crystal, of_crystal)
            shot.reflections.append(of_crystal)
        return Verdict.KEEP

    def end(self) -> None:
        """Nothing is left open."""

    def _refined(self, crystal: Crystal, cell: UnitCell, peaks: Peaks) -> Crystal:
        if cell not in self._refiners:
            self._refiners[cell] = Refiner(self._detector, cell)
        return self._refiners[cell](crystal, peaks).crystal

    def _predicted(self, crystal: Crystal, cell: UnitCell) -> Predictions:
        s = self._settings
        radius = s.profile_radius
        if radius is None:
            assert self._detector.beam is not None
            own = estimate_profile_radius(crystal, self._detector.beam, divergence=s.divergence)
            radius = min(max(_WIDER * own, _LEAST_RADIUS), _LARGEST_RADIUS)
        predictor = Predictor(self._detector, cell, d_min=s.d_min, profile_radius=radius, divergence=s.divergence)
        found = predictor(crystal.A)
        fs, ss = (self._per_metre[found.panel] @ np.array(crystal.beam_shift)).T
        return replace(found, fs=found.fs + fs.astype(np.float32), ss=found.ss + ss.astype(np.float32))

    def _characterised(self, crystal: Crystal, reflections: Reflections) -> tuple[Crystal, Reflections]:
        """Return a crystal with what its intensities say of its blocks, and the partialities that follow."""
        mosaicity = estimate_mosaicity(reflections, self._spread)
        if mosaicity is None:
            return crystal, reflections
        crystal = replace(
            crystal,
            block_size=mosaicity.block_size,
            mosaicity=mosaicity.spread,
            diffraction_limit=diffraction_limit(reflections, mosaicity, self._spread),
        )
        return crystal, replace(reflections, partiality=mosaicity.partiality(reflections, self._spread))


_SMALL_CELL = UnitCell(30.0, 30.0, 30.0)

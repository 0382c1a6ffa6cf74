"""How crystals are merged while they arrive, and what the data set is to reach."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from braggwatch.processing.data_quality import Target


class MergeSettings(BaseModel):
    """Of the merge that the processor keeps; it needs the stage `integrate` in the chain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: bool = Field(default=True, description="Merge the crystals that are integrated, and say how good the data are.")
    d_min: float | None = Field(
        default=None, gt=0, description="Merge to this resolution in Å; none: as far as is integrated."
    )
    shells: int = Field(default=10, ge=1, le=100, description="Shells of resolution, of equal volume.")
    scaling: Literal["none", "scale", "scale_and_b"] = Field(
        default="scale", description="What is fitted to each crystal: nothing, a factor, or a factor and a B factor."
    )
    weighting: Literal["mean", "partiality"] = Field(
        default="mean", description="The Monte Carlo mean over partialities, or weights by the predicted partiality."
    )
    target_d_min: float | None = Field(
        default=None, gt=0, description="Resolution in Å that the data set is to reach; none: that of the merge."
    )
    target_cc_half: float = Field(
        default=0.5, ge=0, lt=1, description="CC1/2 that its outermost shell is to reach; 0 if it does not matter."
    )
    target_completeness: float = Field(
        default=0.99, ge=0, le=1, description="Completeness that it is to reach, 0 to 1; 0 if it does not matter."
    )
    target_multiplicity: float = Field(
        default=0.0, ge=0, description="Mean multiplicity that it is to reach; 0 if it does not matter."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.d_min is not None and self.target_d_min is not None and self.target_d_min < self.d_min:
            raise ValueError(
                f"target_d_min = {self.target_d_min} lies beyond d_min = {self.d_min}, to which is merged; expected it "
                "to be at least as large"
            )
        return self

    def target(self, d_min: float) -> Target | None:
        """Return the target of a merge to `d_min`, Angstrom; None where nothing is aimed at."""
        wanted = self.target_cc_half, self.target_completeness, self.target_multiplicity
        if not any(wanted):
            return None
        return Target(max(self.target_d_min or d_min, d_min), *(value or None for value in wanted))

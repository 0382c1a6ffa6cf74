"""Which shots are looked at at all."""

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MOST_VALUES = 16

ValueName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class SelectSettings(BaseModel):
    """Which shots are looked at, by the values that come with them; all others are counted as skipped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: dict[ValueName, float | int | str] = Field(
        default_factory=dict,
        max_length=MOST_VALUES,
        description="Per-shot values that a shot must have to be looked at, such as { laser_1 = 1, laser_4 = 0 }, as "
        "the detector's stream names them; of a list of event codes, one that it must hold. Empty: all shots are.",
    )
    settle: float = Field(
        default=0.0,
        ge=0.0,
        le=86_400.0,
        description="Left out, too, are the shots of this long after the values became what keep asks for, s.",
    )

    @model_validator(mode="after")
    def _check(self) -> "SelectSettings":
        for name, value in self.keep.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"keep.{name} must be a finite number or a text, found {value}")
        if self.settle and not self.keep:
            raise ValueError("keep is missing: expected the values that settle is about, such as { laser_1 = 1 }")
        return self

"""Settings of the DAQ simulator."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from braggwatch.streamer.daq_simulator.laser import laser_pattern


class FaultSettings(BaseModel):
    """How the simulated detector misbehaves; the same seed always does the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, ge=0, description="Chooses which frames are hit.")
    skip: float = Field(default=0.0, ge=0, le=1, description="Fraction of frames that are never sent.")
    truncate: float = Field(
        default=0.0, ge=0, le=1, description="Fraction of frames that lose the end of their pixels."
    )
    duplicate: float = Field(default=0.0, ge=0, le=1, description="Fraction of frames that are sent twice.")
    garbage: float = Field(
        default=0.0, ge=0, le=1, description="Fraction of frames behind which a message of random bytes follows."
    )
    die_after: int | None = Field(
        default=None, ge=0, description="Every series breaks off after this many frames, without an end message."
    )
    restart_after: int | None = Field(
        default=None,
        ge=0,
        description="The first series breaks off after this many frames and begins again under the same number.",
    )


class SimulatorSettings(BaseModel):
    """What the simulated detector sends, how fast and where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    protocol: Literal["dectris-v2", "dectris-v1"] = Field(
        default="dectris-v2", description="dectris-v2 (CBOR) or dectris-v1 (JSON and blobs)."
    )
    address: str = Field(
        default="tcp://127.0.0.1:31001", description="ZeroMQ address to send from; port * takes a free one."
    )
    n_frames: int = Field(default=100, ge=1, description="Frames a series; the stored ones are sent again and again.")
    n_series: int = Field(default=1, ge=1, description="Series, one after another.")
    rate: float | None = Field(
        default=None, gt=0, description="Frames a second; as fast as they are taken if left out."
    )
    wait_for_peer: bool = Field(
        default=True, description="Wait where nobody takes a frame; otherwise such a frame is lost."
    )
    laser: str | None = Field(
        default=None,
        description="Send the per-shot value laser_1 along, 1 or 0 in this pattern, such as '1 on, 1 off'.",
    )
    faults: FaultSettings = Field(default=FaultSettings(), description="How the detector misbehaves.")

    @field_validator("laser")
    @classmethod
    def _check_laser(cls, laser: str | None) -> str | None:
        if laser is not None:
            laser_pattern(laser)
        return laser

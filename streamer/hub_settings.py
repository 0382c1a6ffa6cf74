"""How frames are handed to the workers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Drop = Literal["oldest", "newest", "never"]


class HubSettings(BaseModel):
    """How frames are handed to the workers, and what happens under overload."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(
        default="tcp://127.0.0.1:*",
        description="Where workers find the hub; * takes a free port. Workers on other machines need an address of "
        "this one that they can reach, such as tcp://10.1.2.3:*.",
    )
    drop: Drop = Field(
        default="oldest",
        description="What to give up when the queue is full: the oldest waiting frame, the newest, or never any: "
        "then the detector has to wait.",
    )
    queue_bytes: int = Field(
        default=256 * 2**20, gt=0, description="Frames waiting for a worker take at most this much memory, bytes."
    )
    credits: int = Field(
        default=2, ge=1, le=64, description="Frames that a worker holds at most, the one it works on included."
    )
    silence: float = Field(
        default=5.0, gt=0, description="A worker not heard of for this long is taken for dead, s; its frames go on."
    )
    frame_timeout: float = Field(
        default=60.0, gt=0, description="A worker busy with one frame for this long is restarted, s."
    )

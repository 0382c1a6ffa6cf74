"""Settings of the sources that read a detector's stream."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_TYPE = (
    "Where frames come from: dectris-v2 (Stream V2, Jungfraujoch too), dectris-v1 (Stream V1), or files (with paths)."
)


class PullSettings(BaseModel):
    """How to reach a detector that pushes its frames."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str | list[str] = Field(
        description="Where the detector sends: a ZeroMQ address such as tcp://10.0.0.1:31001, or a list of them where "
        "images are spread over several. Whoever else connects a PULL socket there takes frames away from us.",
    )
    high_water_mark: int = Field(
        default=50, ge=1, description="Messages that wait in our memory for each address before the detector must."
    )
    max_message_bytes: int = Field(
        default=2**30,
        ge=2**10,
        description="A larger part is not let into memory: the connection that sends it is closed for good, bytes. "
        "A start message with masks and flat fields of all thresholds may take some hundred MB.",
    )
    max_image_bytes: int = Field(
        default=2**28, ge=1, description="An image that would take more memory unpacked is refused, bytes."
    )

    @property
    def addresses(self) -> list[str]:
        """All addresses."""
        return [self.address] if isinstance(self.address, str) else self.address


class DectrisV2Settings(PullSettings):
    """DECTRIS Stream V2 and Jungfraujoch: CBOR."""

    type: Literal["dectris-v2"] = Field(default="dectris-v2", description=_TYPE)
    address: str | list[str] = Field(
        default="tcp://127.0.0.1:31001", description=PullSettings.model_fields["address"].description
    )
    channel: str | None = Field(
        default=None, description="Threshold channel to use; threshold_1, or the only one there is, if left out."
    )


class DectrisV1Settings(PullSettings):
    """DECTRIS Stream V1, the legacy one: JSON and blobs."""

    type: Literal["dectris-v1"] = Field(default="dectris-v1", description=_TYPE)
    address: str | list[str] = Field(
        default="tcp://127.0.0.1:9999", description=PullSettings.model_fields["address"].description
    )

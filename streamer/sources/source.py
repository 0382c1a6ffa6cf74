"""The one interface of every source, and the choice between them."""

from collections.abc import Sequence
from types import TracebackType
from typing import Annotated, Any, Protocol, Self

from pydantic import Field

from braggwatch.processing.frame import Event
from braggwatch.streamer.sources.dectris_v1 import DectrisV1Decoder
from braggwatch.streamer.sources.dectris_v2 import DectrisV2Decoder
from braggwatch.streamer.sources.files import FilesSettings, FilesSource
from braggwatch.streamer.sources.pull import PullSource
from braggwatch.streamer.sources.settings import DectrisV1Settings, DectrisV2Settings


class Source(Protocol):
    """Where frames come from; a context manager that closes what it opened."""

    @property
    def sockets(self) -> Sequence[Any]:
        """ZeroMQ sockets to poll for reading."""

    @property
    def exhausted(self) -> bool:
        """Whether nothing will ever come again; never true of a detector."""

    def receive(self, socket: Any) -> list[Event] | None:
        """Take one message from one of the sockets without waiting, and return what it means.

        None if nothing was there; an empty list for a message that told nothing of use. A damaged message is a
        `Refused`, never an exception. A frame that came twice is said twice: the ledger knows the numbers. A `Series`
        with a key that was there before replaces what images alone had told: its start message came late.
        """

    def silence(self) -> dict[str, str]:
        """Say for each address why nothing may be coming from there; nothing where nobody need be told."""

    def close(self) -> None:
        """Close what was opened."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


SourceSettings = Annotated[DectrisV2Settings | DectrisV1Settings | FilesSettings, Field(discriminator="type")]
"""The table ``[source]``: its ``type`` says which protocol."""


def open_source(settings: DectrisV2Settings | DectrisV1Settings | FilesSettings) -> Source:
    """Open the source that the settings describe.

    Raises ValueError for an address that ZeroMQ cannot use, ImageFileError for names that match no file.
    """
    if isinstance(settings, FilesSettings):
        return FilesSource(settings)
    if isinstance(settings, DectrisV2Settings):
        v2 = settings
        return PullSource(v2, lambda: DectrisV2Decoder(v2.channel, v2.max_image_bytes))
    return PullSource(settings, lambda: DectrisV1Decoder(settings.max_image_bytes))

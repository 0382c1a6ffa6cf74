"""What the window's models and controllers ask of whoever reaches the processor."""

from collections.abc import Callable
from typing import Protocol

from braggwatch.streamer.archive_messages import Answer, Request
from braggwatch.streamer.control_messages import Change, Changed


class Outbox(Protocol):
    """The way to the processor. Nothing here waits: answers come later, in the window's thread."""

    @property
    def change_problem(self) -> str:
        """Why settings cannot be changed, as a sentence; empty where they can, or that is not known yet."""

    def ask(self, request: Request, then: Callable[[Answer], None]) -> None:
        """Ask the archive."""

    def change(self, change: Change, then: Callable[[Changed], None]) -> None:
        """Ask for other settings."""

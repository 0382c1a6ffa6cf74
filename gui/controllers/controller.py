"""What the window asks of a controller."""

from typing import Protocol


class Controller(Protocol):
    """Keeps one panel up to date. Its signal handlers only set `stale`; the window calls `refresh` when it is time."""

    stale: bool
    """Whether something has changed since the last `refresh`."""

    def refresh(self) -> None:
        """Work out what to show and hand it to the view; called at most 20 times a second, while the panel is seen."""

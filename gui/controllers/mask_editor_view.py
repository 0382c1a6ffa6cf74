"""What the mask editor's controller asks of the editor, and of the picture that is shown."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalInstance

from braggwatch.gui.image_assembly import Assembly
from braggwatch.gui.mask_picture import MaskPicture


@dataclass(frozen=True)
class MaskState:
    """How the mask stands."""

    n_masked: int
    n_pixels: int
    """Of the detector's; 0 where none is shown."""
    undoable: str
    redoable: str
    """What undo and redo would do, in words; empty for nothing."""
    unsaved: bool


class MaskEditorView(Protocol):
    """What the controller asks of the editor."""

    opened: Any
    """With whether it is open now."""
    shape_drawn: Any
    """With a `Shape`, and whether its pixels are added to the mask or taken off."""
    threshold_wanted: Any
    """With the limit, whether what is below it is meant, and whether it is added."""
    undo_wanted: Any
    redo_wanted: Any
    clear_wanted: Any
    invert_wanted: Any
    masked_now_wanted: Any
    """All pixels that are masked already are to be added."""
    load_wanted: Any
    save_wanted: Any
    """With a path."""
    discard_wanted: Any
    stay_wanted: Any
    """The window is not to be closed after all."""

    def set_mask(self, picture: MaskPicture | None) -> None:
        """Show the mask over the picture."""

    def set_state(self, state: MaskState) -> None:
        """Say how the mask stands."""

    def set_message(self, text: str, setting: str = "") -> None:
        """Say a sentence, and beside it the line of a settings file, which can be copied."""

    def ask_before_closing(self, text: str) -> None:
        """Ask whether to save, to discard or to keep open."""

    def stop_asking(self) -> None:
        """Take that question back."""

    def say_what_to_do(self) -> None:
        """Say how the chosen tool is used."""


class ShownPicture(Protocol):
    """What of the image's controller is needed here."""

    picture_changed: SignalInstance

    @property
    def assembly(self) -> Assembly | None:
        """Where the pixels lie in the picture that is shown; None where there is none."""

    def run(self, job: Callable[[], object]) -> None:
        """Have something done in a thread beside the window's."""

    def beyond(self, limit: float, *, below: bool) -> Future[NDArray[np.bool_]] | None:
        """Have the pixels found that are below or above a value in what is shown; None where no values are shown."""

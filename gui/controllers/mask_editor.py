"""Draws masks: shapes on the picture become pixels of the image array, which can be undone, saved and loaded."""

import logging
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

import braggwatch
from braggwatch.gui import mask_wording as wording
from braggwatch.gui.controllers.mask_editor_view import MaskEditorView, MaskState, ShownPicture
from braggwatch.gui.mask_edit import MaskEdit
from braggwatch.gui.mask_picture import MaskPicture, warm_up
from braggwatch.gui.mask_shapes import Shape, extent, pixels_in
from braggwatch.gui.monitor import Monitor
from braggwatch.processing.array_files import load_mask
from braggwatch.processing.mask_files import save_mask

log = logging.getLogger(__name__)


class MaskEditorController:
    """One mask for each shape of image array; none of them is lost when another detector is shown."""

    close_wanted = Signal()
    """The user was asked about a mask that was not saved, and has decided: the window may be closed."""

    def __init__(self, monitor: Monitor, view: MaskEditorView, image: ShownPicture) -> None:
        self.stale = True
        self._monitor, self._view, self._image = monitor, view, image
        self._is_open = False
        self._edits: dict[tuple[int, int], MaskEdit] = {}
        self._picture: MaskPicture | None = None
        self._search: tuple[Future[NDArray[np.bool_]], str, bool] | None = None
        """The pixels that are being looked for, what it is in words, and whether they are added."""
        self._closing = False
        image.picture_changed.connect(self._note)
        for signal, slot in (
            (view.opened, self._open), (view.shape_drawn, self._draw), (view.threshold_wanted, self._find),
            (view.undo_wanted, self._undo), (view.redo_wanted, self._redo), (view.clear_wanted, self._clear),
            (view.invert_wanted, self._invert), (view.masked_now_wanted, self._add_masked_now),
            (view.load_wanted, self._load), (view.save_wanted, self._save), (view.discard_wanted, self._discard),
            (view.stay_wanted, self._stay),
        ):  # fmt: skip
            signal.connect(slot)

    def refresh(self) -> None:
        """Lay the mask over the picture that is shown now, and take what was found."""
        self.stale = False
        if not self._is_open:
            return
        assembly = self._image.assembly
        if assembly is not None and (self._picture is None or self._picture.assembly is not assembly):
            if self._picture is None:
                self._view.say_what_to_do()
            self._picture, shape = MaskPicture(assembly), assembly.detector.shape
            kept = (key for key, edit in self._edits.items() if key == shape or edit.undoable or edit.n_masked)
            self._edits = {key: self._edits[key] for key in kept}
            self._edits.setdefault(shape, MaskEdit(shape))
            self._draw_anew()
        if self._search is not None and self._search[0].done():
            (found, what, add), self._search = self._search, None
            self._take_found(found, what, add)
        self._tell()

    @property
    def unsaved(self) -> bool:
        """Whether there is a mask that would be lost with the window."""
        return bool(self._losable)

    def may_close(self) -> bool:
        """Return whether nothing would be lost; otherwise the user is asked, and `close_wanted` may follow."""
        if not self.unsaved:
            return True
        self._closing = True
        self._show_unsaved()
        self._view.ask_before_closing(wording.unsaved(self._losable, self._edit))
        return False

    def rescue(self, folder: Path) -> list[Path]:
        """Write masks that were not saved into a folder, because nobody can be asked; returns where they are."""
        written = []
        for edit in self._losable:
            path = folder / f"unsaved-mask-{edit.shape[0]}x{edit.shape[1]}-{time.strftime('%Y%m%d-%H%M%S')}.h5"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                save_mask(path, edit.mask, _provenance())
            except OSError as error:
                log.error("the mask that was not saved is lost: it could not be written to %s: %s", path, error)
                continue
            written.append(path)
        return written

    @property
    def _losable(self) -> list[MaskEdit]:
        """Masks that would be lost with the window."""
        return [edit for edit in self._edits.values() if edit.unsaved and edit.n_masked]

    @property
    def _edit(self) -> MaskEdit | None:
        return None if self._picture is None else self._edits.get(self._picture.assembly.detector.shape)

    def _note(self) -> None:
        self.stale = True

    def _open(self, is_open: bool) -> None:
        self._is_open = is_open
        if is_open:
            self._image.run(warm_up)
            self.refresh()
            if self._picture is None:
                self._view.set_message("Waiting for a picture to draw on.")
        else:
            self._closing = False
            self._view.set_mask(None)

    def _draw(self, shape: Shape, add: bool) -> None:
        if (edit := self._edit) is None or self._picture is None:
            return
        self._stay()
        try:
            pixels = pixels_in(shape, self._picture.assembly)
        except ValueError as error:
            self._view.set_message(wording.sentence(str(error)))
            return
        n = edit.change(pixels, wording.name_of(shape), add=add)
        self._picture.update(edit.mask, extent(shape))
        self._view.set_mask(self._picture)
        self._view.set_message(wording.changed(n, add=add))
        self._tell()

    def _find(self, limit: float, below: bool, add: bool) -> None:
        found = self._image.beyond(limit, below=below) if self._edit is not None else None
        if found is None:
            self._view.set_message("No values are shown: choose the image, or dark, noise or gain as the layer.")
            return
        self._search = found, f"values {'below' if below else 'above'} {limit:g}", add
        self._view.set_message("Looking for them …")
        found.add_done_callback(lambda _found: self._note())

    def _take_found(self, found: Future[NDArray[np.bool_]], what: str, add: bool) -> None:
        try:
            pixels = found.result()
            n = 0 if (edit := self._edit) is None else edit.change(pixels, what, add=add)
        except (ValueError, MemoryError) as error:
            self._view.set_message(wording.sentence(str(error) or "there is not enough memory"))
            return
        self._draw_anew()
        self._view.set_message(wording.changed(n, add=add))

    def _undo(self) -> None:
        if self._is_open and (edit := self._edit) is not None and edit.undo():
            self._show_whole(f"Undone: {edit.redoable}.")

    def _redo(self) -> None:
        if self._is_open and (edit := self._edit) is not None and edit.redo():
            self._show_whole(f"Done again: {edit.undoable}.")

    def _clear(self) -> None:
        if (edit := self._edit) is not None and (n := edit.clear()):
            self._show_whole(wording.changed(n, add=False))

    def _invert(self) -> None:
        if (edit := self._edit) is not None:
            edit.invert()
            self._show_whole("What was masked is not, and the other way round.")

    def _add_masked_now(self) -> None:
        if (edit := self._edit) is not None and self._picture is not None:
            n = edit.change(self._picture.assembly.detector.mask, "what is masked now", add=True)
            self._show_whole(wording.changed(n, add=True))

    def _load(self, path: str) -> None:
        if (edit := self._edit) is None or self._picture is None:
            return
        panels = [panel.slices for panel in self._picture.assembly.detector.panels]
        try:
            mask = load_mask(path, edit.shape, panels=panels)
            edit.replace(mask, f"load {Path(path).name}")
        except (ValueError, OSError, MemoryError, RuntimeError) as error:
            self._view.set_message(wording.sentence(f"this mask cannot be loaded: {error}"))
            return
        edit.note_saved()
        self._show_whole(wording.loaded(Path(path), edit.n_masked, edit.mask.size))

    def _save(self, path: str) -> None:
        edit = self._edit
        if self._closing and edit not in self._losable and self._losable:
            edit = self._losable[0]  # what was asked about is the mask of another detector than the one shown
        if edit is None:
            return
        target = Path(path).absolute()
        if target.suffix.lower() not in (".h5", ".hdf5"):
            target = target.with_name(f"{target.name}.h5")
        try:
            said = save_mask(target, edit.mask, _provenance())
        except OSError as error:
            self._view.set_message(wording.sentence(f"the mask could not be written to {target}: {error}"))
            return
        edit.note_saved()
        settings = "" if self._monitor.settings is None else self._monitor.settings.text
        self._view.set_message(wording.saved(settings, said), wording.setting_line(said))
        self._tell()
        if self._closing and self.may_close():
            self.close_wanted.emit()

    def _discard(self) -> None:
        """Lose what is not saved, as the user said."""
        self._edits.clear()
        self._picture = None
        if self._closing:
            self.close_wanted.emit()

    def _stay(self) -> None:
        self._closing = False
        self._view.stop_asking()

    def _show_unsaved(self) -> None:
        """Draw the mask in question, where it belongs to what is shown."""
        self._is_open = True
        self.refresh()

    def _show_whole(self, message: str) -> None:
        self._draw_anew()
        self._view.set_message(message)
        self._tell()

    def _draw_anew(self) -> None:
        if self._picture is not None and (edit := self._edit) is not None:
            self._picture.update(edit.mask)
            self._view.set_mask(self._picture)

    def _tell(self) -> None:
        edit = self._edit
        if edit is None:
            self._view.set_state(MaskState(0, 0, "", "", unsaved=False))
            return
        unsaved = edit.unsaved and edit.n_masked > 0
        self._view.set_state(MaskState(edit.n_masked, edit.mask.size, edit.undoable, edit.redoable, unsaved))


def _provenance() -> str:
    return f"drawn in the window of braggwatch {braggwatch.__version__}"

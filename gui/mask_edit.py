"""A mask while it is drawn: which pixels it has, and the way back. Free of Qt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 64 * 2**20
"""Of steps that can be undone; of more, the first are forgotten. One that changes all of 16 Mpx takes 2 MiB."""
MAX_STEPS = 1000


@dataclass(frozen=True, eq=False)
class _Step:
    """Which pixels one change turned over."""

    first: int
    """The first row with such a pixel."""
    n_rows: int
    bits: NDArray[np.uint8]
    """One bit for each pixel of these rows."""
    what: str


class MaskEdit:
    """A mask ``(ss, fs)``, True where a pixel must not be used, with what was done to it."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """Begin with a mask that is empty, for images of a shape ``(ss, fs)``."""
        self.mask = np.zeros(shape, np.bool_)
        """To be looked at only."""
        self.n_masked = 0
        self._done: list[_Step] = []
        self._undone: list[_Step] = []
        self._saved: _Step | None = None
        """The last step that is in the file."""
        self._saved_is_known = True

    @property
    def shape(self) -> tuple[int, int]:
        """``(ss, fs)``."""
        return self.mask.shape[0], self.mask.shape[1]

    @property
    def unsaved(self) -> bool:
        """Whether the mask is another one than what was saved or loaded last."""
        return not self._saved_is_known or self._last is not self._saved

    @property
    def undoable(self) -> str:
        """What `undo` would take back, in words; empty for nothing."""
        return self._done[-1].what if self._done else ""

    @property
    def redoable(self) -> str:
        """What `redo` would do again, in words; empty for nothing."""
        return self._undone[-1].what if self._undone else ""

    def change(self, pixels: NDArray[np.bool_], what: str, *, add: bool) -> int:
        """Add pixels ``(ss, fs)`` to the mask, or take them off; returns how many are others than before.

        `what` says it in words. Raises ValueError for another shape.
        """
        self._check(pixels)
        rows = np.flatnonzero(pixels.any(axis=1))
        if not len(rows):
            return 0
        here = np.s_[rows[0] : rows[-1] + 1]
        turned = pixels[here] & ~self.mask[here] if add else pixels[here] & self.mask[here]
        return self._turn(int(rows[0]), turned, what)

    def replace(self, mask: NDArray[np.bool_], what: str) -> int:
        """Take another mask ``(ss, fs)`` in its place; returns how many pixels are others than before.

        Raises ValueError for another shape.
        """
        self._check(mask)
        return self._turn(0, mask ^ self.mask, what)

    def clear(self) -> int:
        """Mask nothing; returns how many pixels were masked."""
        return self._turn(0, self.mask.copy(), "clear")

    def invert(self) -> int:
        """Mask what is not masked, and nothing else."""
        return self._turn(0, np.ones_like(self.mask), "invert")

    def undo(self) -> bool:
        """Take the last change back; False where there is none."""
        if not self._done:
            return False
        step = self._done.pop()
        self._apply(step)
        self._undone.append(step)
        return True

    def redo(self) -> bool:
        """Do again what was taken back last; False where there is nothing."""
        if not self._undone:
            return False
        step = self._undone.pop()
        self._apply(step)
        self._done.append(step)
        return True

    def note_saved(self) -> None:
        """Note that the mask is in a file as it is now."""
        self._saved, self._saved_is_known = self._last, True

    @property
    def n_bytes(self) -> int:
        """What all steps take."""
        return sum(step.bits.nbytes for step in (*self._done, *self._undone))

    @property
    def _last(self) -> _Step | None:
        return self._done[-1] if self._done else None

    def _check(self, pixels: NDArray[np.bool_]) -> None:
        if pixels.shape != self.mask.shape:
            raise ValueError(
                f"the mask is for images of {self.shape[0]} × {self.shape[1]} pixels (ss × fs), "
                f"found {' × '.join(map(str, pixels.shape))}"
            )

    def _turn(self, first: int, turned: NDArray[np.bool_], what: str) -> int:
        n = int(np.count_nonzero(turned))
        if not n:
            return 0
        step = _Step(first, len(turned), np.packbits(turned), what)
        self.mask[first : first + len(turned)] ^= turned
        self.n_masked = int(np.count_nonzero(self.mask))
        self._forget_undone()
        self._done.append(step)
        self._forget_first()
        return n

    def _apply(self, step: _Step) -> None:
        n_columns = self.mask.shape[1]
        turned = np.unpackbits(step.bits, count=step.n_rows * n_columns).reshape(step.n_rows, n_columns)
        self.mask[step.first : step.first + step.n_rows] ^= turned.view(np.bool_)
        self.n_masked = int(np.count_nonzero(self.mask))

    def _forget_undone(self) -> None:
        if any(step is self._saved for step in self._undone):
            self._saved_is_known = False  # the way to what was saved is gone
        self._undone.clear()

    def _forget_first(self) -> None:
        while len(self._done) > 1 and (len(self._done) > MAX_STEPS or self.n_bytes > MAX_BYTES):
            forgotten = self._done.pop(0)
            # The state before the first step that is left is now the one that `None` stands for.
            if forgotten is self._saved:
                self._saved = None
            elif self._saved is None:
                self._saved_is_known = False

"""A mask while it is drawn: adding, removing, the way back and forth, and what is not saved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggwatch.gui import mask_edit
from braggwatch.gui.mask_edit import MaskEdit

SHAPE = (9, 13)


def some(seed: int, part: float = 0.3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=SHAPE) < part


def test_pixels_are_added_and_removed_and_counted() -> None:
    edit = MaskEdit(SHAPE)
    assert edit.change(some(1), "circle", add=True) == some(1).sum() == edit.n_masked
    assert edit.change(some(2), "polygon", add=False) == (some(1) & some(2)).sum()
    assert np.array_equal(edit.mask, some(1) & ~some(2)) and edit.n_masked == edit.mask.sum()
    assert edit.change(some(2), "polygon", add=False) == 0 and edit.undoable == "polygon"


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "clear", "invert", "replace"]), st.integers(0, 50))))
def test_undo_goes_back_through_every_state_and_redo_forward_again(changes: list[tuple[str, int]]) -> None:
    edit, states = MaskEdit(SHAPE), [np.zeros(SHAPE, bool)]
    for what, seed in changes:
        if what in ("add", "remove"):
            edit.change(some(seed, 0.1), what, add=what == "add")
        elif what == "replace":
            edit.replace(some(seed), what)
        elif what == "clear":
            edit.clear()
        else:
            edit.invert()
        if not np.array_equal(edit.mask, states[-1]):
            states.append(edit.mask.copy())
    for expected in states[-2::-1]:
        assert edit.undo()
        assert np.array_equal(edit.mask, expected) and edit.n_masked == expected.sum()
    assert not edit.undo() and edit.undoable == ""
    for expected in states[1:]:
        assert edit.redo()
        assert np.array_equal(edit.mask, expected) and edit.n_masked == expected.sum()
    assert not edit.redo()


def test_what_was_undone_is_forgotten_when_something_else_is_drawn() -> None:
    edit = MaskEdit(SHAPE)
    edit.change(some(1), "circle", add=True)
    edit.undo()
    assert edit.redoable == "circle"
    edit.change(some(2), "ring", add=True)
    assert edit.redoable == "" and not edit.redo() and np.array_equal(edit.mask, some(2))


def test_a_mask_is_unsaved_until_it_is_saved_and_when_it_differs_from_what_was_saved() -> None:
    edit = MaskEdit(SHAPE)
    assert not edit.unsaved
    edit.change(some(1), "circle", add=True)
    assert edit.unsaved
    edit.undo()
    assert not edit.unsaved
    edit.redo()
    edit.note_saved()
    assert not edit.unsaved
    edit.undo()
    assert edit.unsaved
    edit.redo()
    assert not edit.unsaved
    edit.undo()
    edit.change(some(2), "ring", add=True)  # what was saved cannot be reached any more
    edit.undo()
    assert edit.unsaved


def test_only_so_much_can_be_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_edit, "MAX_BYTES", 100)
    edit = MaskEdit(SHAPE)
    for seed in range(30):
        edit.replace(some(seed), f"step {seed}")
    assert edit.n_bytes <= 100
    n = 0
    while edit.undo():
        n += 1
    assert 3 < n < 8 and np.array_equal(edit.mask, some(29 - n))
    assert edit.unsaved, "the empty mask that it began with cannot be reached any more"


def test_what_was_saved_is_known_again_where_the_steps_before_it_were_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mask_edit, "MAX_STEPS", 3)
    edit = MaskEdit(SHAPE)
    edit.replace(some(0), "")
    edit.note_saved()
    for seed in range(1, 4):
        edit.replace(some(seed), "")
    while edit.undo():
        assert edit.unsaved or not edit.undoable
    assert np.array_equal(edit.mask, some(0)) and not edit.unsaved


def test_pixels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="the mask is for images of 9 × 13 pixels"):
        MaskEdit(SHAPE).change(np.ones((13, 9), bool), "circle", add=True)

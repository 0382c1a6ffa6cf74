"""What the menu and the keys do to the picture."""

from PyQt5.QtWidgets import QAction

from braggwatch.gui.actions import Actions
from braggwatch.gui.panels.image import ImagePanel


def add_image_actions(menus: Actions, panel: ImagePanel) -> None:
    """Put what the image panel's buttons do into the menus, each with its key."""
    bar = panel.toolbar
    for name, text, key, button in (
        ("spots", "Spots found", "S", bar.spots),
        ("predicted", "Reflections predicted", "P", bar.predicted),
        ("rings", "Resolution rings", "R", bar.rings),
        ("mask", "Masked pixels", "M", bar.mask),
        ("beam centre", "Beam centre", "B", bar.centre),
        ("levels by hand", "Histogram, for levels by hand", "H", bar.histogram),
    ):
        _add_twin(menus, name, text, key, button)
    menus.add_separator("Image")
    menus.add("Image", "next layer", "Next layer: image, dark, noise, gain, mask", "D", panel.next_layer)
    menus.add("Image", "draw mask", "Draw a mask, and back", "E", bar.edit_mask.toggle)
    menus.add("Image", "undo mask", "Undo in the mask", "Ctrl+Z", panel.mask_editor.undo_wanted.emit)
    menus.add("Image", "redo mask", "Redo in the mask", "Ctrl+Shift+Z", panel.mask_editor.redo_wanted.emit)
    menus.add(
        "Image", "give up", "Give up what was begun in the mask, or leave a field", "Esc", panel.mask_editor.give_up
    )
    menus.add_separator("Image")
    menus.add("Image", "log", "Logarithmic scale, and back", "L", panel.toggle_log)
    menus.add("Image", "auto levels", "Automatic levels", "A", panel.auto_levels)
    menus.add("Image", "fit", "The whole picture", "0", panel.fit)
    menus.add_separator("Image")
    menus.add("Image", "copy", "Copy the picture", "Ctrl+C", panel.export.copy)
    menus.add("Image", "save", "Save the picture …", "Ctrl+S", bar.save.trigger)


def _add_twin(menus: Actions, name: str, text: str, key: str, button: QAction) -> None:
    action = menus.add_switch("Image", name, text, key, button.setChecked, on=button.isChecked())
    button.toggled.connect(action.setChecked)

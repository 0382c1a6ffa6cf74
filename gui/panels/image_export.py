"""The picture as it is seen, with caption and overlays: onto the clipboard, or into a file."""

from pathlib import Path

from PyQt5.QtCore import QObject, Qt, pyqtSignal
from PyQt5.QtGui import QPixmap
from PyQt5.QtWidgets import QApplication, QFileDialog, QWidget


class PictureExport(QObject):
    """Copies and saves what a widget shows."""

    trouble = pyqtSignal(str)
    """A sentence on what did not work."""

    def __init__(self, sheet: QWidget) -> None:
        super().__init__(sheet)
        self._sheet = sheet

    def as_pixmap(self) -> QPixmap:
        """Return what is seen."""
        return self._sheet.grab()

    def copy(self) -> None:
        """Put it on the clipboard."""
        if (clipboard := QApplication.clipboard()) is not None:
            clipboard.setPixmap(self.as_pixmap())

    def save(self, path: str | Path) -> None:
        """Write it into a PNG file; `trouble` says where that failed."""
        target = Path(path)
        if target.suffix.lower() != ".png":
            target = target.with_name(target.name + ".png")
        if not self.as_pixmap().save(str(target), "PNG"):
            self.trouble.emit(f"the picture could not be written to {target}: is there such a folder, and room in it?")

    def ask_where(self, frame: int | None) -> None:
        """Ask for a file to save it in, called by the number of a frame."""
        name = "image.png" if frame is None else f"frame_{frame}.png"
        dialog = QFileDialog(self._sheet, "Save the picture", name, "Pictures (*.png)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.save)
        dialog.show()  # not modal: data flow on

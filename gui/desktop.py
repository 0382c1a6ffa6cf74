"""What the desktop around the window does for it."""

from PyQt5.QtCore import QFileInfo, QUrl
from PyQt5.QtGui import QDesktopServices

from braggwatch.streamer.wording import plain


def open_folder(path: str) -> str:
    """Open a folder of dumps in the file browser; return why not, as a sentence, or nothing.

    The record may come from another machine.
    """
    folder = QFileInfo(path)
    if not folder.isDir():
        return f"the folder {plain(path, 500)} is not on this machine"
    if not QDesktopServices.openUrl(QUrl.fromLocalFile(folder.absoluteFilePath())):
        return f"no program on this machine opens the folder {plain(path, 500)}"
    return ""

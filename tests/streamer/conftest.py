"""Fixtures for the tests of the streamer."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from archive_viewer import FEED, Viewer, viewer_of
from rig import Rig

from braggwatch.streamer.archive import Archive
from braggwatch.streamer.archive_client import ArchiveClient


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Detector, hub and workers to put together; everything is stopped in the end."""
    with ExitStack() as stack:
        yield Rig(stack, tmp_path)


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Callable[[Path], Viewer]]:
    """Opens an archive on a record and returns a viewer of it."""
    opened: list[ArchiveClient | Archive] = []

    def ask(record: Path) -> Viewer:
        archive = Archive(record, FEED)
        viewer = viewer_of(archive)
        opened.extend([archive, viewer.client])
        return viewer

    yield ask
    for one in reversed(opened):
        one.close()

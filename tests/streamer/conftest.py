"""Fixtures for the tests of the streamer."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Detector, hub and workers to put together; everything is stopped in the end."""
    with ExitStack() as stack:
        yield Rig(stack, tmp_path)

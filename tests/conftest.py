"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference data beside the repository: real images, recorded streams and frames with truth."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the reference data of the project's CI is missing: {folder}")
        pytest.skip("needs the project's reference data in ../shared")
    return folder

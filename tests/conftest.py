"""Fixtures that every test may use."""

import gc
import gzip
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import msgpack
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # the window's tests need no screen

# DIALS is no package of PyPI's: its tests are there where it is.
collect_ignore = [] if shutil.which("dials.show") else ["processing/test_with_dials.py"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reports go from process to process as UTF-8: what a test logged that is none is written out."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def collect_garbage_in_this_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Qt's objects must go in the thread that made them, as in the program itself (`gui.application.run`)."""
    if "qtbot" not in request.fixturenames and "seen" not in request.fixturenames:
        yield
        return
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference data beside the repository: real images, recorded streams and frames with truth."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the reference data of the project's CI is missing: {folder}")
        pytest.skip("needs the project's reference data in ../shared")
    return folder


@pytest.fixture(scope="session")
def recorded(shared: Path) -> Callable[[str], list[list[bytes]]]:
    """The messages, each a list of its parts, of a stream that another program sent, by the recording's name."""

    def messages(name: str) -> list[list[bytes]]:
        recording = msgpack.unpackb(gzip.decompress((shared / "wire" / f"{name}.msgpack.gz").read_bytes()))
        found: list[list[bytes]] = recording["messages"]
        return found

    return messages

"""Frames for the simulator, packed as they are sent: simulated stills, or images from files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from braggwatch.processing.frame import Frame, Series
from braggwatch.processing.image_files import open_image_files
from braggwatch.processing.simulation.pool import StillPool

MAX_BYTES = 4 << 30


@dataclass(frozen=True, eq=False)
class StoredFrames:
    """What the simulator sends."""

    frames: Sequence[Frame]
    series: Series
    order: Callable[[int], int]
    """Which of the frames is sent under a frame number."""

    def __len__(self) -> int:
        return len(self.frames)


def from_pool(pool: StillPool) -> StoredFrames:
    """Return the stills of a pool, in the pool's own order."""
    detector = pool.detector
    frames = [
        Frame(series="", number=number, payload=payload, shape=detector.shape, dtype=pool.dtype, encoding=pool.encoding)
        for number, payload in enumerate(pool.payloads)
    ]
    panel = detector.panels[0]
    series = Series(
        key="",
        number=1,
        name="simulated",
        shape=detector.shape,
        dtype=pool.dtype,
        photon_energy=None if detector.beam is None else detector.beam.photon_energy,
        distance=panel.corner[2],
        beam_center=(float(detector.beam_center[0, 0]), float(detector.beam_center[0, 1])),
        pixel_size=(panel.pixel_size, float(np.linalg.norm(panel.ss))),
        detector="simulated EIGER2",
        mask=detector.mask,
    )
    return StoredFrames(frames, series, pool.index)


def from_files(paths: Sequence[str]) -> StoredFrames:
    """Return the images of files, one after another under the header of the first.

    Raises ValueError where they differ in shape or kind of pixel, or are more than the simulator keeps in memory.
    """
    frames: list[Frame] = []
    header: Series | None = None
    n_bytes = 0
    for images in open_image_files(paths):
        with images:
            header = header or images.series
            for frame in images:
                n_bytes += memoryview(frame.payload).nbytes
                _check(frame, frames[0] if frames else frame, n_bytes)
                frames.append(frame)
    if header is None or not frames:
        raise ValueError(f"there is no image in {', '.join(paths)}")
    return StoredFrames(frames, header, lambda number: number % len(frames))


def _check(frame: Frame, first: Frame, n_bytes: int) -> None:
    if (frame.shape, frame.dtype) != (first.shape, first.dtype):
        raise ValueError(
            f"a series has images of one kind: the first is {first.shape} {first.dtype}, "
            f"found {frame.shape} {frame.dtype}"
        )
    if n_bytes > MAX_BYTES:
        raise ValueError(f"the simulator keeps its images in memory, {MAX_BYTES >> 30} GiB at most; name fewer files")

"""What a stage does that cannot write: it lets shots go by, says why, and tries again after a while."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TypeVar

from braggwatch.processing.shot import Shot

RETRY_SECONDS = 10.0
"""How long a stage that cannot write waits before it tries again, s."""

Written = TypeVar("Written")

_log = logging.getLogger(__name__)


class Pause:
    """Whether a stage writes at the moment; a full disk never costs a hit, only what would have been written of it."""

    def __init__(self, stage: str, notice: str) -> None:
        """`stage` begins what is said, such as ``stream indexed``; `notice` is the kind of notice that shots get."""
        self.because: str | None = None
        """Why nothing is written, as a sentence; None while all is well."""
        self.not_written = 0
        """Shots that went by."""
        self._stage = stage
        self._notice = notice
        self._retry_at = 0.0

    def attempt(self, write: Callable[[Shot], Written], shot: Shot, path: Path) -> Written | None:
        """Return what `write` returns for a shot; None where it raises OSError, or it is too early to try again.

        What cannot be written goes to `path`.
        """
        if self.because is None or monotonic() >= self._retry_at:
            try:
                written = write(shot)
            except OSError as error:
                self.begin(error, path)
            else:
                self.because = None
                return written
        self._pass_by(shot)
        return None

    def begin(self, error: OSError, path: Path) -> None:
        """Write nothing for ten seconds, and log why, unless this is but another try that failed."""
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        because = f"{self._stage}: cannot write to {path}: {reason}"
        if self.because is None:
            _log.error("%s; shots go on being counted, the next try is in %g s", because, RETRY_SECONDS)
            self.because = because
        self._retry_at = monotonic() + RETRY_SECONDS

    def _pass_by(self, shot: Shot) -> None:
        self.not_written += 1
        if self.because is not None:
            shot.notices[self._notice] = self.because

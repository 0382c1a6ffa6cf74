"""Every stage of a chain is told that a series is over."""

import pytest

from braggwatch.processing.chain import Chain, Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.shot import Shot


class Stage:
    def __init__(self, error: str = "") -> None:
        self.error, self.ended = error, False

    def begin(self, series: Series, detector: Detector) -> None:
        pass

    def event(self, shot: Shot) -> Verdict:
        return Verdict.KEEP

    def end(self) -> None:
        self.ended = True
        if self.error:
            raise OSError(self.error)


def test_all_stages_end_and_the_first_error_is_told() -> None:
    stages = [Stage(), Stage("first"), Stage("second"), Stage()]
    with pytest.raises(OSError, match=r"^first$"):
        Chain([(str(index), stage) for index, stage in enumerate(stages)]).end()
    assert all(stage.ended for stage in stages)

"""The settings of a pipeline: detector, chain, and the options of each stage."""

from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from braggwatch.processing.chain import Chain
from braggwatch.processing.chain_settings import ChainSettings, SettingsError, StageSpec, build_chain, resolve_stages
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.pipeline import Pipeline
from braggwatch.processing.shot_groups import GroupSettings
from braggwatch.processing.stages.dump import DumpSettings
from braggwatch.processing.stages.hitfind import HitfindSettings
from braggwatch.processing.stages.results import ResultsSettings
from braggwatch.processing.stages.stream import StreamSettings

_WARM_UP_SHAPE = (256, 256)
_WARM_UP_DTYPES = ("uint16", "uint32")
"""What detectors send most; kernels for another dtype are compiled when its first series begins."""


class PipelineSettings(BaseModel):
    """Everything that decides what happens to a frame; it travels to the workers as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: DetectorSettings = Field(default_factory=DetectorSettings)
    groups: GroupSettings = Field(default_factory=GroupSettings)
    chain: ChainSettings = Field(default_factory=ChainSettings)
    stages: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """The table of each stage and each instance, by name, as they stand in the settings file."""
    provenance: dict[str, str] = Field(default_factory=dict)
    """What goes into the files that stages write: the settings in force as text, the program's version."""

    def stage_specs(self) -> list[StageSpec]:
        """Return the stages in order with their complete options; raises SettingsError."""
        return resolve_stages(self.chain.stages, self.stages)

    def build_chain(self) -> Chain:
        """Make the stages; raises SettingsError."""
        return build_chain(self.stage_specs(), self.provenance)

    def check(self) -> None:
        """Raise ValueError, naming table and key, for what would keep the first frame from being processed.

        Stages are made, files looked for; what depends on the detector's own header can only be known when it is there.
        """
        self.detector.check_files()
        self.build_chain()
        for spec in self.stage_specs():
            if isinstance(spec.settings, DumpSettings | StreamSettings | ResultsSettings):
                try:
                    spec.settings.check_directory()
                except ValueError as error:
                    raise SettingsError(f"[{spec.name}] {error}") from None

    def pipeline(self, series: Series) -> Pipeline:
        """Make the pipeline for a series; raises ValueError where the geometry is incomplete."""
        return Pipeline(series, self.detector, self.build_chain(), self.groups)

    def warm_up(self) -> None:
        """Compile the kernels that frames of the usual dtypes need: one small frame of each goes through the chain.

        Corrected images are float32, so where pixels are corrected one of these goes too. Stages that write files or
        are a user's own are left out.
        """
        specs = [_anywhere(spec) for spec in self.stage_specs() if spec.module in ("hitfind", "index", "integrate")]
        if self.detector.corrects:
            for dtype in _WARM_UP_DTYPES:
                self.detector.warm_up(dtype)
        for dtype in (*_WARM_UP_DTYPES, "float32") if self.detector.corrects else _WARM_UP_DTYPES:
            pixels = np.random.default_rng(0).poisson(5.0, _WARM_UP_SHAPE).astype(dtype)
            series, frame = _warm_up_series(dtype), _warm_up_frame(pixels)
            Pipeline(series, DetectorSettings(), build_chain(specs, {})).process(frame)


def _anywhere(spec: StageSpec) -> StageSpec:
    """Return a stage that a small frame can go through: a region of interest may lie outside of it."""
    if isinstance(spec.settings, HitfindSettings):
        return replace(spec, settings=spec.settings.model_copy(update={"roi": None}))
    return spec


def _warm_up_series(dtype: str) -> Series:
    ss, fs = _WARM_UP_SHAPE
    return Series(
        key="warm-up", number=0, shape=_WARM_UP_SHAPE, dtype=dtype, photon_energy=12_400.0, distance=0.05,
        beam_center=(fs / 2, ss / 2), pixel_size=(75e-6, 75e-6),
    )  # fmt: skip


def _warm_up_frame(pixels: np.ndarray[Any, Any]) -> Frame:
    return Frame(
        series="warm-up", number=0, payload=bslz4_chunk(pixels), shape=_WARM_UP_SHAPE, dtype=str(pixels.dtype),
        encoding=Encoding("bslz4", "hdf5"),
    )  # fmt: skip

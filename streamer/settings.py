"""All settings of a processor: read from TOML, checked before the first frame, written out with their meaning."""

import difflib
import textwrap
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import braggwatch
from braggwatch.processing.chain_settings import STAGES, ChainSettings, SettingsError, describe_error, split_name
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.processing.shot_groups import GroupSettings
from braggwatch.streamer.engine import EngineSettings
from braggwatch.streamer.feed import DEFAULT_ADDRESS
from braggwatch.streamer.hub_settings import HubSettings
from braggwatch.streamer.merge_settings import MergeSettings
from braggwatch.streamer.select_settings import SelectSettings
from braggwatch.streamer.sources.settings import DectrisV2Settings
from braggwatch.streamer.sources.source import SourceSettings


class ExperimentSettings(BaseModel):
    """What this beamtime is called, and where its files go."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="experiment", min_length=1, max_length=200, description="Name of the experiment.")
    record: Path = Field(
        default=Path("braggwatch.sqlite"),
        description="SQLite file that every frame's end is written to; one that exists is continued.",
    )
    quarantine: Path = Field(
        default=Path("quarantine"), description="Folder for frames that killed two workers and were set aside."
    )


class FeedSettings(BaseModel):
    """Where viewers find the processor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(
        default=DEFAULT_ADDRESS,
        description="ZeroMQ address of the feed; * as the port takes a free one. Only this machine sees 127.0.0.1.",
    )
    window: float = Field(default=30.0, ge=1, le=600, description="Rates and latency look back this long, s.")
    images_per_s: float = Field(
        default=8.0, ge=0, le=100, description="Shots with pixels that go to the viewers, a second; 0 for none."
    )


class Settings(BaseModel):
    """Everything that can be set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: ExperimentSettings = Field(default_factory=ExperimentSettings)
    source: SourceSettings = Field(default_factory=DectrisV2Settings)
    detector: DetectorSettings = Field(default_factory=DetectorSettings)
    groups: GroupSettings = Field(default_factory=GroupSettings)
    select: SelectSettings = Field(default_factory=SelectSettings)
    chain: ChainSettings = Field(default_factory=ChainSettings)
    hub: HubSettings = Field(default_factory=HubSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    feed: FeedSettings = Field(default_factory=FeedSettings)
    merge: MergeSettings = Field(default_factory=MergeSettings)
    stages: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def pipeline(self) -> PipelineSettings:
        """Return what the workers need of it."""
        provenance = {"settings": self.as_toml(comments=False), "version": braggwatch.__version__}
        return PipelineSettings(
            detector=self.detector, groups=self.groups, chain=self.chain, stages=self.stages, provenance=provenance
        )

    def as_toml(self, *, comments: bool = True) -> str:
        """Write the complete settings in force, defaults included, with a sentence and a unit for each."""
        blocks = [_table(name, getattr(self, name), comments) for name in _SECTIONS]
        for spec in PipelineSettings(chain=self.chain, stages=self.stages).stage_specs():
            blocks.append(_table(spec.name, spec.settings, comments))
        return "\n".join(blocks)


_SECTIONS = tuple(name for name in Settings.model_fields if name != "stages")


def load_settings(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a settings file; `overrides` are ``table.key=value``, the value as TOML or as a bare word.

    Raises SettingsError saying what is wrong, where, and what was expected.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"there is no settings file {path}; `braggwatch config show > {path}` writes one to start from"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no valid TOML: {error}") from None
    for override in overrides:
        override_setting(document, override)
    try:
        return parse_settings(document)
    except SettingsError as error:
        raise SettingsError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def parse_settings(document: dict[str, Any]) -> Settings:
    """Check a settings document, its stages included. Raises SettingsError with a line for each fault."""
    for name, value in document.items():
        if not isinstance(value, dict):
            raise SettingsError(f"{name}: expected a table of settings, found {value!r}")
    sections = {name: value for name, value in document.items() if name in _SECTIONS}
    stages = {name: value for name, value in document.items() if name not in _SECTIONS}
    if "source" in sections:
        sections["source"] = {"type": DectrisV2Settings().type, **sections["source"]}
    _check_names(stages, sections.get("chain", {}).get("stages"))
    try:
        settings = Settings.model_validate({**sections, "stages": stages})
    except ValidationError as error:
        raise SettingsError(_faults_by_table(error)) from None
    settings.pipeline().stage_specs()
    return settings


def override_setting(document: dict[str, Any], override: str) -> None:
    """Put the value of a ``table.key=value`` into a settings document. Raises SettingsError."""
    name, equals, text = override.partition("=")
    table, dot, key = name.strip().rpartition(".")
    if not (equals and dot and key):
        raise SettingsError(f"expected TABLE.KEY=VALUE, such as hitfind.min_snr=6, found {override!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    settings = document.setdefault(table, {})
    if not isinstance(settings, dict):
        raise SettingsError(f"{table}: expected a table of settings, found {settings!r}")
    settings[key] = value


def _check_names(tables: dict[str, Any], stages: Any) -> None:
    """Refuse a table that belongs to nothing; `stages` is what the settings say, which may be no list of names."""
    names = [name for name in stages if isinstance(name, str)] if isinstance(stages, list) else ChainSettings().stages
    known = {*_SECTIONS, *names, *(split_name(name)[0] for name in names), *STAGES}
    for name in tables:
        if name not in known and not (":" in name and split_name(name)[0] in known):
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean [{close[0]}]?" if close else f"; there are {', '.join(sorted(known))}"
            raise SettingsError(f"[{name}]: there is no such table, and no stage of that name{hint}")


def _faults_by_table(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        table, *rest = fault["loc"]
        if table == "source" and len(rest) > 1:  # which settings there are depends on the type
            rest = [f"{'.'.join(map(str, rest[1:]))} (type = {rest[0]})"]
        single = ValidationError.from_exception_data("", [{**fault, "loc": tuple(rest)}])  # type: ignore[typeddict-unknown-key]
        lines.append(describe_error(str(table), single))
    return "\n".join(lines)


def _table(name: str, settings: BaseModel | dict[str, Any], comments: bool) -> str:
    head = f"[{name}]" if name.isidentifier() else f'["{name}"]'
    if isinstance(settings, dict):
        return f"{head}\n{tomli_w.dumps(settings)}"
    values = settings.model_dump(mode="json")
    lines = [head]
    fields = type(settings).model_fields
    for key in sorted(fields, key=lambda key: key != "type"):
        field = fields[key]
        if comments and field.description:
            lines += textwrap.wrap(field.description, 100, initial_indent="# ", subsequent_indent="# ")
        lines.append(f"# {key} =" if values[key] is None else f"{key} = {inline_toml(values[key])}")
    return "\n".join([*lines, ""])


def inline_toml(value: Any) -> str:
    """Return a value as TOML that needs no table of its own."""
    if isinstance(value, dict):
        return (
            f"{{ {', '.join(tomli_w.dumps({key: item}).strip() for key, item in value.items())} }}" if value else "{}"
        )
    return tomli_w.dumps({"value": value}).strip().removeprefix("value = ")

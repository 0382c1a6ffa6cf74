"""From the chain's settings to its stages: names, shared and overriding options, users' own stages."""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from braggwatch.processing.chain import Chain, Stage
from braggwatch.processing.stages.average import Average, AverageSettings
from braggwatch.processing.stages.dump import Dump, DumpSettings
from braggwatch.processing.stages.hitfind import Hitfind, HitfindSettings
from braggwatch.processing.stages.index import Index, IndexSettings, read_cell
from braggwatch.processing.stages.integrate import Integrate, IntegrateSettings
from braggwatch.processing.stages.results import Results, ResultsSettings
from braggwatch.processing.stages.stream import Stream, StreamSettings

Options = Mapping[str, Any]

STAGES: Mapping[str, tuple[type[BaseModel], Callable[..., Stage]]] = {
    "hitfind": (HitfindSettings, Hitfind),
    "dump": (DumpSettings, Dump),
    "index": (IndexSettings, Index),
    "integrate": (IntegrateSettings, Integrate),
    "stream": (StreamSettings, Stream),
    "results": (ResultsSettings, Results),
    "average": (AverageSettings, Average),
}
"""The stages that come with the program: their settings and their class."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message says where, what was expected and what was found."""


class ChainSettings(BaseModel):
    """Which stages a shot passes, in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stages: list[str] = Field(
        default=["hitfind", "dump:hit"],
        description="Stages in order: hitfind, dump, index, integrate, stream, results, average, or a class of your "
        "own as package.module.Class; behind a colon an instance name, which has its own options in a table of that "
        "name.",
    )


@dataclass(frozen=True)
class StageSpec:
    """One stage of a chain with its complete, checked options."""

    name: str
    """As it stands in the chain, with the instance: ``dump:hit``."""
    module: str
    """``dump``."""
    instance: str
    """``hit``; the module's name where there is none."""
    settings: BaseModel | dict[str, Any]
    """The stage's settings model, or for a class without one the options as they stand."""


def split_name(name: str) -> tuple[str, str]:
    """Split ``dump:hit`` into ``dump`` and ``hit``; without a colon the instance is called as the module."""
    module, _, instance = name.partition(":")
    return module, instance or module.rpartition(".")[2].lower()


def resolve_stages(stages: Sequence[str], tables: Mapping[str, Options]) -> list[StageSpec]:
    """Give each stage its options: the table of its module first, overridden by the table of its instance.

    Raises SettingsError naming the table, the key, what was expected and what was found.
    """
    repeated = {name for name in stages if stages.count(name) > 1}
    if repeated:
        raise SettingsError(
            f"[chain] stages: {', '.join(sorted(repeated))} stands there twice; "
            "give each use an instance name behind a colon, such as dump:hit and dump:indexed"
        )
    specs = [_resolve(name, tables) for name in stages]
    _refuse_unknown_blanks(specs, tables)
    return specs


def build_chain(specs: Sequence[StageSpec], provenance: Mapping[str, str]) -> Chain:
    """Make the chain; `provenance` (settings, version) goes into what the stages write."""
    return Chain([(spec.name, _build(spec, specs, provenance)) for spec in specs])


def describe_error(table: str, error: ValidationError) -> str:
    """Say in one line a fault what pydantic found: table, key, what was expected, what was found."""
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"[{table}] {key}: there is no such setting; `braggwatch config show` lists all of them")
        elif fault["type"] == "missing":
            lines.append(f"[{table}] {key}: is missing and has no default; `braggwatch config show` explains it")
        else:
            message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
            where = f"[{table}] {key}" if key else f"[{table}]"
            found = f", found {fault['input']!r}" if key and "found " not in message else ""
            lines.append(f"{where}: {message}{found}")
    return "\n".join(lines)


def _refuse_unknown_blanks(specs: Sequence[StageSpec], tables: Mapping[str, Options]) -> None:
    """Raise SettingsError where a dump of blanks cannot know them, or where it takes the hits from another."""
    for index, spec in enumerate(specs):
        if not isinstance(spec.settings, DumpSettings) or spec.settings.one_blank_in is None:
            continue
        if spec.name != spec.module and "one_blank_in" not in tables.get(spec.name, {}):
            raise SettingsError(
                f'[dump] one_blank_in: expected in the table of one dump, such as ["dump:blanks"], not in that of all: '
                f"{spec.name} would write blanks instead of hits"
            )
        if not any(before.module not in ("dump", "average") for before in specs[:index]):
            raise SettingsError(
                f"[{spec.name}] one_blank_in: expected a stage before it that tells hits from blanks, found none: put "
                f"{spec.name} behind hitfind in [chain] stages"
            )


def _resolve(name: str, tables: Mapping[str, Options]) -> StageSpec:
    module, instance = split_name(name)
    options = {**tables.get(module, {}), **(tables.get(name, {}) if name != module else {})}
    model = STAGES[module][0] if module in STAGES else getattr(_user_stage(module), "Settings", None)
    if model is None:
        return StageSpec(name, module, instance, options)
    try:
        return StageSpec(name, module, instance, model.model_validate(options))
    except ValidationError as error:
        raise SettingsError(describe_error(name, error)) from None


def _build(spec: StageSpec, specs: Sequence[StageSpec], provenance: Mapping[str, str]) -> Stage:
    make: Callable[..., Stage] = STAGES[spec.module][1] if spec.module in STAGES else _user_stage(spec.module)
    try:
        if isinstance(spec.settings, DumpSettings):
            return Dump(spec.settings, instance=spec.instance, provenance=dict(provenance))
        if isinstance(spec.settings, StreamSettings):
            return Stream(spec.settings, instance=spec.instance, **_stream_header(specs))
        if isinstance(spec.settings, ResultsSettings):
            return Results(spec.settings, instance=spec.instance, provenance=dict(provenance))
        if isinstance(spec.settings, AverageSettings):
            return Average(spec.settings, instance=spec.instance, provenance=dict(provenance))
        return make(**spec.settings) if isinstance(spec.settings, dict) else make(spec.settings)
    except (TypeError, ValueError, OSError) as error:
        raise SettingsError(f"[{spec.name}]: {error}") from error


def _stream_header(specs: Sequence[StageSpec]) -> dict[str, Any]:
    """Return what the other stages tell the header of a stream: the cell that is looked for, and the gain."""
    known: dict[str, Any] = {}
    for spec in specs:
        if isinstance(spec.settings, IndexSettings):
            known.setdefault("cell", read_cell(spec.settings.cell))
        elif isinstance(spec.settings, IntegrateSettings):
            known.setdefault("adu_per_photon", spec.settings.gain)
    return known


def _user_stage(path: str) -> Callable[..., Stage]:
    """Find a user's stage: ``package.module.Class``, or ``package.module`` when it defines just one stage."""
    if "." not in path:
        known = ", ".join(STAGES)
        raise SettingsError(
            f"[chain] stages: there is no stage {path!r}; expected one of {known}, or a class of your own "
            "as package.module.Class"
        )
    module_path, _, class_name = path.rpartition(".")
    try:
        return _stages_in(importlib.import_module(path), path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise SettingsError(f"[chain] stages: importing {path} failed: {error}") from error
    try:
        found = getattr(importlib.import_module(module_path), class_name)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"[chain] stages: {path} cannot be imported: {error}. Is its folder on PYTHONPATH?"
        ) from error
    if not _is_stage(found):
        raise SettingsError(f"[chain] stages: {path} is no stage: it needs the methods begin, event and end")
    return found


def _stages_in(module: ModuleType, path: str) -> Callable[..., Stage]:
    stages = [value for value in vars(module).values() if _is_stage(value) and value.__module__ == module.__name__]
    if len(stages) != 1:
        names = ", ".join(sorted(stage.__name__ for stage in stages)) or "none"
        raise SettingsError(
            f"[chain] stages: {path} should define one class with begin, event and end, found {names}; "
            "name the class behind the module: package.module.Class"
        )
    return stages[0]


def _is_stage(value: object) -> TypeGuard[Callable[..., Stage]]:
    return inspect.isclass(value) and all(
        callable(getattr(value, method, None)) for method in ("begin", "event", "end")
    )

"""The settings of hit finder and indexer as things to turn: generated from the stages' own settings."""

import math
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from braggwatch.processing.chain_settings import STAGES, ChainSettings, split_name
from braggwatch.processing.trial_run import JUDGES

Value = float | int | str | bool | None
Kind = Literal["number", "whole", "choice", "switch", "text"]


@dataclass(frozen=True)
class Scale:
    """What a slider spans; any value that the settings allow can be typed in beside it."""

    low: float
    high: float
    step: float
    unit: str = ""
    start: float | None = None
    """What a limit begins with that was off; None: the low end."""
    bend: float = 1.0
    """Above 1, the slider is finer at its low end."""


SCALES: Mapping[str, Scale] = {
    "min_snr": Scale(2, 20, 0.1, "σ"),
    "threshold": Scale(0, 1000, 1, "ADU", bend=3),
    "min_pixels": Scale(1, 20, 1, "px"),
    "max_pixels": Scale(2, 500, 1, "px", bend=2),
    "local_bg_radius": Scale(1, 20, 1, "px"),
    "min_peaks": Scale(1, 200, 1, bend=2),
    "max_peaks_in_hit": Scale(10, 2000, 1, start=1000, bend=2),
    "d_min": Scale(1, 10, 0.05, "Å", start=2),
    "d_max": Scale(3, 100, 0.5, "Å", start=30, bend=2),
    "min_radius": Scale(0, 1000, 1, "px", start=50, bend=2),
    "max_radius": Scale(50, 4000, 5, "px", start=1000),
    "threshold_adu": Scale(0, 10_000, 1, "ADU", start=50, bend=3),
    "central_panels": Scale(0, 64, 1),
    "minimum_signal_height": Scale(1, 10, 0.1, "σ"),
    "minimum_spot_height": Scale(1, 20, 0.1, "σ"),
    "minimum_spot_area": Scale(1, 30, 1, "px"),
    "spot_area_maximum_factor": Scale(1, 100, 1, bend=2),
    "scanbox_window": Scale(10, 200, 1, "px"),
    "peripheral_margin": Scale(0, 50, 1, "px"),
    "max_peaks": Scale(100, 10_000, 10, bend=2),
    "min_spots": Scale(4, 60, 1),
    "max_lattices": Scale(1, 20, 1),
    "length_tolerance": Scale(0.005, 0.2, 0.005),
    "angle_tolerance": Scale(0.1, 10, 0.1, "°"),
}
"""In the order in which they are shown, after the method; what is not named here follows without a slider."""
_SLIDER_STEPS = 400


@dataclass(frozen=True)
class TunedField:
    """One setting of one stage."""

    table: str
    """The stage's name in the chain, which is its table's: ``hitfind``."""
    key: str
    kind: Kind
    optional: bool
    """Whether it can be off."""
    default: Value
    """What holds where the settings say nothing; None where it is off or has to be said."""
    tooltip: str
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    scale: Scale | None = None

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from all others."""
        return self.table, self.key

    @property
    def decimals(self) -> int:
        """How many are shown."""
        if self.kind == "whole":
            return 0
        return max(math.ceil(-math.log10(self.scale.step)), 1) if self.scale is not None else 3

    @property
    def slider_steps(self) -> int:
        """Positions of its slider, from 0 to this; 0 where it has none."""
        return _SLIDER_STEPS if self.scale is not None else 0

    def value_at(self, position: int) -> float | int:
        """Return the value of a position of its slider, a whole number of steps from the low end."""
        assert self.scale is not None
        scale = self.scale
        value = scale.low + (scale.high - scale.low) * (position / _SLIDER_STEPS) ** scale.bend
        value = scale.low + round((value - scale.low) / scale.step) * scale.step
        return round(value) if self.kind == "whole" else round(value, 6)

    def position_of(self, value: float) -> int:
        """Return the position of its slider that is nearest to a value."""
        assert self.scale is not None
        scale = self.scale
        share = min(max((value - scale.low) / (scale.high - scale.low), 0.0), 1.0)
        return round(_SLIDER_STEPS * share ** (1.0 / scale.bend))

    def start(self) -> Value:
        """Return what it begins with when it is switched on."""
        if self.scale is None:
            return "" if self.kind == "text" else 0
        start = self.scale.low if self.scale.start is None else self.scale.start
        return round(start) if self.kind == "whole" else start

    def said(self, value: Value) -> str:
        """Return a value in words."""
        if value is None:
            return "none"
        if isinstance(value, bool):
            return "yes" if value else "no"
        unit = f" {self.scale.unit}" if self.scale is not None and self.scale.unit else ""
        return f"{value:.6g}{unit}" if isinstance(value, float | int) else str(value)


def tuned_fields(text: str) -> tuple[list[TunedField], dict[tuple[str, str], Value]]:
    """Return what can be tuned in settings in force (TOML), and the values that are in force, defaults included.

    Values are those of the text, unchecked but of a plain type. Raises ValueError where the text is no TOML, or no
    settings.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"the settings that the processor sent are no TOML: {error}") from None
    chain = document.get("chain", {})
    names = chain.get("stages", ChainSettings().stages) if isinstance(chain, dict) else []
    fields: list[TunedField] = []
    values: dict[tuple[str, str], Value] = {}
    for name in names if isinstance(names, list) else []:
        module = split_name(name)[0] if isinstance(name, str) else ""
        if module not in JUDGES:
            continue
        options: dict[str, Any] = {}
        for table in (module, name):
            options |= found if isinstance(found := document.get(table, {}), dict) else {}
        for field in _fields_of(name, STAGES[module][0]):
            value = options.get(field.key, field.default)
            fields.append(field)
            values[field.name] = value if isinstance(value, float | int | str | bool) else None
    return fields, values


def _fields_of(table: str, model: type[BaseModel]) -> list[TunedField]:
    order = ["method", *SCALES]
    keys = sorted(model.model_fields, key=lambda key: order.index(key) if key in order else len(order))
    return [_field(table, key, model.model_fields[key]) for key in keys]


def _field(table: str, key: str, info: FieldInfo) -> TunedField:
    annotation, optional = info.annotation, False
    if isinstance(annotation, types.UnionType):
        (annotation,) = (part for part in typing.get_args(annotation) if part is not types.NoneType)
        optional = True
    choices = tuple(typing.get_args(annotation)) if typing.get_origin(annotation) is Literal else ()
    kinds: dict[Any, Kind] = {int: "whole", float: "number", bool: "switch"}
    kind: Kind = "choice" if choices else kinds.get(annotation, "text")
    scale = SCALES.get(key) if kind in ("number", "whole") else None
    step = scale.step if scale is not None else 1.0
    limits = {name: limit for part in info.metadata for name in ("ge", "gt", "le", "lt")
              if (limit := getattr(part, name, None)) is not None}  # fmt: skip
    low = limits.get("ge", limits["gt"] + step if "gt" in limits else -math.inf)
    high = limits.get("le", limits["lt"] - step if "lt" in limits else math.inf)
    default = None if info.is_required() else info.default
    return TunedField(
        table,
        key,
        kind,
        optional,
        default,
        _tooltip(table, key, info, default),
        choices,
        float(low),
        float(high),
        scale,
    )


def _tooltip(table: str, key: str, info: FieldInfo, default: Value) -> str:
    usual = "It has no default." if info.is_required() else f"Default: {'none' if default is None else default}."
    return f"<b>{table}.{key}</b><br>{info.description}<br>{usual}"

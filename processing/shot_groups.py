"""Which group a shot belongs to: laser on or off, an event code, a delay, or any other value that comes with it."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

LONGEST_NAME = 48
"""Characters of a group's name."""
MAX_GROUPS = 16
"""How many groups are told apart; shots of further ones are counted together."""
OTHERS = "others"
"""Name of what is none of the groups that are told apart."""

GroupName = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME, pattern=r"^[^\x00-\x1f\x7f]+$")]


class GroupSettings(BaseModel):
    """How shots are grouped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str = Field(
        default="",
        max_length=256,
        description="Per-shot value by which shots are grouped, such as laser_1 or event_codes, as the detector's "
        "stream names it; empty: not at all.",
    )
    names: dict[str, GroupName] = Field(
        default_factory=dict,
        max_length=MAX_GROUPS,
        description='Name of the group of each value, such as { "0" = "dark", "1" = "pumped" }. Of a list of event '
        "codes the first one here that it holds decides.",
    )
    edges: list[float] = Field(
        default_factory=list,
        max_length=MAX_GROUPS - 1,
        description="Limits between groups of a number such as a delay, rising: [0, 1.5] makes three groups. Not with "
        "names.",
    )

    @model_validator(mode="after")
    def _check(self) -> "GroupSettings":
        if self.names and self.edges:
            raise ValueError("names and edges cannot be used together; names are for states, edges for numbers")
        if not all(map(math.isfinite, self.edges)) or any(
            b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)
        ):
            raise ValueError(f"edges must be numbers that rise, found {self.edges}")
        if (self.names or self.edges) and not self.by:
            raise ValueError(
                'by is missing: expected the per-shot value that names and edges are of, such as "laser_1"'
            )
        return self

    def group_of(self, values: Mapping[str, float | int | str]) -> str:
        """Return the name of a shot's group from the values that came with it; empty where shots are not grouped."""
        if not self.by:
            return ""
        value = values.get(self.by)
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            return self._called("no ", "")
        if self.edges:
            return self._between_edges(value)
        if self.names:
            return self._named(value)
        return self._called("", f" {value_text(value)}")

    def _between_edges(self, value: float | str) -> str:
        if isinstance(value, str):
            return OTHERS
        n = bisect_right(self.edges, value)
        if n == 0:
            return self._called("", f" < {_edge_text(self.edges[0])}")
        if n == len(self.edges):
            return self._called("", f" ≥ {_edge_text(self.edges[-1])}")
        return self._called("", f" {_edge_text(self.edges[n - 1])} to {_edge_text(self.edges[n])}")

    def _called(self, before: str, after: str) -> str:
        """Return the name of a group of values; if it is too long, `by` is cut, which is the same in all of them."""
        room = LONGEST_NAME - len(before) - len(after)
        by = self.by if len(self.by) <= room else f"{self.by[: max(room - 1, 0)]}…"
        return f"{before}{by}{after}"[:LONGEST_NAME]

    def _named(self, value: float | str) -> str:
        text = value_text(value)
        if text in self.names:
            return self.names[text]
        if isinstance(value, str):
            held = set(value.split())
            for code, name in self.names.items():
                if code in held:
                    return name
        return OTHERS


def value_text(value: float | str) -> str:
    """Return a per-shot value as settings name it: 1 and 1.0 are the same state, and True is 1."""
    if isinstance(value, str):
        return value
    return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:g}"


def _edge_text(edge: float) -> str:
    """Return an edge with all of its digits: groups of two edges that look alike would be one."""
    return repr(edge).removesuffix(".0")

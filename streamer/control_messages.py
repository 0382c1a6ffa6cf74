"""What viewers may change in a running processor. Heard on a loopback socket only."""

from typing import Any

import msgspec


class Change(msgspec.Struct, frozen=True, tag="change"):
    """Put other settings in force, without a restart."""

    settings: dict[str, dict[str, Any]]
    """By table and key, as in the settings file: ``{"hitfind": {"min_snr": 6.0}}``."""
    by: str = ""
    """Who asks, for the record."""


class Changed(msgspec.Struct, frozen=True, tag="changed"):
    """The version that is in force now, or why the change was refused and nothing changed."""

    version: int
    problem: str = ""

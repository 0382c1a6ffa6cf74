"""What may be changed in the settings of a running processor, and what such a change comes to."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from braggwatch.processing.chain_settings import SettingsError, StageSpec, split_name
from braggwatch.streamer.settings import Settings, parse_settings
from braggwatch.streamer.wording import plain

Tables = Mapping[str, Mapping[str, Any]]

_FIXED = ("experiment", "source", "chain", "hub", "engine")
_LIVE_TABLES = ("detector", "groups", "select", "feed", "merge")
_LIVE_FEED_KEYS = ("window",)
LONGEST_LABEL = 200


def changed_settings(settings: Settings, tables: Tables) -> Settings:
    """Return the settings with some keys changed: of detector, groups, select, merge, stages of the chain, feed.window.

    `tables` has the new values by table and key; None puts a key back to its default. Files are looked for and stages
    made, as before the first frame. Raises SettingsError, with a line for each fault.
    """
    try:
        changed = _changed(settings, tables)
        changed.pipeline().check()
    except SettingsError:
        raise
    except Exception as error:  # a user's own stage may raise anything when it is made
        raise SettingsError(f"with these settings no frame can be processed: {error}") from error
    return changed


def describe_change(before: Settings, after: Settings, tables: Tables) -> str:
    """Return in one line what `tables` changed, as ``hitfind.min_snr 5 → 6``; empty where all of it was in force."""
    said = []
    for table, values in tables.items():
        for key in values:
            pairs = zip(_in_force(before, table, key), _in_force(after, table, key), strict=True)
            said += [f"{table}.{key} {_short(old)} → {_short(new)}" for old, new in pairs if old != new][:1]
    return plain(", ".join(said), LONGEST_LABEL)


def _changed(settings: Settings, tables: Tables) -> Settings:
    document: dict[str, dict[str, Any]] = {
        **{name: getattr(settings, name).model_dump(mode="json") for name in (*_LIVE_TABLES, "chain")},
        **{name: dict(table) for name, table in settings.stages.items()},
    }
    for table, values in tables.items():
        _refuse_what_is_fixed(settings, table, values)
        merged = document.setdefault(table, {})
        for key, value in values.items():
            _refuse_what_cannot_travel(table, key, value)
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = value
    parsed = parse_settings(document)
    live = {name: getattr(parsed, name) for name in (*_LIVE_TABLES, "stages")}
    return settings.model_copy(update=live)


def _refuse_what_is_fixed(settings: Settings, table: str, values: Mapping[str, Any]) -> None:
    if table in _FIXED:
        raise SettingsError(
            f"[{table}] cannot be changed while the processor runs, only [detector], [groups], [select], [merge], the "
            "tables of stages and feed.window can; change it in the settings file and start the processor again"
        )
    if table == "feed" and (fixed := [key for key in values if key not in _LIVE_FEED_KEYS]):
        raise SettingsError(
            f"[feed] {', '.join(fixed)} cannot be changed while the processor runs, only window can; change it in the "
            "settings file and start the processor again"
        )
    if table not in _LIVE_TABLES and not any(_belongs(name, table) for name in settings.chain.stages):
        raise SettingsError(
            f"[{table}]: no stage of the chain has this table; it is {', '.join(settings.chain.stages)}"
        )


def _refuse_what_cannot_travel(table: str, key: str, value: Any) -> None:
    """Settings go to the workers as JSON and into the record as TOML."""
    try:
        same = json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError):
        same = False
    if not same:
        raise SettingsError(f"[{table}] {key}: expected finite numbers, texts or lists of them, found {_short(value)}")


def _belongs(stage: str, table: str) -> bool:
    return table in (stage, split_name(stage)[0])


def _in_force(settings: Settings, table: str, key: str) -> Iterator[Any]:
    """Yield the value of a key, defaults included, for each use of its table."""
    if table in _LIVE_TABLES:
        yield getattr(getattr(settings, table), key)
        return
    for spec in settings.pipeline().stage_specs():
        if _belongs(spec.name, table):
            yield _option(spec, key)


def _option(spec: StageSpec, key: str) -> Any:
    return getattr(spec.settings, key) if isinstance(spec.settings, BaseModel) else spec.settings.get(key)


def _short(value: Any) -> str:
    if value is None:
        return "none"
    return plain(f"{value:g}" if isinstance(value, float) else str(value), 60)

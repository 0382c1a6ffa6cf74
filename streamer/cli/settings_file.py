"""Settings for the commands, from a TOML file or from a `pyana.cfg` of the older tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.cli.console import say
from braggwatch.streamer.pyana.translation import translate
from braggwatch.streamer.settings import Settings, load_settings


@dataclass(frozen=True)
class GivenSettings:
    """What a command was given to work with."""

    settings: Settings
    wants_window: bool = False
    """A `pyana.cfg` asked for its images to be shown."""


def read_settings(
    path: Path, overrides: Sequence[str] = (), sources: Sequence[str] = (), *, is_pyana: bool = False
) -> GivenSettings:
    """Read settings of either kind, and tell the user what of a `pyana.cfg` is not as it was.

    A name that ends in ``.cfg`` is one of the older tools by itself. `overrides` are ``table.key=value``; `sources` an
    address, or names of files. Raises SettingsError.
    """
    source = source_table(sources)
    if not is_pyana and path.suffix.lower() != ".cfg":
        if source is not None:
            raise SettingsError(
                f"--source goes with a pyana.cfg; {path} has a table [source]: -s source.address=… changes it"
            )
        return GivenSettings(load_settings(path, overrides))
    translation = translate(path)
    settings = translation.settings(overrides, source)
    for note in translation.notes:
        say(str(note))
    return GivenSettings(settings, translation.wants_window)


def source_table(sources: Sequence[str]) -> dict[str, Any] | None:
    """Return ``[source]`` for what `--source` names: a ZeroMQ address, or files. Raises SettingsError for both."""
    if not sources:
        return None
    addresses = [source for source in sources if "://" in source]
    if not addresses:
        return {"type": "files", "paths": list(sources)}
    if len(addresses) < len(sources):
        raise SettingsError(f"--source: expected addresses or files, found both: {', '.join(sources)}")
    return {"type": "dectris-v2", "address": addresses[0] if len(addresses) == 1 else addresses}

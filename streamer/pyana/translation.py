"""A `pyana.cfg` as settings of this program: read, told apart, checked, and written as TOML."""

import copy
import difflib
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import braggwatch
from braggwatch.processing.chain_settings import SettingsError, split_name
from braggwatch.streamer.pyana.cfg_file import CfgFile, read_cfg
from braggwatch.streamer.pyana.detector_table import device, fill_detector
from braggwatch.streamer.pyana.draft import Draft, Needed, Note, Place
from braggwatch.streamer.pyana.instance import Instance, read_instances, refuse_unknown
from braggwatch.streamer.pyana.job_options import read_job_options
from braggwatch.streamer.pyana.known_options import KNOWN, sort_out
from braggwatch.streamer.pyana.laser import fill_selection
from braggwatch.streamer.pyana.stages import Stages
from braggwatch.streamer.settings import Settings, inline_toml, override_setting, parse_settings

_FAULT = re.compile(r"\[([^\]]+)\](?: (\w+)[\w.]*)?: (.*)")


@dataclass(frozen=True)
class Translation:
    """What a `pyana.cfg` means here."""

    path: Path
    document: Mapping[str, Mapping[str, Any]]
    """Tables by name, as in a TOML file."""
    origins: Mapping[tuple[str, str], Place]
    """By table and key, what the value was read from."""
    notes: tuple[Note, ...]
    """What is not as it was, or has no meaning here."""
    needed: tuple[Needed, ...]
    """What the file cannot say."""
    wants_window: bool

    def settings(self, overrides: Sequence[str] = (), source: Mapping[str, Any] | None = None) -> Settings:
        """Return the settings; `overrides` are ``table.key=value``, `source` a table ``[source]`` in place of its own.

        They are checked as before the first frame. Raises SettingsError with file, line and option for what cannot be
        used, and for what is needed and not there.
        """
        document, overridden = self._overridden(overrides, source)
        missing = [needed.message for needed in self._missing(document)]
        if missing:
            raise SettingsError("\n".join(missing))
        try:
            settings = parse_settings(document)
            settings.pipeline().check()
        except ValueError as error:
            lines = [self._explain(line, overridden) for line in str(error).splitlines()]
            raise SettingsError("\n".join(lines)) from None
        return settings

    def as_toml(self, overrides: Sequence[str] = (), source: Mapping[str, Any] | None = None) -> str:
        """Write it as TOML: what was changed or left out stands above, where each value came from beside it."""
        document, overridden = self._overridden(overrides, source)
        lines = [f"# Read from {self.path} by braggwatch {braggwatch.__version__}."]
        for note in self.notes:
            lines += _comment(str(note))
        for needed in self._missing(document):
            lines += ["#", *_comment(f"STILL NEEDED: {needed.message}")]
        for table, values in document.items():
            lines += ["", f"[{table}]" if table.isidentifier() else f'["{table}"]']
            for key, value in values.items():
                origin = self.origins.get((table, key)) if (table, key) not in overridden else None
                if origin is not None:
                    lines.append(f"# {_one_line(f'{origin.place} = {origin.text}')}")
                lines.append(f"{key} = {inline_toml(value)}")
        return "\n".join(lines) + "\n"

    def _overridden(
        self, overrides: Sequence[str], source: Mapping[str, Any] | None
    ) -> tuple[dict[str, dict[str, Any]], set[tuple[str, str]]]:
        """Return the document with other values put in, and which keys have them."""
        before = {name: dict(values) for name, values in copy.deepcopy(dict(self.document)).items()}
        document = copy.deepcopy(before)
        if source is not None:
            document = {"source": dict(source)} | {name: table for name, table in document.items() if name != "source"}
        if document.get("source", {}).get("type") == "files":
            # Frames of fast disks would be dropped as a detector's are under overload; nothing is lost by waiting.
            document.setdefault("hub", {})["drop"] = "never"
        for override in overrides:
            override_setting(document, override)
        changed = {
            (table, key)
            for table, values in document.items()
            for key, value in values.items()
            if before.get(table, {}).get(key) != value
        }
        return document, changed

    def _missing(self, document: Mapping[str, Mapping[str, Any]]) -> list[Needed]:
        stages = document["chain"].get("stages", [])
        return [
            needed
            for needed in self.needed
            if not any(key in document.get(table, {}) for table, key in needed.one_of)
            and (needed.stage is None or needed.stage in stages)
        ]

    def _explain(self, line: str, overridden: set[tuple[str, str]]) -> str:
        """Say a fault of the settings as one of the file, where the value came from there."""
        match = _FAULT.match(line)
        if match:
            table, key, message = match.groups()
            words = re.findall(r"\w+", message) if key is None else [key]
            for place in ((name, word) for word in words for name in (table, split_name(table)[0])):
                if place in self.origins and place not in overridden:
                    return f"{self.origins[place].place}: {message}"
        return f"{self.path}: {line}"


def translate(path: Path) -> Translation:
    """Read a `pyana.cfg`. Raises SettingsError with file, line, section and option for what cannot be used.

    A contradiction that the older tools refused is refused; one that they swallowed stands among the notes, as does
    what has no meaning here.
    """
    file = read_cfg(path)
    instances = read_instances(file)
    refuse_unknown(instances, KNOWN)
    draft = Draft()
    _look_at_sections(draft, file, instances)
    for before, option in file.replaced:
        draft.note(f"stands there twice; this one counts, not that of line {before.line}", option)
    read_job_options(draft, file)
    for instance in instances:
        sort_out(draft, instance)
    fill_detector(draft, instances)
    fill_selection(draft, instances)
    stages = Stages(draft, device(instances))
    for instance in instances:
        stages.add(instance)
    stages.finish()
    if not draft.stages:
        raise SettingsError(f"{instances[0].listed.place}: expected a module that does something, found none")
    document, origins = _shared(draft)
    return Translation(path, document, origins, tuple(draft.notes), tuple(draft.needed), draft.wants_window)


def _look_at_sections(draft: Draft, file: CfgFile, instances: list[Instance]) -> None:
    """Refuse sections whose name is nearly right; say which ones belong to no module of the chain."""
    used = {name for instance in instances for name in (instance.full, instance.full.partition(":")[0])}
    used |= {"pyana", "psana", "DEFAULT"}
    for section in file.sections.values():
        if section.name in used:
            continue
        without_section = sorted(name for name in used if name not in file.sections)
        close = difflib.get_close_matches(section.name, without_section, 1, 0.8)
        where = f"{file.path}:{section.line}: [{section.name}]"
        if close:
            raise SettingsError(f"{where}: no module of the chain has this section; did you mean [{close[0]}]?")
        if section.name.partition(":")[0].rpartition(".")[2] not in KNOWN and not section.name.startswith("pyana."):
            listed = ", ".join(f"[{instance.full}]" for instance in instances)
            raise SettingsError(f"{where}: expected [pyana] or a module of the chain ({listed}), found another section")
        draft.note(f"{where}: no module of the chain has this section, it is passed over")


def _shared(draft: Draft) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], Place]]:
    """Order the tables, and give what all instances of a stage have in common to the table that they share.

    So `-s hitfind.min_peaks=20` reaches the only hit test under whatever name it stands.
    """
    tables, origins = dict(draft.document), dict(draft.origins)
    stages = {name: tables.pop(name) for name in draft.stages}
    document: dict[str, dict[str, Any]] = {
        name: tables[name] for name in ("experiment", "source", "detector") if name in tables
    }
    document["chain"] = {"stages": list(draft.stages)}
    document |= {name: table for name, table in tables.items() if name not in document}
    for module in dict.fromkeys(split_name(name)[0] for name in draft.stages):
        own = {name: table for name, table in stages.items() if split_name(name)[0] == module}
        first, *others = own
        shared = {
            key: value
            for key, value in own[first].items()
            if all(key in own[other] and own[other][key] == value for other in others)
        }
        for key in shared:
            read_from = [origin for name in own if (origin := origins.pop((name, key), None)) is not None]
            if read_from:
                origins[module, key] = read_from[0]
        rest = {name: {key: v for key, v in table.items() if key not in shared} for name, table in own.items()}
        document |= {name: table for name, table in {module: shared, **rest}.items() if table}
    return document, origins


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        _one_line(text), 118, initial_indent="# ", subsequent_indent="#     ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _one_line(text: str) -> str:
    """Return a text that cannot end its comment."""
    return "".join(character if character.isprintable() else " " for character in text)

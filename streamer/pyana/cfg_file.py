"""Reads a `pyana.cfg`: sections of options, each with the line it stands on. What they mean is not known here.

The syntax is what pyana and psana agreed on: Python's INI files, options of any case, a backslash at the end of a line
or an indented next one for long values, ``#`` and ``;`` at the start of a line for comments, ``;`` behind a blank for
one at its end. ``%(name)s`` is not put in, and nothing is evaluated.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.text_file import read_text

_SECTION = re.compile(r"\[([^\]]+)\]\s*(?:[#;].*)?$")
_OPTION = re.compile(r"([^:=\s\[][^:=]*?)\s*[:=](.*)$")
_LOOKS_LIKE_OPTION = re.compile(r"[A-Za-z_][\w-]*\s*=")
_INLINE_COMMENT = re.compile(r"\s;.*$")


@dataclass(frozen=True)
class Option:
    """One option with its place."""

    path: Path
    line: int
    section: str
    name: str
    text: str
    """The value as it stands there, the lines of a long one joined by blanks."""

    @property
    def place(self) -> str:
        """File, line, section and name, as errors begin."""
        return f"{self.path}:{self.line}: [{self.section}] {self.name}"

    @property
    def value(self) -> str | None:
        """The value; None where it says nothing: empty, ``""``, ``No`` or ``None``."""
        return None if self.text in ("", '""', "No", "None") else self.text

    def wrong(self, expected: str) -> SettingsError:
        """Return the error that says what was expected here."""
        return SettingsError(f"{self.place}: expected {expected}, found {self.text!r}")


@dataclass
class Section:
    """A section and its options, by name in lower case."""

    name: str
    line: int
    options: dict[str, Option]


@dataclass
class CfgFile:
    """A file's sections by name, and the options that a later one of the same name replaced."""

    path: Path
    sections: dict[str, Section]
    replaced: list[tuple[Option, Option]]


def read_cfg(path: Path) -> CfgFile:
    """Read a file. Raises SettingsError, with file and line, for what is no INI file and for what cannot be read."""
    return _Reader(path).read(read_text(path, "a pyana.cfg"))


class _Reader:
    """Takes one line after the other."""

    def __init__(self, path: Path) -> None:
        self._file = CfgFile(path, {}, [])
        self._section: Section | None = None
        self._option: Option | None = None
        """The option that an indented line goes on with."""
        self._margin = 0
        """How far that option was indented itself."""

    def read(self, text: str) -> CfgFile:
        continued = False
        for number, line in enumerate(text.splitlines(), 1):
            bare = line.strip()
            if not continued and (not bare or bare[0] in "#;"):
                continue
            if continued and _SECTION.match(bare):
                raise SettingsError(
                    f"{self._file.path}:{number}: expected the rest of a value, because the line before ends in a "
                    f"backslash, found {bare!r}"
                )
            if continued or self._goes_on(line, number):
                continued = self._extend(bare)
            elif bare.startswith("["):
                self._begin_section(bare, number)
            else:
                continued = self._begin_option(line, number)
        return self._file

    def _goes_on(self, line: str, number: int) -> bool:
        """Whether a line is indented deeper than the option above it; one that reads like an option is refused."""
        indent = len(line) - len(line.lstrip())
        if self._option is None or indent <= self._margin:
            return False
        if _LOOKS_LIKE_OPTION.match(line.strip()):
            raise SettingsError(
                f"{self._file.path}:{number}: expected more of [{self._option.section}] {self._option.name}, of which "
                f"an indented line is a part, found an option of its own: {line.strip()!r}; move it to the "
                "margin"
            )
        return True

    def _extend(self, more: str) -> bool:
        more, continued = _without_backslash(more)
        option = self._option
        if option is not None and more:
            text = f"{option.text} {_plain(more, option.place)}".strip()
            self._keep(Option(option.path, option.line, option.section, option.name, text))
        return continued

    def _begin_section(self, line: str, number: int) -> None:
        match = _SECTION.match(line)
        if match is None:
            raise SettingsError(f"{self._file.path}:{number}: expected a section such as [pyana], found {line!r}")
        name = match.group(1).strip()
        self._section = self._file.sections.setdefault(name, Section(name, number, {}))
        self._option, self._margin = None, 0

    def _begin_option(self, line: str, number: int) -> bool:
        where = f"{self._file.path}:{number}"
        match = _OPTION.match(line.strip())
        if match is None:
            raise SettingsError(f"{where}: expected NAME = VALUE or [SECTION], found {line.strip()!r}")
        if self._section is None:
            raise SettingsError(f"{where}: expected a section such as [pyana] before the first option, found {line!r}")
        name, (text, continued) = match.group(1).lower(), _without_backslash(match.group(2))
        option = Option(self._file.path, number, self._section.name, name, "")
        before = self._section.options.get(name)
        option = Option(option.path, number, option.section, name, _plain(text, option.place))
        if before is not None:
            self._file.replaced.append((before, option))
        self._margin = len(line) - len(line.lstrip())
        self._keep(option)
        return continued

    def _keep(self, option: Option) -> None:
        assert self._section is not None
        self._option = self._section.options[option.name] = option


def _without_backslash(text: str) -> tuple[str, bool]:
    text = _INLINE_COMMENT.sub("", text).strip()
    return (text[:-1].rstrip(), True) if text.endswith("\\") else (text, False)


def _plain(text: str, place: str) -> str:
    """Return a value with ``%%`` as ``%``; what older tools would have put in, or evaluated, is refused."""
    if re.search(r"%\(\w*\)", text) or re.search(r"\{\w+\}", text):
        raise SettingsError(
            f"{place}: expected a value as it is, found {text!r}: names in %(…)s or {{…}} are not put in, and nothing "
            "is evaluated; write the value out"
        )
    return text.replace("%%", "%")

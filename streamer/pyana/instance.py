"""One use of a module, with its options: those of its own section over those that it shares."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.cfg_file import CfgFile, Option

_NAME = re.compile(r"[A-Za-z_][\w.]*(?::[\w.-]+)?$")


@dataclass(frozen=True)
class Instance:
    """A module as ``[pyana] modules`` names it. Values read as the older tools read them, all of them from texts."""

    full: str
    """``my_ana_pkg.mod_hitfind:hitfind``."""
    module: str
    """``mod_hitfind``, without its package."""
    name: str
    """What stands behind the colon; without one, the module's name without ``mod_``."""
    options: dict[str, Option]
    listed: Option
    """The option `modules`."""

    def given(self, name: str) -> Option | None:
        """Return an option that says something; None where it is left out, empty, ``No`` or ``None``."""
        option = self.options.get(name)
        return None if option is None or option.value is None else option

    def text(self, name: str) -> str | None:
        """Return a text, or None."""
        option = self.given(name)
        return None if option is None else option.value

    def integer(self, name: str, what: str) -> int | None:
        """Return a whole number; `what` it is, with its unit, is for the error."""
        option = self.given(name)
        if option is None:
            return None
        try:
            return int(option.text)
        except ValueError:
            raise option.wrong(f"a whole number, {what}") from None

    def number(self, name: str, what: str) -> float | None:
        """Return a finite number."""
        option = self.given(name)
        if option is None:
            return None
        try:
            value = float(option.text)
        except ValueError:
            value = float("nan")
        if value != value or value in (float("inf"), float("-inf")):
            raise option.wrong(f"a number, {what}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return True or False: ``true`` in any case is True, and whatever else stands there is False."""
        option = self.options.get(name)
        return default if option is None else option.text.lower() == "true"

    def is_odd_flag(self, name: str) -> bool:
        """Whether a flag says neither True nor False, and is False by that."""
        option = self.given(name)
        return option is not None and option.text.lower() not in ("true", "false")

    def file(self, name: str) -> Path | None:
        """Return the path of a file, which need not be there."""
        option = self.given(name)
        if option is None:
            return None
        if option.text[0] in "\"'":
            raise option.wrong("a path as it is, without quotes and not an expression (nothing is evaluated)")
        return Path(option.text).expanduser()


def read_instances(file: CfgFile) -> list[Instance]:
    """Return the modules of ``[pyana] modules`` (or ``[psana]``) in order. Raises SettingsError."""
    section = file.sections.get("pyana") or file.sections.get("psana")
    if section is None:
        found = ", ".join(f"[{name}]" for name in file.sections) or "no section at all"
        raise SettingsError(f"{file.path}: expected a section [pyana] with the option modules, found {found}")
    listed = section.options.get("modules")
    if listed is None:
        raise SettingsError(
            f"{file.path}:{section.line}: [{section.name}] modules: expected names of modules, found no option"
        )
    names = listed.text.replace(",", " ").split()
    if listed.value is None or not names:
        raise listed.wrong("names of modules such as my_ana_pkg.mod_hitfind:hitfind")
    for name in names:
        if not _NAME.match(name):
            raise SettingsError(
                f"{listed.place}: expected a name such as my_ana_pkg.mod_hitfind:hitfind, found {name!r}"
            )
        if names.count(name) > 1:
            raise SettingsError(
                f"{listed.place}: {name} stands there twice; expected a name of its own for each, such as {name}:second"
            )
    return [_instance(file, name, listed) for name in names]


def refuse_unknown(instances: list[Instance], known: Collection[str]) -> None:
    """Raise SettingsError for a module that nothing here stands for."""
    for instance in instances:
        if instance.module not in known:
            refuse_module(instance, known)


def refuse_module(instance: Instance, known: Collection[str]) -> NoReturn:
    """Raise the error of a module that nothing here stands for."""
    raise SettingsError(
        f"{instance.listed.place}: expected one of {', '.join(sorted(known))} of any package, found {instance.full}; a "
        "stage of your own goes into the TOML file that `braggwatch config from-pyana` writes (docs/settings.md)"
    )


def _instance(file: CfgFile, full: str, listed: Option) -> Instance:
    path, _, name = full.partition(":")
    module = path.rpartition(".")[2]
    options: dict[str, Option] = {}
    for section in ("DEFAULT", path, full):
        if section in file.sections:
            options |= file.sections[section].options
    return Instance(full, module, name or module.removeprefix("mod_"), options, listed)

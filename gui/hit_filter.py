"""The line by which the table of hits is filtered, such as ``indexed res<2.5 tag:good``."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.hit_values import HitValues, Rows

Mask = NDArray[np.bool_]
Test = Callable[[HitValues, Rows], Mask]

COMPARED = {
    "run": "run", "frame": "frame", "spots": "spots", "res": "res", "lattices": "lattices", "indexed": "indexed",
    "rmsd": "rmsd", "a": "a", "b": "b", "c": "c", "α": "al", "β": "be", "γ": "ga", "al": "al", "be": "be", "ga": "ga",
}  # fmt: skip
"""Names that numbers are compared with, and the columns that they mean."""
_OPERATORS: dict[str, Callable[[NDArray[np.float64], float], Mask]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_WORDS: dict[str, Test] = {
    "indexed": lambda values, rows: values.of("state", rows) == 1,
    "hit": lambda values, rows: values.of("state", rows) == 0,
    "multi": lambda values, rows: values.of("lattices", rows) >= 2,
    "dumped": lambda values, rows: values.is_dumped(rows),
}
_COMPARISON = re.compile(r"([^\W\d]\w*)(<=|>=|!=|=|<|>)(.*)")
_GAPS = re.compile(r"\s*(<=|>=|!=|=|<|>|(?<=tag):|(?<=file):|(?<=group):)\s*", re.IGNORECASE)
_QUOTED = re.compile(r'"([^"]*)"?')
_SPACE = "\ufffe"
"""Stands for a space between quotation marks while a line is taken apart; no name has it."""

HELP = """Words that must all hold, with spaces between them:
indexed – at least one lattice was found
hit – a hit without a lattice
multi – two lattices or more
dumped – the image is in a file
res<2.5 – resolution in Å; likewise run, frame, spots, lattices, indexed (spots that
   the best lattice explains), rmsd (px), a b c (Å) and α β γ or al be ga (°),
   with <  <=  >  >=  =  !=
tag:good – has this tag
file:0003 – the file's path contains this text
group:pumped – the shot is of this group; a name with spaces in quotation marks,
   such as group:"laser_1 0"
!indexed – the opposite of any of these"""
"""The language, for a tooltip."""


class FilterError(ValueError):
    """A line that is not understood; says which word, and what would be."""


@dataclass(frozen=True)
class HitFilter:
    """What a line says; the empty line holds for all."""

    text: str
    _tests: tuple[Test, ...]

    def mask(self, values: HitValues, rows: Rows) -> Mask:
        """Tell which of some rows, ``(n,)``, it holds for."""
        held = np.ones(len(rows), bool)
        for test in self._tests:
            held &= test(values, rows)
        return held


def read_filter(text: str) -> HitFilter:
    """Read a line. Raises FilterError for what it does not understand."""
    words = _GAPS.sub(r"\1", _QUOTED.sub(_joined, text)).split()
    return HitFilter(text.strip(), tuple(_test(word.replace(_SPACE, " ")) for word in words))


def _joined(quoted: re.Match[str]) -> str:
    return quoted[1].replace(" ", _SPACE)


def _test(word: str) -> Test:
    plain = word.lstrip("!")
    if (len(word) - len(plain)) % 2:
        opposite = _test(plain)
        return lambda values, rows: ~opposite(values, rows)
    word = plain
    if word.casefold() in _WORDS:
        return _WORDS[word.casefold()]
    kind, colon, rest = word.partition(":")
    if colon and kind.casefold() in ("tag", "file", "group"):
        return _text_test(kind.casefold(), rest)
    match = _COMPARISON.fullmatch(word)
    if match is None:
        raise FilterError(
            f"“{word}” is not understood: expected {', '.join(_WORDS)}, tag:…, file:…, group:… or such as res<2.5"
        )
    return _comparison(*match.groups())


def _text_test(kind: str, text: str) -> Test:
    if not text:
        raise FilterError(f"“{kind}:” is not complete: expected a text after the colon")
    if kind == "tag":
        return lambda values, rows: values.with_tag(text, rows)
    if kind == "group":
        return lambda values, rows: values.in_group(text, rows)
    return lambda values, rows: values.in_file(text, rows)


def _comparison(name: str, sign: str, number: str) -> Test:
    column = COMPARED.get(name.casefold())
    if column is None:
        raise FilterError(f"there is no column “{name}”: expected {', '.join(COMPARED)}")
    try:
        limit = float(number)
    except ValueError:
        raise FilterError(f"“{name}{sign}{number}” is not complete: expected a number after {sign}") from None

    def holds(values: HitValues, rows: Rows) -> Mask:
        found = np.round(values.of(column, rows), 4)  # a resolution of 2.2 is stored as 2.2000000477
        return _OPERATORS[sign](found, limit) & ~np.isnan(found)  # what is not known is not unequal either

    return holds

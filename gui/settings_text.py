"""A settings file with some values replaced, everything else left as it stands."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w

_HEAD = re.compile(r'\s*\[\s*(?:"([^"\\]+)"|\'([^\']+)\'|([\w-]+))\s*\]\s*(?:#.*)?$')
_LINE = re.compile(r"\s*(?:#\s*)?([\w-]+)\s*=(?!=)")


def with_values(text: str, changes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return TOML with other values by table and key; None takes a key out, so that its default holds.

    Lines and comments stay, a value takes the place of the old one or of the comment ``# key =``; where that cannot be
    done the text is written anew, without comments. Raises ValueError where `text` is no TOML.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"the settings are no TOML: {error}") from None
    for table, values in changes.items():
        merged = {**document.get(table, {}), **values}
        document[table] = {key: value for key, value in merged.items() if value is not None}
    edited = _edited(text, changes)
    try:
        faithful = tomllib.loads(edited) == document
    except tomllib.TOMLDecodeError:
        faithful = False
    return edited if faithful else tomli_w.dumps(document)


def _edited(text: str, changes: Mapping[str, Mapping[str, Any]]) -> str:
    lines: list[str] = []
    left = {table: dict(values) for table, values in changes.items()}
    table = ""
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head is not None:
            _add_rest(lines, left, table)
            table = next(name for name in head.groups() if name)
        key = found[1] if (found := _LINE.match(line)) else ""
        if key in left.get(table, {}):
            lines.append(_said(key, left[table].pop(key)))
        else:
            lines.append(line)
    _add_rest(lines, left, table)
    for name in [name for name, values in left.items() if values]:
        lines += ["", f"[{name}]" if name.isidentifier() else f'["{name}"]']
        _add_rest(lines, left, name)
    return "\n".join(lines) + "\n"


def _add_rest(lines: list[str], left: dict[str, dict[str, Any]], table: str) -> None:
    """Add the values of a table that had no line, before the blank lines at its end."""
    rest = left.pop(table, {})
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    lines[end:end] = [_said(key, value) for key, value in rest.items()]


def _said(key: str, value: Any) -> str:
    return f"# {key} =" if value is None else tomli_w.dumps({key: value}).strip()

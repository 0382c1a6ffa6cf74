"""What becomes of a configuration file: tables of settings, where each value came from, and what must be said of it."""

from dataclasses import dataclass, field
from typing import Any, Protocol


class Place(Protocol):
    """Something that stands in a file: an option, or a parameter of a PHIL file."""

    @property
    def place(self) -> str:
        """File, line and name, as errors begin."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def text(self) -> str:
        """Its value as it stands there."""


@dataclass(frozen=True)
class Note:
    """Something that the user must know: what is not as it was, or has no meaning here."""

    text: str
    places: tuple[Place, ...] = ()

    def __str__(self) -> str:
        if not self.places:
            return self.text
        first, *others = self.places
        also = f" (and in {len(others)} more {'place' if len(others) == 1 else 'places'})" if others else ""
        return f"{first.place}{also}: {self.text}"


@dataclass(frozen=True)
class Needed:
    """A setting that the file cannot say, and what to say where it is not given otherwise."""

    one_of: tuple[tuple[str, str], ...]
    """Tables and keys of which one must be there."""
    message: str
    stage: str | None = None
    """The stage that needs it, if it is one."""


@dataclass
class Draft:
    """Settings in the making."""

    document: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Tables by name, as in a TOML file."""
    origins: dict[tuple[str, str], Place] = field(default_factory=dict)
    """By table and key, what the value was read from."""
    notes: list[Note] = field(default_factory=list)
    needed: list[Needed] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    wants_window: bool = False
    """Some instance showed images in a viewer."""
    _dropped: dict[tuple[str, str], int] = field(default_factory=dict)

    def put(self, table: str, key: str, value: Any, origin: Place | None = None) -> None:
        """Set a key; an `origin` is named where the value turns out wrong, and beside it in TOML."""
        self.document.setdefault(table, {})[key] = value
        if origin is not None:
            self.origins[table, key] = origin

    def add_stage(self, wanted: str) -> str:
        """Put a stage at the chain's end, with a table of its own; return its name, which no other stage has."""
        name, number = wanted, 2
        while name in self.document:
            name, number = f"{wanted}-{number}", number + 1
        self.stages.append(name)
        self.document[name] = {}
        return name

    def note(self, text: str, *places: Place) -> None:
        """Say something that the user must know."""
        self.notes.append(Note(text, places))

    def drop(self, place: Place, reason: str) -> None:
        """Say that an option has no meaning here, once for all places where it stands."""
        text = f"has no meaning here: {reason}"
        at = self._dropped.setdefault((place.name, text), len(self.notes))
        if at == len(self.notes):
            self.notes.append(Note(text, (place,)))
        elif place not in self.notes[at].places:
            self.notes[at] = Note(text, (*self.notes[at].places, place))

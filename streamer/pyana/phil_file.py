"""Reads a PHIL file, the format of cctbx's parameters, into names and values. What they mean is not known here.

Scopes in braces, ``name = words``, quotes, ``#`` comments, ``!`` for what is switched off, a backslash at the end of
a line, and ``include file``. Definitions of types (lines of ``.type`` and the like) are passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.text_file import read_text

DEEPEST_SCOPE = 32
DEEPEST_INCLUDE = 8
_SINGLE = "{};"


@dataclass(frozen=True)
class Parameter:
    """One definition with its place."""

    path: Path
    line: int
    name: str
    """With its scopes: ``distl.res.outer``."""
    words: tuple[str, ...]

    @property
    def place(self) -> str:
        """File, line and name, as errors begin."""
        return f"{self.path}:{self.line}: {self.name}"

    @property
    def text(self) -> str:
        """The value in one line."""
        return " ".join(self.words)

    @property
    def value(self) -> tuple[str, ...] | None:
        """The words of the value; of choices those that are marked by a star; None for ``None`` and ``Auto``."""
        if self.words in ((), ("None",), ("Auto",)):
            return None
        marked = tuple(word[1:] for word in self.words if word.startswith("*"))
        return marked or self.words

    def wrong(self, expected: str) -> SettingsError:
        """Return the error that says what was expected here."""
        return SettingsError(f"{self.place}: expected {expected}, found {self.text!r}")

    def numbers(self, n: int, what: str) -> list[float]:
        """Return `n` finite numbers, with blanks or commas between them."""
        words = self.text.replace(",", " ").split()
        try:
            found = [float(word) for word in words]
        except ValueError:
            found = []
        if len(found) != n or not all(abs(number) < float("inf") for number in found):
            raise self.wrong(f"{'a number' if n == 1 else f'{n} numbers'}, {what}")
        return found

    def integers(self, what: str) -> list[int]:
        """Return whole numbers; `what` is expected, in words."""
        try:
            return [int(word) for word in self.text.replace(",", " ").split()]
        except ValueError:
            raise self.wrong(what) from None


@dataclass(frozen=True)
class _Word:
    text: str
    line: int
    quoted: bool = False

    @property
    def ends(self) -> bool:
        """Whether a definition ends here."""
        return not self.quoted and self.text in ("\n", "{", "}", ";")


def read_phil(path: Path, *, _includes: tuple[Path, ...] = ()) -> list[Parameter]:
    """Return the parameters in order, included files in their place. Raises SettingsError with file and line."""
    text = read_text(path, "a PHIL file")
    return _Parser(path, list(_words(path, text)), (*_includes, path.resolve())).parse()


def _words(path: Path, text: str) -> Iterator[_Word]:
    """Split a text into words; ends of lines are words of their own."""
    i, line = 0, 1
    while i < len(text):
        character = text[i]
        if character == "\\" and text[i + 1 : i + 2] == "\n":
            i, line = i + 2, line + 1
        elif character == "\n":
            yield _Word("\n", line)
            i, line = i + 1, line + 1
        elif character.isspace():
            i += 1
        elif character == "#":
            i = _end_of_line(text, i)
        elif character in _SINGLE or character == "=":
            yield _Word(character, line)
            i += 1
        elif character in "\"'":
            end = _end_of_quote(path, text, i, line)
            yield _Word(text[i + 1 : end], line, quoted=True)
            line += text.count("\n", i, end)
            i = end + 1
        else:
            start = i
            while i < len(text) and not text[i].isspace() and text[i] not in "{};=\"'#":
                i += 1
            yield _Word(text[start:i], line)
    yield _Word("\n", line)


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _end_of_quote(path: Path, text: str, start: int, line: int) -> int:
    end = text.find(text[start], start + 1)
    if end < 0:
        raise SettingsError(f"{path}:{line}: expected the quote {text[start]} to be closed, found the file's end")
    return end


class _Parser:
    def __init__(self, path: Path, words: list[_Word], includes: tuple[Path, ...]) -> None:
        self._path = path
        self._words = words
        self._includes = includes
        self._at = 0
        self._found: list[Parameter] = []

    def parse(self) -> list[Parameter]:
        self._scope("", None)
        return self._found

    def _scope(self, prefix: str, opened: _Word | None, depth: int = 0, *, off: bool = False) -> None:
        """Read up to the closing brace of a scope, or to the file's end where none was opened."""
        if depth > DEEPEST_SCOPE:
            raise self._wrong(self._last, f"at most {DEEPEST_SCOPE} scopes in each other", "more")
        while self._at < len(self._words):
            word = self._take()
            if word.text in ("\n", ";") and not word.quoted:
                continue
            if word.text == "}" and not word.quoted:
                if opened is None:
                    raise self._wrong(word, "a parameter or a scope", "a closing brace without an opening one")
                return
            self._statement(word, prefix, depth, off)
        if opened is not None:
            raise SettingsError(
                f"{self._path}:{opened.line}: expected a closing brace for the scope {prefix.rstrip('.')}, found the "
                "file's end"
            )

    def _statement(self, word: _Word, prefix: str, depth: int, off: bool) -> None:
        if word.quoted or word.text in ("{", "="):
            raise self._wrong(word, "the name of a parameter or a scope", repr(word.text))
        if word.text == "include" and not self._next_is("=", "{"):
            self._include(word, prefix)
            return
        off = off or word.text.startswith("!")
        name = word.text.lstrip("!")
        if name.startswith("."):  # .type = float, .help = "…": what a parameter may be, not what it is
            self._rest_of_line()
            return
        if not all(part.isidentifier() for part in name.split(".")):
            raise self._wrong(word, "the name of a parameter or a scope", repr(word.text))
        following = self._take()
        if following.text == "=" and not following.quoted:
            words = self._value(word)
            if not off:
                self._found.append(Parameter(self._path, word.line, prefix + name, words))
            return
        while following.text == "\n" and not following.quoted and self._at < len(self._words):
            following = self._take()
        if following.text != "{" or following.quoted:
            found = "nothing" if following.text == "\n" else repr(following.text)
            raise self._wrong(word, f"{name} = VALUE or {name} {{", f"{found} behind {name}")
        self._scope(f"{prefix}{name}.", word, depth + 1, off=off)

    def _value(self, name: _Word) -> tuple[str, ...]:
        words = []
        while not self._words[self._at].ends:
            word = self._take()
            if word.text == "=" and not word.quoted:
                raise self._wrong(word, f"one value for {name.text}", "a second =")
            words.append(word.text)
        if self._words[self._at].text == "{" and not self._words[self._at].quoted:
            raise self._wrong(self._words[self._at], f"a value for {name.text}", "'{'")
        if not words:
            raise self._wrong(name, f"a value for {name.text} (None for none)", "nothing")
        return tuple(words)

    def _include(self, word: _Word, prefix: str) -> None:
        words = self._rest_of_line()
        if len(words) != 2 or words[0] != "file":
            raise self._wrong(
                word, "include file PATH (what other includes name is Python code, which is not run)", " ".join(words)
            )
        path = self._path.parent / words[1]
        if path.resolve() in self._includes or len(self._includes) > DEEPEST_INCLUDE:
            raise self._wrong(word, "files that do not include each other", words[1])
        try:
            included = read_phil(path, _includes=self._includes)
        except SettingsError as error:
            raise SettingsError(f"{self._path}:{word.line}: include file {words[1]}: {error}") from None
        self._found += [Parameter(p.path, p.line, prefix + p.name, p.words) for p in included]

    def _rest_of_line(self) -> list[str]:
        words = []
        while not self._words[self._at].ends:
            words.append(self._take().text)
        return words

    def _next_is(self, *texts: str) -> bool:
        return self._at < len(self._words) and self._words[self._at].text in texts

    def _take(self) -> _Word:
        if self._at >= len(self._words):
            raise self._wrong(self._words[-1], "the rest of a definition", "the file's end")
        self._last = self._words[self._at]
        self._at += 1
        return self._last

    def _wrong(self, word: _Word, expected: str, found: str) -> SettingsError:
        return SettingsError(f"{self._path}:{word.line}: expected {expected}, found {found}")

"""Reads the text of a configuration file, and says in its lines what makes it none."""

from pathlib import Path

from braggwatch.processing.chain_settings import SettingsError

LARGEST_FILE = 2**20
"""Bytes; a configuration file that is larger is none."""


def read_text(path: Path, kind: str) -> str:
    """Return the text of a file of a `kind`, such as ``a PHIL file``.

    Raises SettingsError, with the line where there is one, for what cannot be read, is too large or is no text.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise SettingsError(f"{path}: expected {kind}, found {size} bytes")
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file; expected {kind}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(
            f"{path}:{line}: expected text in UTF-8, found byte {error.object[error.start]:#04x}"
        ) from None
    except OSError as error:
        raise SettingsError(f"{path}: expected {kind} that can be read, found {error.strerror}") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise SettingsError(f"{path}:{line}: expected text, found a zero byte")
    return text

"""The syntax of pyana.cfg: what the older tools read is read the same, what they could not is refused with its line."""

from pathlib import Path

import pytest

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.cfg_file import CfgFile, read_cfg
from braggwatch.streamer.pyana.text_file import LARGEST_FILE


def read(folder: Path, text: str) -> CfgFile:
    path = folder / "a.cfg"
    path.write_text(text)
    return read_cfg(path)


def values(folder: Path, text: str) -> dict[str, str | None]:
    """Return the options of a file's only section."""
    (section,) = read(folder, text).sections.values()
    return {name: option.value for name, option in section.options.items()}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("threshold = 450", "450"),
        ("threshold=450", "450"),
        ("threshold: 450", "450"),
        ("THRESHOLD = 450", "450"),
        ("threshold = 450 ; ADU", "450"),
        ("threshold = a;b", "a;b"),
        ("threshold = 450 # ADU", "450 # ADU"),  # as it was: only a semicolon begins a comment in mid-line
        ("threshold = None", None),
        ("threshold = No", None),
        ("threshold =", None),
        ('threshold = ""', None),
        ("threshold = none", "none"),
        ("threshold = r%%04d", "r%04d"),
        ("threshold = a=b:c", "a=b:c"),
        ("threshold = CxiDs1-0|Cspad-0", "CxiDs1-0|Cspad-0"),
    ],
)
def test_a_value_reads_as_the_older_tools_read_it(tmp_path: Path, line: str, value: str | None) -> None:
    assert values(tmp_path, f"[a]\n{line}\n") == {"threshold": value}


@pytest.mark.parametrize(
    "text",
    [
        "modules = a.b:c \\\n          d.e:f\nlast = 1",
        "modules = a.b:c \\\nd.e:f\nlast = 1",  # a backslash goes on whatever the margin
        "modules = a.b:c\n          d.e:f\nlast = 1",
        "modules = \\\n  a.b:c \\\n  d.e:f\nlast = 1",
        "modules = a.b:c ; the first\n  # not this\n\n  d.e:f ; the second\nlast = 1",
    ],
)
def test_a_long_value_goes_on_in_the_next_line(tmp_path: Path, text: str) -> None:
    assert values(tmp_path, f"[pyana]\n{text}\n") == {"modules": "a.b:c d.e:f", "last": "1"}


def test_a_whole_file_may_stand_indented(tmp_path: Path) -> None:
    text = "    [pyana]\n    modules = a \\\n              b\n\n    [a]\n    one = 1\n    two = 2\n"
    file = read(tmp_path, text)
    assert {name: list(section.options) for name, section in file.sections.items()} == {
        "pyana": ["modules"],
        "a": ["one", "two"],
    }
    assert file.sections["pyana"].options["modules"].text == "a b"


def test_every_option_knows_its_line(tmp_path: Path) -> None:
    file = read(tmp_path, "# head\n[a]\n\nx = 1 \\\n  2\n; more\ny = 3\n[b]\nz = 4\r\n")
    lines = {o.name: (o.section, o.line) for s in file.sections.values() for o in s.options.values()}
    assert lines == {"x": ("a", 4), "y": ("a", 7), "z": ("b", 9)}


def test_of_two_options_of_one_name_the_last_counts_and_both_are_known(tmp_path: Path) -> None:
    file = read(tmp_path, "[a]\nx = 1\n[b]\n[a]\nX = 2\n")
    assert file.sections["a"].options["x"].text == "2"
    ((before, after),) = file.replaced
    assert (before.line, before.text, after.line) == (2, "1", 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", ":1: expected a section such as [pyana] before the first option, found 'x = 1'"),
        ("[a]\nx\n", ":2: expected NAME = VALUE or [SECTION], found 'x'"),
        ("[a\nx = 1\n", ":1: expected a section such as [pyana], found '[a'"),
        ("[]\n", ":1: expected a section such as [pyana], found '[]'"),
        ("[a] b\n", ":1: expected a section such as [pyana], found '[a] b'"),
        ("[a]\n= 1\n", ":2: expected NAME = VALUE or [SECTION], found '= 1'"),
        ("[a]\nx = 1 \\\n[b]\n", ":3: expected the rest of a value, because the line before ends in a backslash"),
        (
            "[a]\nx = 1\n  y = 2\n",
            ":3: expected more of [a] x, of which an indented line is a part, found an option of",
        ),
        ("[a]\nx = %(y)s/dark.npy\n", ":2: [a] x: expected a value as it is, found '%(y)s/dark.npy': names in %(…)s"),
        ("[a]\nx = r{run}/dark.npy\n", ":2: [a] x: expected a value as it is, found 'r{run}/dark.npy'"),
        ("[a]\nx = \0\n", ":2: expected text, found a zero byte"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/a.cfg{said}")


def test_bytes_that_are_no_text_and_files_that_are_none_are_said_so(tmp_path: Path) -> None:
    path = tmp_path / "a.cfg"
    with pytest.raises(SettingsError, match=r"a\.cfg: there is no such file; expected a pyana\.cfg"):
        read_cfg(path)
    path.write_bytes(b"[a]\nx = \xff\n")
    with pytest.raises(SettingsError, match=r"a\.cfg:2: expected text in UTF-8, found byte 0xff"):
        read_cfg(path)
    path.write_bytes(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(SettingsError, match=r"a\.cfg: expected a pyana\.cfg, found \d+ bytes"):
        read_cfg(path)
    with pytest.raises(SettingsError, match=r"expected a pyana\.cfg that can be read, found Is a directory"):
        read_cfg(tmp_path)

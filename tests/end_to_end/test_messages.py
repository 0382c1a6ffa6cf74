"""What a user gets to read when something is wrong: a line that helps, exit code 2, and no traceback."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import Program, free_address, small_pool, write_settings

from braggwatch.streamer.cli import main

INDEX = {"chain": {"stages": ["hitfind", "index"]}}


def complaint(folder: Path, *arguments: str | Path) -> str:
    """What a command says as it fails, with paths of the test's folder left out."""
    with Program(folder, *arguments) as program:
        assert program.wait() == 2, program.messages
    assert program.output == ""
    assert "Traceback" not in program.messages
    lines = program.messages.splitlines()
    assert all(line.startswith("braggwatch: ") for line in lines), lines
    return program.messages.replace(f"{folder}/", "")


@pytest.fixture
def port_in_use() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        pytest.param(
            {"hitfind": {"min_snrr": 6}},
            "settings.toml: [hitfind] min_snrr: there is no such setting; `braggwatch config show` lists all of them",
            id="unknown key",
        ),
        pytest.param(
            {"hitfind": {"min_snr": "high"}},
            "settings.toml: [hitfind] min_snr: should be a valid number, unable to parse string as a number, "
            "found 'high'",
            id="wrong type",
        ),
        pytest.param(
            {"chain": {"stages": ["hitfind", "indx"]}},
            "[chain] stages: there is no stage 'indx'; expected one of hitfind, dump, index, integrate, stream, "
            "results, average, or a class of your own as package.module.Class",
            id="unknown stage",
        ),
        pytest.param(
            {**INDEX, "index": {"cell": "79.2 79.2 38.0 90 90 P43212"}},
            "[index] cell: expected six numbers a b c alpha beta gamma (Angstrom, degrees), then a space group or "
            "lattice; found '79.2 79.2 38.0 90 90 P43212'\n",
            id="five numbers in a cell",
        ),
        pytest.param(
            {**INDEX, "index": {"cell": "79.2 79.2 38.0 90 90 95 P43212"}},
            "[index] cell: space group P 43 21 2 is tetragonal: expected a = b and alpha = beta = gamma = 90, found "
            "79.2 79.2 38 90 90 95\n",
            id="impossible cell",
        ),
        pytest.param(
            {**INDEX, "index": {"cell": "none.cell"}},
            "[index] cell: the cell file none.cell cannot be read: No such file or directory, found 'none.cell'\n",
            id="no cell file",
        ),
        pytest.param(
            {"detector": {"geometry": "none.geom"}},
            "[detector] geometry: expected a file, found none at none.geom",
            id="no geometry file",
        ),
        pytest.param(
            {"detector": {"geometry": "settings.toml"}},
            "[detector] geometry: settings.toml, line 1: ",
            id="no geometry",
        ),
        pytest.param(
            {"detector": {"mask": "none.h5:/mask"}},
            "[detector] mask: expected a file, found none at none.h5",
            id="no mask file",
        ),
        pytest.param(
            {"detector": {"dark": "none.npy"}}, "[detector] dark: expected a file, found none at none.npy", id="no dark"
        ),
        pytest.param(
            {"dump": {"directory": "settings.toml/dumps"}},
            "[dump:hit] directory: expected a folder, found a file at settings.toml",
            id="dump where nothing can be written",
        ),
    ],
)
def test_a_wrong_setting_is_refused_by_config_check(
    tmp_path: Path,
    tables: dict[str, Any],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = write_settings(tmp_path, free_address(), **tables)
    monkeypatch.chdir(tmp_path)
    # In this process, because a new one for each of them would take a minute.
    monkeypatch.setattr("sys.argv", ["braggwatch", "config", "check", str(settings)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    messages = capsys.readouterr().err.replace(f"{tmp_path}/", "")
    assert messages.count("\n") == 1
    assert messages.startswith("braggwatch: ")
    assert said in messages


def test_process_refuses_what_config_check_refuses(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, free_address(), detector={"dark": "none.npy"})
    said = "braggwatch: [detector] dark: expected a file, found none at none.npy\n"
    assert complaint(tmp_path, "process", settings) == said
    assert not (tmp_path / "record.sqlite").exists()


def test_a_settings_file_that_is_not_there_or_no_toml(tmp_path: Path) -> None:
    assert complaint(tmp_path, "process", "none.toml") == (
        "braggwatch: there is no settings file none.toml; `braggwatch config show > none.toml` writes one to start "
        "from\n"
    )
    (tmp_path / "bad.toml").write_text("[hitfind\nmin_snr = 5\n")
    assert complaint(tmp_path, "process", "bad.toml") == (
        "braggwatch: bad.toml is no valid TOML: Expected ']' at the end of a table declaration (at line 1, column 9)\n"
    )


def test_a_feed_port_in_use(tmp_path: Path, port_in_use: int) -> None:
    address = f"tcp://127.0.0.1:{port_in_use}"
    said = complaint(tmp_path, "process", write_settings(tmp_path, free_address(), feed={"address": address}))
    assert said.startswith(f"braggwatch: the feed cannot be bound to '{address}': Address already in use")
    assert said.endswith("expected an address of this computer with a free port, such as tcp://127.0.0.1:31400\n")


def test_an_address_of_the_detector_that_is_none(tmp_path: Path) -> None:
    said = complaint(tmp_path, "process", write_settings(tmp_path, "10.0.0.1:31001"))
    assert said.startswith(
        "braggwatch: source.address must be a ZeroMQ address such as tcp://127.0.0.1:31001, found '10.0.0.1:31001' "
        "(Invalid argument"
    )


def test_a_record_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "record.sqlite").write_text("This is a letter to a friend, and no SQLite file at all.\n" * 20)
    said = complaint(tmp_path, "process", write_settings(tmp_path, free_address()))
    assert said == (
        "braggwatch: the record record.sqlite cannot be opened: file is not a database; expected a record of "
        "Braggwatch or a path where a file can be created. Choose another path for the record\n"
    )


def test_a_simulators_port_in_use_and_a_pool_that_is_none(tmp_path: Path, port_in_use: int) -> None:
    address = f"tcp://127.0.0.1:{port_in_use}"
    small_pool().save(tmp_path / "pool.h5")
    said = complaint(tmp_path, "simulate", "--pool", "pool.h5", "--address", address)
    assert said.startswith(f"braggwatch: the simulator cannot send from '{address}': Address already in use")
    (tmp_path / "letter.h5").write_text("no HDF5")
    assert complaint(tmp_path, "simulate", "--pool", "letter.h5") == (
        "braggwatch: letter.h5 is no pool of stills: expected an HDF5 file that a simulator saved\n"
    )


def test_a_feed_address_that_is_none(tmp_path: Path) -> None:
    said = complaint(tmp_path, "watch", "localhost")
    assert said.startswith("braggwatch: no feed can be at 'localhost': Invalid argument")
    assert said.endswith("expected an address such as tcp://127.0.0.1:31400\n")

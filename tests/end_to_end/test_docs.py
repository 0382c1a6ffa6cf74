"""The pages say what is true: their code runs, their commands and settings are accepted, their links lead somewhere."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.streamer.cli import make_app
from braggwatch.streamer.settings import load_settings, parse_settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/**/*.md"))
EXAMPLES = ROOT / "docs" / "examples"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands() -> list[Any]:
    """Every command line that a page shows, indented or between backticks."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shown = re.findall(r"^ {4}(?:PYTHONPATH=\S+ )?(braggwatch [^:\n].*)$", text, re.MULTILINE)
        for line in shown + re.findall(r"`(braggwatch \w[^`]*)`", text):
            found.append(pytest.param(line, id=f"{named(page)}: {line}"))
    return found


@pytest.mark.parametrize("line", commands())
def test_a_command_in_the_docs_has_only_options_that_exist(line: str) -> None:
    words = shlex.split(line, comments=True)
    arguments = words[1 : words.index(">")] if ">" in words else words[1:]
    result = CliRunner().invoke(make_app(), [*arguments, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_of_a_page_lead_to_files_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{named(page)} links to {target}"


@pytest.mark.parametrize(
    "text",
    [pytest.param(text, id=f"{named(page)} {i}") for page in PAGES for i, text in enumerate(blocks(page, "toml"))],
)
def test_settings_in_the_docs_are_accepted(text: str) -> None:
    parse_settings(tomllib.loads(text))


def test_the_command_that_writes_a_settings_file_writes_one_that_passes_the_check(tmp_path: Path) -> None:
    cell = "79.2 79.2 38.0 90 90 90 P43212"
    path = tmp_path / "beamline.toml"
    path.write_text(CliRunner().invoke(make_app(), ["config", "show", "--cell", cell]).stdout)
    result = CliRunner().invoke(make_app(), ["config", "check", str(path)])
    assert result.exit_code == 0, result.output
    overridden = load_settings(path, ["hitfind.min_snr=6", "source.address=tcp://10.0.0.1:31001"])
    assert overridden.pipeline().stages["hitfind"]["min_snr"] == 6


def test_the_code_of_the_library_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks(ROOT / "docs" / "library.md", "python")):
        exec(compile(block, f"library.md, block {number}", "exec"), names)
    np.testing.assert_allclose(names["best"].cell[:3], (79.2, 79.2, 38.0), rtol=0.002)
    assert names["misorientation"](names["best"].A, names["truth"].A[0], names["cell"]) < 0.2
    assert names["detector"].resolution(0.5, 0.5) == pytest.approx(names["same"].resolution(0.5, 0.5), rel=1e-5)
    assert sum(is_hit for _, is_hit, _, _ in names["shots"]) == 3
    read_as_the_page_of_dumps_says(next(tmp_path.glob("dumps/*.h5")))


def read_as_the_page_of_dumps_says(path: Path) -> None:
    names: dict[str, Any] = {"path": path}
    for block in blocks(ROOT / "docs" / "dumps.md", "python"):
        exec(compile(block, "dumps.md", "exec"), names)
    assert names["image"].shape == (2162, 2068)
    assert names["n"] == len(names["numbers"])
    brightest = np.array([names["image"][int(y), int(x)] for x, y in zip(names["fs"], names["ss"], strict=True)])
    assert np.median(brightest) > 10 * np.median(names["image"])
    assert len(names["A"]) == 1
    layout = (ROOT / "docs" / "dumps.md").read_text(encoding="utf-8").partition("\n## CXI\n")[0]
    listed = re.findall(r"^\| `(/[^`…]+)`", layout, re.MULTILINE)
    assert len(listed) > 8
    with h5py.File(path) as file:
        assert [name for name in listed if name.rstrip("/") not in file] == []


def test_the_code_of_the_readme_finds_and_indexes_a_still(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks(ROOT / "README.md", "python")
    exec(compile(block, "README.md", "exec"), {})
    assert re.match(r"\d\d+ spots, \d\d+ indexed: \(79\.", capsys.readouterr().out)


def test_the_example_of_ones_own_stage_stands_in_the_page_as_it_is() -> None:
    (block,) = blocks(ROOT / "docs" / "settings.md", "python")
    method = "".join(f"    {line}\n" if line else "\n" for line in block.splitlines())
    assert method in (EXAMPLES / "high_resolution.py").read_text(encoding="utf-8")


def test_the_example_of_ones_own_stage_keeps_what_diffracts_far_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    settings = load_settings(EXAMPLES / "high_resolution.toml")
    settings.pipeline().build_chain()
    stage = "high_resolution.HighResolution:far"
    pipeline = PipelineSettings.model_validate(
        {
            "chain": {"stages": ["hitfind", stage, "index"]},
            "stages": {**settings.stages, "hitfind": {"min_peaks": 4}},
        }
    ).pipeline(
        Series(
            key="docs", number=1, shape=(256, 256), dtype="uint16", photon_energy=12_400.0, distance=0.01,
            beam_center=(128.0, 128.0), pixel_size=(75e-6, 75e-6),
        )
    )  # fmt: skip
    near, far = (
        pipeline.process(
            Frame(
                series="docs", number=n, payload=spots_at(radius), shape=(256, 256), dtype="uint16", encoding=Encoding()
            )
        )
        for n, radius in enumerate((40, 110))
    )
    assert near.is_hit
    assert far.is_hit
    assert stage in near.timings
    assert "index" not in near.timings
    assert "index" in far.timings


def spots_at(radius: int) -> bytes:
    """Eight spots of four pixels at a distance from the beam, on a background of some counts."""
    image = np.random.default_rng(0).poisson(5.0, (256, 256)).astype(np.uint16)
    for angle in np.arange(8) * np.pi / 4:
        fs, ss = round(128 + radius * np.cos(angle)), round(128 + radius * np.sin(angle))
        image[ss : ss + 2, fs : fs + 2] = 400
    return image.tobytes()

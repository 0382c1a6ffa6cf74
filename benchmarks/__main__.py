"""All benchmarks one after another: `python -m benchmarks [--om-python PYTHON | --make-om-venv FOLDER]`.

Nothing else should run meanwhile. Peak finding is held against the C++ peakfinder8 of `ondamonitor`, which lives in an
environment of its own: `--make-om-venv` makes it, `--om-python` names the interpreter of one that is there.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Sequence

SECTIONS = (
    ("Peaks", "peaks"),
    ("Indexing", "indexing"),
    ("Prediction", "prediction"),
    ("Integration", "integration"),
    ("Merging", "merging"),
    ("Merging beside the hub", "live_merge"),
    ("Unpacking", "decode"),
    ("Calibration", "calibration"),
    ("Whole pipeline, one core", "pipeline"),
    ("Dumping", "dump"),
    ("Streams", "streams"),
    ("Record", "record"),
    ("Simulator", "simulation"),
    ("Hub", "hub"),
    ("Pictures for the viewers", "pictures"),
    ("End to end", "end_to_end"),
    ("Image in the window", "image_view"),
    ("Window beside a run", "window"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=[name for _, name in SECTIONS], help="run just these")
    parser.add_argument("--om-python", metavar="PYTHON")
    parser.add_argument("--make-om-venv", metavar="FOLDER")
    given = parser.parse_args(arguments)
    print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()}")
    for title, name in SECTIONS:
        if given.only and name not in given.only:
            continue
        options = []
        if name == "peaks":
            options += ["--om-python", given.om_python] if given.om_python else []
            options += ["--make-om-venv", given.make_om_venv] if given.make_om_venv else []
        print(f"\n## {title}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False)


if __name__ == "__main__":
    main()

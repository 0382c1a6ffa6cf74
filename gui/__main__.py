"""`python -m braggwatch.gui ADDRESS` is the window; `braggwatch gui` starts it."""

import argparse
import logging
import sys
from pathlib import Path

import zmq

from braggwatch.gui.application import run


def main() -> int:
    """Open the window on the feed at the address that is given."""
    parser = argparse.ArgumentParser(prog="braggwatch gui", description="The window on a running processor.")
    parser.add_argument("address", help="the processor's feed, as it says when it starts")
    parser.add_argument("--memory", type=Path, help="where the layout is remembered, if not in the user's file")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        return run(given.address, given.memory)
    except (OSError, zmq.ZMQError) as error:
        print(f"braggwatch: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

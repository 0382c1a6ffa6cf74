#!/bin/sh
# Makes .venv with the locked dependencies, and whatever of the system Python and Qt still miss.
# Usage: tools/prepare.sh demo|test
set -eu
cd "$(dirname "$0")/.."
purpose=${1:?usage: tools/prepare.sh demo|test}
if [ "$purpose" = demo ]; then lock=requirements.lock; else lock=requirements-dev.lock; fi

say() { printf '%s\n' "$*" >&2; }

apt_install() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing with apt: $*"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    else
        say "Missing: $*. Install it and try again:  sudo apt-get install $*"
        return 1
    fi
}

find_python() {
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    say "Braggwatch needs Python 3.11 or newer; none of python3, python3.11 … python3.14 is one."
    return 1
}

make_venv() {
    python=$(find_python)
    if ! "$python" -m venv .venv 2>/dev/null; then
        rm -rf .venv
        apt_install python3-venv
        "$python" -m venv .venv
    fi
}

# A venv of a Python that has since gone is worth nothing.
.venv/bin/python -c '' 2>/dev/null || { rm -rf .venv; make_venv; }

stamp=.venv/installed-$purpose
wanted=$(cat $lock pyproject.toml | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "Installing the dependencies locked in $lock into .venv …"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $lock
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    printf '%s' "$wanted" >"$stamp"
fi

# The wheels of PyQt5 expect these of the system.
if ! .venv/bin/python -c 'from PyQt5 import QtWidgets' 2>/dev/null; then
    apt_install libgl1 libglib2.0-0 libegl1 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 \
        libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 \
        || say "Without these the window will not open; everything else works."
fi

#!/bin/sh
# Makes .venv with the locked dependencies, and whatever of the system Python and Qt still miss.
# Usage: tools/prepare.sh demo|test
set -eu
cd "$(dirname "$0")/.."

case ${1-} in
    demo) lock=requirements.lock ;;
    test) lock=requirements-dev.lock ;;
    *) echo "usage: tools/prepare.sh demo|test" >&2 && exit 2 ;;
esac

say() { printf '%s\n' "$*" >&2; }

# apt_install WHAT_FOR PACKAGE…
apt_install() {
    what_for=$1 && shift
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "$what_for needs more of the system. Install it and try again:  sudo apt-get install $*"
        return 1
    fi
    say "$what_for needs more of the system. Installing with apt: $*"
    {
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >/dev/null
    } </dev/null
}

find_python() {
    for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    say "Braggwatch needs Python 3.11 or newer, and ${PYTHON:-python3} is $("${PYTHON:-python3}" --version 2>&1)." \
        "Say which one to take:  make PYTHON=/path/to/python ..."
    return 1
}

# A venv that was moved, was cut off half-way or whose Python has gone is made anew.
if [ "$(cat .venv/made-in 2>/dev/null)" != "$PWD" ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    python=$(find_python)
    "$python" -c 'import ensurepip' 2>/dev/null || apt_install "Making .venv" python3-venv
    say "Making .venv with $("$python" --version) …"
    "$python" -m venv --clear .venv
    pwd >.venv/made-in
fi

wanted=$(cat "$lock" pyproject.toml | cksum)
if [ "$(cat ".venv/installed-$1" 2>/dev/null)" != "$wanted" ]; then
    say "Installing into .venv what $lock lists; the first time it is about 1 GB and takes a minute or two …"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r "$lock"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    echo "$wanted" >".venv/installed-$1"
fi

# What the wheels of PyQt5 expect of the system; `braggwatch gui` names the same where something is missing.
qt_packages="libgl1 libglib2.0-0 libegl1 libdbus-1-3 libfontconfig1 fonts-dejavu-core libx11-xcb1 libxkbcommon-x11-0
    libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0
    libxcb-xkb1"
lacks_libraries() { ldd .venv/lib/python3*/site-packages/PyQt5/Qt5/plugins/platforms/libqxcb.so | grep -q 'not found'; }

if [ "$1" = test ] && { lacks_libraries || ! command -v Xvfb >/dev/null; }; then
    # pytest-qt loads Qt whichever tests are run, and one of them opens the window on a screen of its own.
    # shellcheck disable=SC2086
    apt_install "Qt" $qt_packages xvfb
elif [ "$1" = demo ] && [ -n "${DISPLAY-}${WAYLAND_DISPLAY-}" ] && lacks_libraries; then
    # shellcheck disable=SC2086
    apt_install "The window" $qt_packages || say "Until then the demo is shown in the terminal."
fi

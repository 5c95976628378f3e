#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes .venv with Boardwright in it; `setup.sh test` adds what its tests need. Called by make. .venv/ready and
# .venv/ready-test are there only when all of it is installed. Where Python's venv is missing and apt-get may be
# used, it is installed first, after a line that names it. uv is used where it is on this machine. stdout stays empty:
# that of `make build` is its result.
set -eu
exec >&2

fail() {
    echo "Boardwright: $1" >&2
    exit 4
}

is_python() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

has_uv() { command -v uv >/dev/null; }

install_venv() {
    command -v apt-get >/dev/null || fail "Python's venv is missing; install Python 3.11 or newer with it"
    [ "$(id -u)" = 0 ] || fail "Python's venv is missing; call: sudo apt-get install python3-venv"
    echo "Boardwright: installing with apt-get: python3-venv"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 python3-venv
}

make_venv() {
    rm -rf .venv
    if has_uv; then
        uv venv --quiet --python '>=3.11' .venv
        return
    fi
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_venv
    is_python python3 || fail "$(python3 --version) is too old; expected 3.11 or newer"
    python3 -m venv .venv
}

# An interrupted `python3 -m venv` leaves a Python without pip; an upgrade of the system's Python does so too.
is_usable() { is_python .venv/bin/python && { has_uv || .venv/bin/python -m pip --version >/dev/null 2>&1; }; }

install() {
    if has_uv; then
        uv pip install --python .venv/bin/python --editable "$1"
        return
    fi
    bar=on
    [ -t 1 ] || bar=off
    # Python compiles what it imports at the first use, which is a part of it.
    .venv/bin/python -m pip install --disable-pip-version-check --no-compile --progress-bar "$bar" --editable "$1"
}

case ${1:-} in
    "") echo "Boardwright: installing it into .venv with its Python packages (120 MB; about half a minute) ..." ;;
    test) echo "Boardwright: adding to .venv what its tests need (400 MB; about a minute) ..." ;;
    *) fail "setup.sh: $1; expected nothing or test" ;;
esac
rm -f .venv/ready .venv/ready-test
is_usable || make_venv
install ".${1:+[$1]}" || fail "the installation into .venv is not complete; call make again"
touch .venv/ready
[ -z "${1:-}" ] || touch .venv/ready-test

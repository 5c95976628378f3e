#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes .venv with Boardwright in it. Called by make; where Python's venv is missing and apt-get may be used, it
# is installed first, after saying so.
set -eu

lacking() {
    echo "Boardwright needs Python 3.11 or newer with venv: $1" >&2
    exit 4
}

if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    command -v apt-get >/dev/null || lacking "install it, then call make again"
    [ "$(id -u)" = 0 ] || lacking "sudo apt-get install python3-venv"
    echo "installing with apt-get: python3-venv" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || lacking "this is $(python3 --version)"

[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[test]'
touch .venv/ready

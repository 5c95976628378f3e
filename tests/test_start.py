# SPDX-License-Identifier: MIT
"""How the command line starts: the table of verbs against the verbs, and what a command may import.

Imports are what a start costs, and unlike seconds they are the same on every machine (benchmarks/start.py has seconds).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from builder.cli import VERBS, LazyCommand
from tests.conftest import ROOT

ALWAYS_LATE = {"boto3", "botocore", "s3transfer", "jsonschema", "jinja2", "cryptography", "testinfra", "pytest"}
ALWAYS_LATE |= {"cyclonedx", "spdx_tools", "defusedxml", "squarify", "packageurl", "debian"}
"""What no command imports before it knows that it needs it, but for those that make or read releases."""
NETWORK = {"docker", "requests", "urllib3", "websocket", "tenacity", "tqdm"}
RECIPES = {"ruamel.yaml", "builder.recipe", "builder.plan"}


def find_imported(*words: str) -> set[str]:
    """Return the names of all modules that a call of the command line imports, with those of their packages."""
    argv = [sys.executable, "-X", "importtime", "-m", "builder", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    names = set(re.findall(r"^import time: .*\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "builder.cli" in names, done.stderr
    return names


@pytest.mark.parametrize(
    ("words", "late"),
    [
        ("--version", {"rich.console", "builder.log", "builder.verbs", *RECIPES, *NETWORK}),
        ("--help", {"builder.log", "builder.verbs", *RECIPES, *NETWORK}),
        ("nosuch", {"builder.log", "builder.verbs", *RECIPES, *NETWORK}),
        ("schema", {"rich.console", "ruamel.yaml", *NETWORK}),
        ("plan rpi", NETWORK),
        ("boards --json", {"builder.plan", *NETWORK}),
        ("ci matrix --help", NETWORK),
        ("build nosuch", set()),
        ("verify --help", set()),
        ("doctor --help", set()),
        ("cache --help", set()),
    ],
)
def test_a_command_imports_what_it_needs(words: str, late: set[str]) -> None:
    assert not find_imported(*words.split()) & (late | ALWAYS_LATE)


@pytest.mark.parametrize("name", VERBS)
def test_the_table_is_that_of_the_verbs(name: str) -> None:
    listed = LazyCommand(name, *VERBS[name])
    verb = listed.load()
    assert (verb.name, verb.help, verb.hidden) == (name, listed.help, False)

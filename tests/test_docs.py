# SPDX-License-Identifier: MIT
"""The documentation against the code: commands, links, tables, and the reference of board.yaml.

The reference is made from the models. After a change of them: .venv/bin/python -m tests.test_docs
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Container, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from builder.choices import Assembler, EmulationChoice, Engine
from builder.cli import VERBS, LazyCommand, app
from builder.compression import Compression
from builder.errors import KINDS
from builder.recipe.load import list_boards, load_board
from builder.recipe.model import Recipe
from builder.recipe.status import load_status, needs_vendor_blobs
from tests.test_floors import FLOORS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = ROOT / "docs/recipe.md"
MARK = "<!-- From here on made by: .venv/bin/python -m tests.test_docs -->\n"
TYPES = {"string": "text", "integer": "number", "boolean": "`true` or `false`"}
CHOICES: dict[str, Container[str]] = {
    "--assembler": [*Assembler],
    "--compress": [*Compression],
    "--emulation": [*EmulationChoice],
    "--engine": [*Engine],
}


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def find_commands(text: str) -> Iterator[list[str]]:
    """Yield every command of ours as words: a line of a code block, a span of code, what follows a prompt or &&."""
    blocks = re.findall(r"^(?: {4}|\t)(.*)$", text, re.MULTILINE) + re.findall(r"`([^`\n]+)`", text)
    blocks += [line for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
    for line in blocks:
        start = re.match(r"\s*(?:[A-Z_]+=\S+ +)*((?:\.venv/bin/)?boardwright|make)(?: .*)?$", line)
        if start:
            words = shlex.split(line[start.start(1) :], comments=True)
            yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


@cache
def load_verbs() -> dict[str, Any]:
    return {name: LazyCommand(name, *row).load() for name, row in VERBS.items()}


def find_problem(words: list[str], targets: set[str], variables: set[str]) -> str:
    """Return what is wrong with a command, or nothing."""
    if words[0] == "make":
        named = {word.partition("=")[0] for word in words[1:] if "=" in word}
        unknown = [word for word in words[1:] if "=" not in word and word not in targets]
        return " ".join([*unknown, *sorted(named - variables)])
    group, verbs = typer.main.get_command(app), load_verbs()
    if len(words) == 1:
        return ""
    command = group if words[1].startswith("-") else verbs.get(words[1])
    if command is None:
        return words[1]
    if len(words) > 2 and hasattr(command, "commands"):
        command = command.commands.get(words[2])
        if command is None:
            return words[2]
    options = {option for each in command.params for option in each.opts} | {"--help", "-h"}
    wrong = [word for word in words[1:] if word.startswith("-") and word.partition("=")[0] not in options]
    wrong += [f"{option} {value}" for option, value in pairwise(words) if value not in CHOICES.get(option, [value])]
    return " ".join(wrong)


def known_words() -> tuple[set[str], set[str]]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = {"BOARD"} | {
        name
        for verb in load_verbs().values()
        for command in getattr(verb, "commands", {"": verb}).values()
        for parameter in command.params
        if isinstance(name := parameter.envvar, str)
    }
    return targets, variables


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_exist(page: Path) -> None:
    targets, variables = known_words()
    commands = list(find_commands(page.read_text(encoding="utf-8")))
    wrong = {" ".join(words): problem for words in commands if (problem := find_problem(words, targets, variables))}
    assert not wrong
    assert commands or page.name in ("recipe.md", "CHANGELOG.md", "design.md", "security.md")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("    make biuld BOARD=rpi", "biuld"),
        ("    make build BORD=rpi", "BORD"),
        ("    VERSION=1 boardwright bild rpi", "bild"),
        ("```\nboardwright build rpi --fast\n```", "--fast"),
        ("try `boardwright build rpi --compress rar`", "--compress rar"),
        ("    boardwright cache sl", "sl"),
        ("    boardwright cache ls --max-size 1GiB", "--max-size"),
        ("    boardwright cache gc --max-size 1GiB", ""),
        ("    boardwright build rpi --compress xz  # smaller", ""),
        ("    USER_DATA=x make build", ""),
    ],
)
def test_a_wrong_command_is_seen(text: str, problem: str) -> None:
    commands = list(find_commands(text))
    assert [find_problem(words, *known_words()) for words in commands] == [problem]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def anchors(text: str) -> set[str]:
    """Return the names that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table_rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_exit_codes_are_those_of_the_code() -> None:
    rows = table_rows((ROOT / "docs/building.md").read_text(encoding="utf-8"), "Exit codes")
    said = {kind: int(code) for code, kind, _ in rows if kind}
    assert said == {name: kind.exit_code for name, kind in KINDS.items()}
    assert {int(code) for code, kind, _ in rows if not kind} == {0, CliRunner().invoke(app, ["no-such-verb"]).exit_code}


def test_environment_variables_are_all_named() -> None:
    sources = [*(ROOT / "builder").rglob("*.py"), ROOT / "tests/conftest.py"]
    used = {name for path in sources for name in re.findall(r'"(BOARDWRIGHT_[A-Z_]+)"', path.read_text())}
    _, variables = known_words()
    rows = table_rows((ROOT / "docs/building.md").read_text(encoding="utf-8"), "Environment")
    said = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert used | variables - {"BOARD"} <= said
    assert {name for name in said if name.startswith("BOARDWRIGHT_")} == used | {
        name for name in variables if name.startswith("BOARDWRIGHT_")
    }


WORDS = {"planned": "planned", "built": "built", "its kernel, in QEMU": "kernel", "its boot chain, in QEMU": "booted"}


def test_the_boards_are_those_of_the_repository() -> None:
    rows = table_rows((ROOT / "README.md").read_text(encoding="utf-8"), "Boards")
    boards = ROOT / "boards"
    recipes = {name: load_board(boards, name).recipe for name in list_boards(boards)}
    assert [row[:3] for row in rows] == [[f"`{name}`", r.title, r.architecture.value] for name, r in recipes.items()]
    assert [(WORDS[row[3]], row[4] == "yes") for row in rows] == [
        (proof, needs_vendor_blobs(recipes[name])) for name, proof in load_status(boards).items()
    ]


def test_the_reference_is_that_of_the_models() -> None:
    _, mark, made = REFERENCE.read_text(encoding="utf-8").partition(MARK)
    assert mark
    assert made == render_reference(), "call .venv/bin/python -m tests.test_docs"


def test_the_layout_has_every_module_once_with_its_floor() -> None:
    text = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    table = text[text.index("    errors.py ") :].partition("\n\n")[0].splitlines()
    rows = [(line.split()[0], int(line.split()[-1])) for line in table]
    parts = [path for path in (ROOT / "builder").iterdir() if path.is_dir() or path.suffix == ".py"]
    names = [f"{path.name}/" if path.is_dir() else path.name for path in parts if not path.name.startswith("__")]
    assert sorted(rows) == sorted((name, FLOORS[name.partition(".")[0].rstrip("/")]) for name in names)
    assert len({len(line) for line in table}) == 1, "the floors are in one column"


def test_every_key_of_the_schema_is_in_the_reference() -> None:
    schema = json.loads((ROOT / "boards/schema.json").read_text(encoding="utf-8"))
    text = REFERENCE.read_text(encoding="utf-8")
    keys = {key for model in [schema, *schema["$defs"].values()] for key in model.get("properties", {})}
    assert not {key for key in keys if f"| `{key}` |" not in text}


Schema = dict[str, Any]


def render_reference() -> str:
    """Return the tables of all keys, top level first, each model below the first that uses it."""
    schema = Recipe.model_json_schema()
    models = {name: model for name, model in schema["$defs"].items() if "properties" in model}
    parts = [_render_model("Top level", schema, schema["$defs"])]
    parts += [_render_model(name, models[name], schema["$defs"]) for name in _in_order(schema, models)]
    return "\n".join(parts)


def _in_order(model: Schema, models: Schema) -> list[str]:
    found: list[str] = []
    for name in re.findall(r'"#/\$defs/(\w+)"', json.dumps(model["properties"])):
        if name in models and name not in found:
            found += [each for each in [name, *_in_order(models[name], models)] if each not in found]
    return found


def _render_model(name: str, model: Schema, definitions: Schema) -> str:
    about = [] if name == "Top level" else [" ".join(str(model["description"]).split()), ""]
    rows = [
        f"| `{key}` | {_render_type(value, definitions)} | {_render_default(key, model, definitions)} |"
        f" {_say(value, definitions)} |"
        for key, value in model["properties"].items()
    ]
    return "\n".join([f"## {name}", "", *about, "| Key | Type | Default | Meaning |", "|---|---|---|---|", *rows, ""])


def _say(value: Schema, definitions: Schema) -> str:
    about = value.get("description") or definitions[value["$ref"].rpartition("/")[2]]["description"]
    return " ".join(str(about).split()).replace("|", "\\|")


def _render_default(key: str, model: Schema, definitions: Schema) -> str:
    if key in model.get("required", ()):
        return "**needed**"
    value = model["properties"][key]
    default = value.get("default")
    if default and "$ref" in value:
        own = definitions[value["$ref"].rpartition("/")[2]]["properties"]
        default = {name: part for name, part in default.items() if part != own[name].get("default")}
        return f"`{json.dumps(default)}`" if default else "as below"
    return f"`{json.dumps(default)}`" if default not in (None, {}, []) else ""


def _render_type(value: Schema, definitions: Schema) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        kind = definitions[name]
        return f"[{name}](#{name.lower()})" if "properties" in kind else _render_type(kind, definitions)
    if "anyOf" in value:
        return " or ".join(_render_type(each, definitions) for each in value["anyOf"] if each.get("type") != "null")
    if "enum" in value or "const" in value:
        return ", ".join(f"`{each}`" for each in value.get("enum", [value.get("const")]))
    if value["type"] == "array":
        return f"list of {_render_type(value['items'], definitions)}"
    if value["type"] == "object":
        values = value.get("additionalProperties") or next(iter(value["patternProperties"].values()))
        return f"mapping of name to {_render_type(values, definitions)}"
    return "size" if value.get("examples") else TYPES[value["type"]]


if __name__ == "__main__":
    before, mark, _ = REFERENCE.read_text(encoding="utf-8").partition(MARK)
    REFERENCE.write_text(before + mark + render_reference(), encoding="utf-8")


def test_every_file_that_the_tour_names_is_there() -> None:
    text = (ROOT / "docs/architecture-tour.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\*\*\d+\. ", text, re.MULTILINE)) == 12
    named = re.findall(r"`((?:builder|specs|tests)/[^`]*)`", text)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []

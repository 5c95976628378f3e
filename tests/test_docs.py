# SPDX-License-Identifier: MIT
"""The documentation against the code: commands, links, paths, tables, and the reference of board.yaml.

The reference is made from the models. After a change of them: .venv/bin/python -m tests.test_docs
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import textwrap
from collections.abc import Collection, Container, Iterator, Sequence
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
from builder.plan.make import make_plan
from builder.recipe.boot import BootMethod
from builder.recipe.load import list_boards, load_board
from builder.recipe.model import Recipe
from builder.recipe.status import load_status, needs_vendor_blobs
from builder.verify.facts.image import ImageFacts
from builder.verify.live.containers import Containers
from builder.verify.live.system import System
from builder.verify.parametrize import TABLES, find_traits
from builder.verify.plugin import LEVELS
from tests.test_floors import FLOORS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
DESIGN = ROOT / "docs/design.md"
TOUR = ROOT / "docs/architecture-tour.md"
SPEC_PAGE = ROOT / "docs/writing-a-spec.md"
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
    """Return the unknown words of a command, or ""."""
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


OTHER_PROGRAMS = {"--data-root", "--force-unsafe-io", "--privileged"}
"""Options of dockerd, dpkg and docker."""
OLD = {"CHANGELOG.md": {"--packages", "--compression"}}
"""Options that had other names."""


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_options_exist(page: Path) -> None:
    spans = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    named = {option for span in spans for option in re.findall(r"(?<![\w-])--[a-z][\w-]+", span)}
    options = {
        option
        for verb in load_verbs().values()
        for command in getattr(verb, "commands", {"": verb}).values()
        for parameter in command.params
        for option in parameter.opts
    }
    group = {option for parameter in typer.main.get_command(app).params for option in parameter.opts}
    assert named - options - group - {"--help"} - OTHER_PROGRAMS == OLD.get(page.name, set())


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
    codes = {kind: int(code) for code, kind, _ in rows if kind}
    assert codes == {name: kind.exit_code for name, kind in KINDS.items()}
    assert {int(code) for code, kind, _ in rows if not kind} == {0, CliRunner().invoke(app, ["no-such-verb"]).exit_code}


def test_environment_variables_are_all_named() -> None:
    sources = [*(ROOT / "builder").rglob("*.py"), ROOT / "tests/conftest.py"]
    used = {name for path in sources for name in re.findall(r'"(BOARDWRIGHT_[A-Z_]+)"', path.read_text())}
    _, variables = known_words()
    rows = table_rows((ROOT / "docs/building.md").read_text(encoding="utf-8"), "Environment")
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert used | variables - {"BOARD"} <= listed
    assert {name for name in listed if name.startswith("BOARDWRIGHT_")} == used | {
        name for name in variables if name.startswith("BOARDWRIGHT_")
    }


PROOFS = {"planned": "planned", "built": "built", "its kernel, in QEMU": "kernel", "its boot chain, in QEMU": "booted"}


def test_the_boards_are_those_of_the_repository() -> None:
    rows = table_rows((ROOT / "README.md").read_text(encoding="utf-8"), "Boards")
    boards = ROOT / "boards"
    recipes = {name: load_board(boards, name).recipe for name in list_boards(boards)}
    assert [row[:3] for row in rows] == [[f"`{name}`", r.title, r.architecture.value] for name, r in recipes.items()]
    assert [(PROOFS[row[3]], row[4] == "yes") for row in rows] == [
        (proof, needs_vendor_blobs(recipes[name])) for name, proof in load_status(boards).items()
    ]


def test_the_reference_is_that_of_the_models() -> None:
    _, mark, made = REFERENCE.read_text(encoding="utf-8").partition(MARK)
    assert mark
    assert made == render_reference(), "call .venv/bin/python -m tests.test_docs"


def read_layout(text: str) -> list[tuple[str, int]]:
    """Return (name, floor) of each row of the layout of builder/, whose floors are in one column."""
    table = text[text.index("    errors.py ") :].partition("\n\n")[0].splitlines()
    assert len({len(line) for line in table}) == 1, "the floors are not in one column"
    return [(line.split()[0], int(line.split()[-1])) for line in table]


def list_parts() -> list[str]:
    """Return modules and folders (with a slash) directly below builder/."""
    parts = [path for path in (ROOT / "builder").iterdir() if path.is_dir() or path.suffix == ".py"]
    return sorted(f"{path.name}/" if path.is_dir() else path.name for path in parts if not path.name.startswith("__"))


def find_layout_problems(rows: Sequence[tuple[str, int]], parts: Collection[str]) -> list[str]:
    names = [name for name, _ in rows]
    return [
        *(f"{name} twice" for name in sorted({name for name in names if names.count(name) > 1})),
        *(f"{name} missing" for name in sorted({*parts} - {*names})),
        *(f"{name} unknown" for name in sorted({*names} - {*parts})),
        *(f"{name} on {floor}" for name, floor in rows if name in parts and floor != FLOORS[re.split("[./]", name)[0]]),
    ]


def test_the_layout_has_every_module_once_with_its_floor() -> None:
    rows = read_layout(DESIGN.read_text(encoding="utf-8"))
    assert find_layout_problems(rows, list_parts()) == []
    assert {name.partition("/")[0].removesuffix(".py") for name, _ in rows} == FLOORS.keys() - {"__main__"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: [*rows, ("net/", 1)], ["net/ twice"]),
        (lambda rows: [*rows, ("net/", 2)], ["net/ twice", "net/ on 2"]),
        (lambda rows: [row for row in rows if row[0] != "pipeline.py"], ["pipeline.py missing"]),
        (lambda rows: [*rows, ("hub/", 8)], ["hub/ unknown"]),
        (lambda rows: [(name, floor + (name == "log.py")) for name, floor in rows], ["log.py on 1"]),
    ],
)
def test_a_wrong_row_of_the_layout_is_seen(change: Any, problem: list[str]) -> None:
    rows = read_layout(DESIGN.read_text(encoding="utf-8"))
    assert find_layout_problems(change(rows), list_parts()) == problem


def test_a_row_of_the_layout_out_of_column_is_seen() -> None:
    text = DESIGN.read_text(encoding="utf-8")
    with pytest.raises(AssertionError, match="one column"):
        read_layout(text.replace("    net/   ", "    net/ "))


def test_the_chain_has_every_folder_once() -> None:
    section = DESIGN.read_text(encoding="utf-8").partition("\n## The chain\n")[2].partition("\n## ")[0]
    picture = "\n".join(line for line in section.splitlines() if line.startswith("    "))
    drawn = re.findall(r"(?<![\w<>/])([a-z_]+)/(?= )", picture)
    folders = [name.rstrip("/") for name in list_parts() if name.endswith("/")]
    assert sorted(set(drawn) - {"specs", "dist"}) == sorted(folders)
    assert [name for name in folders if drawn.count(name) != 1] == []
    below = {int(floor): re.findall(r"([a-z_]+)/", names) for floor, names in re.findall(r"floor (\d+): (.*)", picture)}
    assert {floor: [FLOORS[name] for name in names] for floor, names in below.items()} == {
        5: [5] * 2,
        4: [4] * 2,
        1: [1] * 3,
    }
    callers = [FLOORS[name] for name in ("verbs", "engine", "pipeline")]
    chain = re.findall(r"^    +[│▼]  (\w+)/", picture, re.MULTILINE)
    assert callers == sorted(callers, reverse=True)
    assert [name for name in chain[:6] if FLOORS[name] >= FLOORS["pipeline"]] == []
    assert [name for name in chain if not 1 < FLOORS[name] < FLOORS["verbs"]] == []


TOP = ("builder", "specs", "tests", "boards", "benchmarks", "docs")
INVENTED = re.compile(r"boards/garden/.*|specs/(quiet|NAME)_spec\.py|boards/NAME/|pytest\.py")
"""Names in examples."""


def find_paths(text: str) -> Iterator[str]:
    """Yield paths in code spans: below a folder of the repository or of builder/, and modules by their name."""
    folders = [name.rstrip("/") for name in list_parts() if name.endswith("/")]
    for span in re.findall(r"`([^`\n]+)`", text):
        first = span.partition("/")[0]
        if re.fullmatch(r"[\w.<>*-]+(/[\w.<>*-]+)*/?", span) and (
            ("/" in span and first in (*TOP, *folders)) or re.fullmatch(r"[\w/]+\.py", span)
        ):
            yield span


def is_there(path: str) -> bool:
    """Return whether a path exists. NAME, BOARD, <name> and * stand for any name."""
    pattern = re.sub(r"<\w+>|\bNAME\b|\bBOARD\b", "*", path.rstrip("/"))
    roots = ["."] if path.partition("/")[0] in TOP else ["builder", *([] if "/" in path else ["specs"])]
    return any(any((ROOT / root).glob(pattern)) for root in roots)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "SECURITY.md"], ids=page_name)
def test_every_path_is_there(page: Path) -> None:
    paths = find_paths(page.read_text(encoding="utf-8"))
    wanted = [path for path in paths if not INVENTED.fullmatch(path)]
    if page.name == "users-boards.md":
        wanted = [path for path in wanted if not path.startswith("boards/")]  # Their files are on that page.
    assert [path for path in wanted if not is_there(path)] == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`builder/nosuch.py`", True),
        ("`verbs/prove.py`", True),
        ("`nosuch_spec.py`", True),
        ("`tests/verify/test_hostile_*.py`", True),
        ("`specs/data/nosuch.yaml`", True),
        ("`rootfs/apt/nosuch.py`", True),
        ("`builder/rootfs/`", False),
        ("`rootfs/apt/pins.py`", False),
        ("`cli.py` and `disk_spec.py`", False),
        ("`tests/disk/test_hostile_*.py`", False),
        ("`boards/NAME/board.yaml`", False),
        ("`plan/ways/`", False),
    ],
)
def test_a_wrong_path_is_seen(text: str, missing: bool) -> None:
    paths = list(find_paths(text))
    assert paths
    assert any(not is_there(path) for path in paths) == missing


def first_cells(text: str, heading: str) -> list[list[str]]:
    """Return the code spans of the first cells of each table below a heading: one list for each table."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    tables = re.findall(r"^\|.*\n\|-.*\n((?:\|.*\n)+)", section, re.MULTILINE)
    return [
        [name for row in table.splitlines() for name in re.findall("`([^`]+)`", row.split("|")[1])] for table in tables
    ]


def list_fixtures(source: str) -> list[str]:
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and any("fixture" in ast.unparse(each) for each in node.decorator_list)
    ]


def test_the_page_of_specs_names_every_fixture_and_table() -> None:
    text = SPEC_PAGE.read_text(encoding="utf-8")
    [fixtures] = first_cells(text, "What a spec can ask")
    assert sorted(fixtures) == sorted(list_fixtures((ROOT / "specs/conftest.py").read_text(encoding="utf-8")))
    of_plan, of_data = first_cells(text, "One spec for each row")
    assert sorted(of_plan) == sorted(TABLES)
    assert sorted(of_data) == sorted(path.stem for path in (ROOT / "specs/data").glob("*.yaml"))
    for name, owner in (("image", ImageFacts), ("system", System), ("containers", Containers)):
        named = re.findall(rf"`{name}\.(\w+)", text)
        assert named
        assert [attribute for attribute in named if not hasattr(owner, attribute)] == []


def test_fixtures_are_found() -> None:
    source = "@pytest.fixture(scope='session')\ndef a(): ...\n@pytest.fixture\ndef b(): ...\ndef c(): ...\n"
    assert list_fixtures(source) == ["a", "b"]


def test_the_page_of_specs_names_every_level_and_trait() -> None:
    levels, traits = first_cells(SPEC_PAGE.read_text(encoding="utf-8"), "Which boards, which level")
    assert levels == list(LEVELS)
    boards = [load_board(ROOT / "boards", name) for name in list_boards(ROOT / "boards")]
    known = {trait for board in boards for trait in find_traits(make_plan(board, version="1.0", epoch=0))}
    assert set(BootMethod) <= {*traits}
    assert {name for name in traits if "NAME" not in name} <= known | {"machine", "bookworm", "none"}
    free = {value for board in boards for value in (*board.recipe.features, board.recipe.architecture.value)}
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "specs").glob("*.py"))
    asked = {trait for call in re.findall(r"mark\.needs\(([^)]*)\)", source) for trait in re.findall('"([^"]+)"', call)}
    assert {trait for trait in asked if not re.fullmatch(r"package:.+|.+-packages", trait)} <= free | {*traits}


LONGEST = 120


def find_long_lines(text: str) -> list[int]:
    """Return numbers of lines of prose that are too long: outside of tables, code blocks, links and the reference."""
    prose, is_code = [], False
    for number, line in enumerate(text.splitlines(), 1):
        is_code ^= line.startswith("```")
        if not is_code and not line.startswith(("|", "    ", "<!--")) and not re.fullmatch(r"\s*\S+", line):
            prose.append((number, line))
    return [number for number, line in prose if len(line) > LONGEST]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "SECURITY.md"], ids=page_name)
def test_no_line_of_prose_is_too_long(page: Path) -> None:
    assert find_long_lines(page.read_text(encoding="utf-8")) == []


def test_a_long_line_is_seen_in_prose_only() -> None:
    line = "word " * 30
    text = f"{line}\n- {line}\n| {line} |\n    {line}\n```\n{line}\n```\n{line}\nhttps://{'a' * 200}\n"
    assert find_long_lines(text) == [1, 2, 8]


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
    about = [] if name == "Top level" else [textwrap.fill(" ".join(str(model["description"]).split()), LONGEST), ""]
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


def read_answers() -> dict[int, str]:
    """Return the answers of the tour by number."""
    questions = TOUR.read_text(encoding="utf-8").partition("\n## ")[0]
    parts = re.split(r"^\*\*(\d+)\. ", questions, flags=re.MULTILINE)[1:]
    return {int(number): text for number, text in zip(parts[::2], parts[1::2], strict=True)}


def test_one_or_two_files_answer_each_question_of_the_tour() -> None:
    answers = read_answers()
    assert list(answers) == list(range(1, 13))
    for number, text in answers.items():
        named = set(re.findall(r"`((?:builder|specs|tests)/[^`]*)`", text))
        files = {name for name in named if name.endswith(".py")}
        assert named
        assert len(files) <= 2 or number == 6, f"{number} names {files}"  # The sixth asks for several kinds.


if __name__ == "__main__":
    before, mark, _ = REFERENCE.read_text(encoding="utf-8").partition(MARK)
    REFERENCE.write_text(before + mark + render_reference(), encoding="utf-8")

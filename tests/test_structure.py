"""The order of the rooms: each folder imports only from those above it."""

import ast
import re
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import darts_lite

FLOORS = (
    "storage",
    "launchers",
    "distributed",
    "space",
    "space/cells",
    "space/layers",
    "space/own",
    "data",
    "data/images",
    "data/sounds",
    "data/signals",
    "data/own",
    "training",
    "networks/cells",
    "networks/folded",
    "networks/layers",
    "networks/own",
    "networks",
    "derivation",
    "search",
    "search/exploration",
    "search/playoff",
    "search/callbacks",
    "retraining",
    "plots",
    "export",
    "runs/callbacks",
    "runs",
    "planning",
    "reports",
    "cli/front",
    "cli/verbs",
    "cli",
)
"""All folders, from the one that imports from no other to the command line."""
MOST_MODULES, MOST_LINES = 13, 350
FOLDER = Path(darts_lite.__file__).parent
TESTS = Path(__file__).parent


def modules(floor: str) -> list[Path]:
    return sorted(path for path in (FOLDER / floor).glob("*.py") if path.stem != "__init__")


def place(path: Path) -> str:
    """A module as it is imported, without the package's name."""
    return ".".join(path.relative_to(FOLDER).with_suffix("").parts)


def imports(path: Path) -> set[str]:
    """Modules of the package that a module imports, as `place` names them."""
    known = {place(module) for floor in FLOORS for module in modules(floor)}
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("darts_lite."):
            source = str(node.module).removeprefix("darts_lite.")
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found & known


BY_NAME = {
    "cli.main": "loads the module of a verb",
    "cli.parsing": "knows the public names",
    "storage.foreign_settings": "looks a class of a file up among the public names",
    "storage.components": "gives classes their public names",
}
"""What knows the package, or loads its modules, by name, and why."""


def test_nothing_imports_by_another_way() -> None:
    for floor in FLOORS:
        for path in modules(floor):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom):
                    assert node.level == 0, path
                whole = isinstance(node, ast.ImportFrom) and node.module == "darts_lite"
                whole |= isinstance(node, ast.Import) and "darts_lite" in ast.unparse(node)
                called = isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func)
                whole |= called and "darts_lite" in ast.unparse(node)
                assert not whole or place(path) in BY_NAME, path


def floor_of(module: str) -> str:
    return module.rpartition(".")[0].replace(".", "/")


def test_every_folder_has_its_place_and_a_caption() -> None:
    folders = {path.parent for path in FOLDER.rglob("*.py")} - {FOLDER}
    assert {str(path.relative_to(FOLDER)) for path in folders} == set(FLOORS)
    for folder in folders:
        caption = ast.parse((folder / "__init__.py").read_text())
        assert ast.get_docstring(caption) and len(caption.body) == 1, folder


def test_every_folder_is_in_the_wheel() -> None:
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())
    packages = {name.replace(".", "/") for name in project["tool"]["setuptools"]["packages"]}
    ours = {"darts_lite", *(f"darts_lite/{floor}" for floor in FLOORS)}
    assert ours == packages - {"darts_lite/configs", "darts_lite/configs/algorithms"}


def test_every_folder_is_told_of() -> None:
    guide = (TESTS.parent / "CONTRIBUTING.md").read_text()
    for floor in FLOORS:
        assert f"`{floor}/`" in guide, floor
        assert all(f"``{name}``" in str(darts_lite.__doc__) for name in floor.split("/")), floor


def test_imports_go_down_only(capsys: pytest.CaptureFixture[str]) -> None:
    arrows: dict[str, set[str]] = {floor: set() for floor in FLOORS}
    for floor in FLOORS:
        inside: dict[str, set[str]] = {}
        for path in modules(floor):
            sources = imports(path)
            arrows[floor] |= {floor_of(source) for source in sources} - {floor}
            inside[place(path)] = {source for source in sources if floor_of(source) == floor}
        later = arrows[floor] & set(FLOORS[FLOORS.index(floor) :])
        assert not later, f"{floor} imports from {later}, which stand below it"
        TopologicalSorter(inside).prepare()  # raises where modules import each other
    with capsys.disabled():
        for floor, above in arrows.items():
            print(f"\n{floor} <- {', '.join(sorted(above, key=FLOORS.index)) or '-'}", end="")


OF_KINDS = (
    *("space/cells", "space/layers", "space/own"),
    *("networks/cells", "networks/folded", "networks/layers", "networks/own"),
)
ASKING = {
    "networks.kinds": "names all kinds",
    "networks.supernet": "takes an executor",
    "search.executors": "chooses one",
    "search.architecture_search": "takes an executor",
    "search.exploration.exploration": "takes an executor",
    "search.exploration.evaluators": "looks up a table of NAS-Bench-201",
    "plots.architectures": "draws each kind as what it is",
    "plots.cells": "draws cells with the sizes of their maps",
    "plots.chains": "draws chains",
    "plots.choice_lists": "draws choices in networks of users",
    "plots.comparison": "draws chains as what they are",
    "plots.run_history": "reads histories of versions that knew only cells",
    "cli.lightning_cli": "imports the module of a user's network",
    "cli.parsing": "reads spaces without a class path, which are of cells",
}
"""What may import from the rooms of one kind of space, and why."""


def test_nothing_else_knows_of_a_kind() -> None:
    for floor in set(FLOORS) - set(OF_KINDS):
        for path in modules(floor):
            if any(floor_of(source) in OF_KINDS for source in imports(path)):
                assert place(path) in ASKING


def test_pages_that_sources_name_have_the_sections_they_name() -> None:
    named = re.compile(r'(docs/[\w/]+\.md)(?:[\s#]*,[\s#]*"([^"]+)")?')
    found = [
        match
        for folder, ending in (("darts_lite", "py"), ("benchmarks", "py"), ("configs", "yaml"))
        for path in sorted((TESTS.parent / folder).rglob(f"*.{ending}"))
        for match in named.findall(path.read_text())
    ]
    assert any(section for _, section in found)
    for page, section in found:
        text, heading = (TESTS.parent / page).read_text(), re.sub(r"[\s#]+", " ", section)
        assert re.search(rf"^#+ {re.escape(heading)}", text, re.M), f"{page} has no {heading}"


def test_folders_and_modules_stay_small() -> None:
    for floor in FLOORS:
        assert len(modules(floor)) <= MOST_MODULES, floor
        for path in modules(floor):
            assert len(path.read_text().splitlines()) <= MOST_LINES, path


def test_functions_stay_short() -> None:
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 60, (path, node.name)


def test_tests_mirror_the_folders() -> None:
    for floor in FLOORS:
        tested = {path.stem for path in (TESTS / floor).glob("test_*.py")}
        missing = [path.stem for path in modules(floor) if f"test_{path.stem}" not in tested]
        assert not missing, f"{floor}: no tests of {missing}"

"""The order of the rooms: each module imports only from those above it."""

import ast
from pathlib import Path

import darts_lite

ORDER = [
    "allocator",
    "room",
    "ranks",
    "batches",
    "files",
    "records",
    "overflow",
    "finite",
    "depthwise",
    "operations",
    "search_space",
    "genotype",
    "strategies",
    "nasbench201",
    "architecture",
    "encoding",
    "skeleton",
    "parts",
    "relaxation",
    "regularizers",
    "decidedness",
    "supernet",
    "sampling",
    "mixture",
    "moments",
    "batch_norms",
    "mixing",
    "folded_candidates",
    "folding",
    "executors",
    "own_modules",
    "checkpoints",
    "net",
    "recipe",
    "weights",
    "costs",
    "cost_files",
    "budget",
    "derivation",
    "trust",
    "bilevel",
    "losses",
    "cuda_graphs",
    "saving",
    "resuming",
    "processes",
    "optimizers",
    "search",
    "discretisation",
    "selection",
    "safeguards",
    "cost_penalty",
    "evaluators",
    "explore",
    "retraining",
    "download",
    "datasets",
    "suitability",
    "image_files",
    "figures",
    "image_folders",
    "sources",
    "augmentation",
    "data",
    "memory",
    "layering",
    "plotting",
    "answer_plots",
    "epoch_means",
    "callbacks",
    "history",
    "run_plots",
    "quality",
    "run_settings",
    "reporting",
    "training",
    "pipeline",
    "trainer_settings",
    "trainers",
    "stopwatch",
    "plan_report",
    "planning",
    "fitting",
    "presets",
    "parsing",
    "answer",
    "cli",
    "verbs",
    "completion",
    "plan_command",
    "differences",
    "deriving",
    "comparing",
    "drawing",
    "ejecting",
    "predicting",
    "exporting",
    "commands",
    "__main__",
]
FOLDER = Path(darts_lite.__file__).parent


def imports(path: Path) -> set[str]:
    """Modules of the package that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "darts_lite":
                found |= {alias.name for alias in node.names}
            elif node.module.startswith("darts_lite."):
                found.add(node.module.split(".")[1])
    return found


def test_every_module_has_its_place() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {*ORDER, "__init__"}


def test_imports_go_in_one_direction() -> None:
    for position, name in enumerate(ORDER):
        later = imports(FOLDER / f"{name}.py") & set(ORDER[position:])
        assert not later, f"{name} imports {later}, which stand below it"


def test_modules_stay_short() -> None:
    for path in FOLDER.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 350, path.name


def test_every_module_has_tests() -> None:
    tests = {path.stem for path in Path(__file__).parent.glob("test_*.py")}
    assert {f"test_{name}" for name in ORDER if name != "__main__"} <= tests

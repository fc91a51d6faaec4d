"""The commands of README and docs work, and their links lead somewhere."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib
import venv
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random

import forked
import pytest
from linked_packages import link_packages
from pictures import picture
from run_helpers import SMALL, quiet_trainer, some_digits

from darts_lite.cli.front.arguments import OWN, SWEEP, TRAINING
from darts_lite.cli.front.stacking import expand_presets
from darts_lite.cli.main import main, parser
from darts_lite.cli.parsing import add_checkpoint_settings
from darts_lite.cli.sweep import Parsed, add_overlay, take_overlays
from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.rules import derive
from darts_lite.retraining.retraining import Retraining
from darts_lite.runs import presets
from darts_lite.search.architecture_search import ArchitectureSearch

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MEASURED = {"benchmarks.md", "gpu.md"}
"""Pages whose commands are measurements of minutes to hours."""
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in DOCS.glob("guide/*.md")),
    *sorted(page for page in DOCS.glob("*.md") if page.name not in MEASURED),
]
TEXT = "\n".join(page.read_text() for page in PAGES)


def blocks_of(language: str) -> list[str]:
    """What stands in fences of a language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


MARKED = r"(<!-- parsed only: [^\n]+ -->\n)?```(\w+)\n(.*?)```"
"""A block, its language, and whether its commands are not to be run."""
BLOCKS = blocks_of("sh")
LINES = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = [part.strip() for line in LINES for part in line.split("#")[0].split("&&")]
WRITTEN = ("my_parts", "my_net", "my_rows", "my_labels", "my_maps")
"""Modules of the examples, which are written where these run."""
OURS = sorted(
    {c for c in COMMANDS if "python -m darts_lite" in c and not any(w in c for w in WRITTEN)}
)


MAIN_JOB = Path("logs", "mnist", "version_0")


@pytest.fixture(scope="module")
def checkpoint(digits_root: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A net.ckpt for the commands that read one."""
    shares = {k: a.detach() for k, a in ArchitectureSearch(SMALL).supernet.alphas.items()}
    run = quiet_trainer(max_steps=1, limit_val_batches=0)
    run.fit(Retraining(derive(SMALL, shares, {})), datamodule=ImageData(root=digits_root))
    path = tmp_path_factory.mktemp("readme") / "net.ckpt"
    run.save_checkpoint(path, weights_only=True)
    return str(path)


@pytest.mark.parametrize("command", OURS)
def test_a_command_parses(command: str, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(command)
    arguments = words[words.index("darts_lite") + 1 :]
    if arguments[0] in OWN:
        parser().parse_args(arguments)
        return
    arguments = [checkpoint if word.endswith(".ckpt") else word for word in arguments]
    if "[c]" in arguments and find_spec("litert_torch") is None:
        pytest.skip("the extra device, of two gigabytes, is not installed")
    if SWEEP in arguments:
        overlays, rest = take_overlays(arguments[1:])
        arguments = ["fit", *add_overlay(rest, overlays[0])]
    try:
        Parsed(*add_checkpoint_settings(expand_presets(arguments)))
    except SystemExit as end:  # of a command that only prints
        assert end.code == 0


def test_the_two_commands_that_set_everything_up() -> None:
    text = "\n".join(LINES)
    assert "pip install -e . && python -m darts_lite fit --config configs/mnist.yaml" in text
    assert "pip install -e '.[test]' && pytest" in text


def test_links_of_the_readme_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", PAGES[0].read_text())
    assert targets  # those of the docs are checked where the site is built
    for target in targets:
        assert (ROOT / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len(PAGES[0].read_text().split()) <= 1300


def test_lines_about_what_goes_wrong_are_those_of_the_program() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "darts_lite").rglob("*.py"))
    said = re.sub(r"\{[^{}]*\}", "…", re.sub(r'"\s*\n\s*f?"', "", sources))
    table = (DOCS / "troubleshooting.md").read_text()
    rows = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines() if "| `" in row]
    assert len(rows) > 10
    for row in rows:
        for line in re.findall(r"`` (.+?) ``|`([^`]+)`", row):
            for part in filter(None, map(str.strip, "".join(line).split("…"))):
                assert part in said, part


def test_every_verb_is_shown() -> None:
    for verb in {*TRAINING, *OWN} - {"part"}:  # fit itself runs that
        assert any(f"darts_lite {verb}" in command for command in OURS), verb


def check_own_parts(checkout: Path, said: str) -> None:
    """Checks the run of the last example, with own parts, and what its commands printed."""
    run = checkout / "logs" / "mine" / "version_0"
    summary = json.loads((run / "summary.json").read_text())
    assert "Sharp" in summary["algorithm"] and summary["data_source"] == "drawn"
    assert summary["test_accuracy"] > 0.9
    assert f'"test/accuracy": {summary["test_accuracy"]}' in said
    left_out = "my_parts.Blur" in summary["architecture"]
    assert said.count("same classes") == (2 if left_out else 3)
    assert ("net.py is left out" in said) == left_out
    assert "parameters for 1 channel, 2 classes" in said


def write_photos(folder: Path) -> None:
    """Writes coloured pictures of digits, as many of each class as a split needs."""
    images, labels = some_digits()
    for number, label in enumerate(labels[:300].tolist()):
        (folder / f"digit {label}").mkdir(parents=True, exist_ok=True)
        made = picture(images[number], "RGB", Random(number))
        made.save(folder / f"digit {label}" / f"{number}.png")


def run_program(words: Sequence[str]) -> None:
    """Runs a command with the presets of where it is."""
    presets.PLACES = (Path("configs").absolute(),)
    warnings.simplefilter("default")
    main(words)


def run_here(block: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Runs commands of the program in processes that need not import anything anew.

    Returns what they have printed.
    """
    log = folder / "log"
    log.unlink(missing_ok=True)
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words[:3] == ["python", "-m", "darts_lite"], line
            process = forked.start(run_program, words[3:], log, environment, folder)
            process.join()
            assert process.exitcode == 0, f"{line}\n{log.read_text()[-5000:]}"
    return log.read_text() if log.exists() else ""


def shorten_presets(folder: Path) -> None:
    """Leaves few images, steps and epochs to the runs behind the first one."""
    shorter = {
        r"(search_batches_per_epoch): \d+": r"\1: 20",
        r"(least_batches_per_epoch): \d+": r"\1: 6",
        r"\n    (max_epochs): \d+": r"\n    \1: 1",  # of a retraining
        r"\n    (dataset: MNIST)": r"\n    \1\n    train_images: 600",
        r"\n  (name: mnist)\n": r"\n  \1\n  control_nets: 2\n",
        r"\n  (name: mnist_cells)\n": r"\n  \1\n  launcher: here\n",  # jobs take seconds to begin
    }
    for path in folder.glob("*.yaml"):
        text = path.read_text()
        for long, short in shorter.items():
            text = re.sub(long, short, text)
        path.write_text(text)


@pytest.mark.slow
def test_every_command_works_as_printed_in_order_in_a_fresh_environment(digits_root: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkout, environment = Path(folder) / "checkout", Path(folder) / "environment"
        for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
        venv.create(environment, with_pip=True)
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        link_packages(project["dependencies"], environment)
        write_photos(checkout / "photos")
        settings = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "DARTS_LITE_DATA": digits_root,
            "OMP_NUM_THREADS": "1",  # other tests run beside
            "PIP_COMPILE": "0",  # most of what is installed is never imported
        }
        blocks = dict.fromkeys(re.findall(MARKED, TEXT, flags=re.DOTALL))
        first_of_docs = len(set(re.findall(MARKED, PAGES[0].read_text(), flags=re.DOTALL)))
        run: set[str] = set()  # pages show some commands again
        for number, (marked, language, block) in enumerate(blocks):
            if language == "sh" and not marked:
                lines = [line for line in block.splitlines() if line not in run]
                block = "\n".join(lines)
                run |= {*lines}
            written = re.match(r"# (\S+\.\w+)\n", block)
            if written:
                (checkout / written[1]).write_text(block)
            elif not marked and language == "sh" and number >= first_of_docs:
                said = run_here(block, checkout, {"DARTS_LITE_DATA": digits_root})
            elif not marked and language in ("sh", "python"):
                command = ["bash", "-euxo", "pipefail"] if language == "sh" else ["python"]
                done = subprocess.run(
                    [*command, "-c", block],
                    cwd=checkout,
                    env=settings,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                assert done.returncode == 0, f"{block}\n{done.stdout[-5000:]}"
            if number == 0:  # the main job, whole
                summary = json.loads((checkout / MAIN_JOB / "summary.json").read_text())
                assert summary["test_accuracy"] >= 0.97 and summary["params"] <= 60_000
                shorten_presets(checkout / "configs")
        check_own_parts(checkout, said)  # the last example
        left = {path.name for path in (checkout / MAIN_JOB).iterdir()}
        assert left >= {"net.ckpt", "net.onnx", "net.py", "curves.png", "summary.json"}

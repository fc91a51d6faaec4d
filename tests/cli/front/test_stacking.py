"""Presets and overlays by name, and the order in which they make sense."""

import os
from pathlib import Path

import pytest
from run_helpers import one_line

from darts_lite.cli.front.stacking import expand_presets


def stack(*configs: object) -> list[str]:
    """The command ``fit`` with these configurations, expanded."""
    return expand_presets(["fit", *(f"--config={config}" for config in configs)])


def test_a_name_stands_for_a_path(configs: Path) -> None:
    cells, gdas = str(configs / "mnist_cells.yaml"), str(configs / "algorithms" / "gdas.yaml")
    assert expand_presets(["fit", "--config", "mnist_cells"]) == ["fit", "--config", cells]
    given = ["fit", "--config=mnist_cells", "-c", "algorithms/gdas", "--run.name", "mnist"]
    assert expand_presets(given) == ["fit", f"--config={cells}", "-c", gdas, "--run.name", "mnist"]
    assert stack("mnist_cells", "gdas") == ["fit", f"--config={cells}", f"--config={gdas}"]


def test_files_and_settings_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mnist").write_text("run: {name: mine}")
    text = f"run: {{name: {'m' * 300}}}"  # too long for the name of a file
    for config in ("mnist", "absent.yaml", f"some{os.sep}absent.yaml", "run: {name: mine}", text):
        assert expand_presets(["fit", "--config", config]) == ["fit", "--config", config]


def test_a_folder_of_the_same_name_does_not_hide_a_preset(
    configs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    assert stack("mnist") == ["fit", f"--config={configs / 'mnist.yaml'}"]


def test_an_overlay_is_not_the_first(configs: Path, tmp_path: Path) -> None:
    gdas = configs / "algorithms" / "gdas.yaml"
    own = tmp_path / "own.yaml"
    own.write_text("model: {init_args: {warmup_epochs: 1}}")
    for first in ("gdas", "algorithms/spos", gdas, own):
        for others in ([], ["mnist_cells"]):
            with pytest.raises(ValueError) as caught:
                stack(first, *others)
            name = Path(first).stem
            one_line(caught, name, "is an overlay", "give that first, as in --config mnist_cells")
    own.write_text("run: {max_minutes: 3}")
    assert stack(own, "mnist")  # which does not set it
    assert stack("eigenvalue", "mnist_cells")  # adds a callback, and loses nothing
    assert expand_presets(["fit", "--model=mine.Search", "--config=gdas"])[2] == f"--config={gdas}"
    assert expand_presets(["test", "--ckpt_path", "net.ckpt", "--config", str(gdas)])


@pytest.mark.parametrize("overlay", ["gdas", "skip_limit", "perturbation", "budget"])
@pytest.mark.parametrize("preset", ["mnist", "mnist_small", "retrain"])
def test_an_overlay_of_cells_is_not_for_chains(preset: str, overlay: str) -> None:
    with pytest.raises(ValueError) as caught:
        stack(preset, overlay)
    right = f"--config mnist_cells --config {overlay}"
    one_line(caught, f"{overlay} is for a search by gradients", f"and {preset} has", right)


def test_what_an_overlay_sets_is_not_lost(tmp_path: Path) -> None:
    for later in ("mnist_cells", "mnist"):
        with pytest.raises(ValueError) as caught:
            stack("mnist_cells", "gdas", later)
        one_line(caught, f"{later} comes after the overlay gdas", "give gdas last, or leave it out")
    with pytest.raises(
        ValueError, match=r"spos comes after .* \(relaxation, .*; leave one of them"
    ):
        stack("mnist_cells", "gdas", "spos")
    with pytest.raises(ValueError, match="gdas is for .* and spos has darts_lite.Exploration"):
        stack("mnist_cells", "spos", "gdas")
    assert stack("mnist_cells", "gdas", "snas", "eigenvalue")  # of two overlays the last one counts
    assert stack("mnist_cells", "second_order", "mnist_cells")  # sets no gradient
    own = tmp_path / "own.yaml"
    search = "darts_lite.search.architecture_search.ArchitectureSearch"
    own.write_text(f"model: {{class_path: {search}, init_args: {{executor: auto}}}}")
    assert stack("mnist_cells", "gdas", own)


def test_a_run_has_one_preset() -> None:
    with pytest.raises(ValueError) as caught:
        stack("mnist", "photos")
    one_line(caught, "mnist and photos are both whole configurations", "give one of them")
    assert stack("mnist", "mnist")


OWN = "budget: {parameters: 3000}"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (OWN, "budget.parameters"),
        ("data: {init_args: {batch_size: 3}}", "data.batch_size"),
        ("run: {name: mine}", "run.name"),
        ("retraining: {init_args: {max_epochs: 1}}", "retraining.max_epochs"),
    ],
)
def test_settings_of_ones_own_are_not_lost(settings: str, name: str, tmp_path: Path) -> None:
    own, whole = tmp_path / "own.yaml", tmp_path / "whole.yaml"
    own.write_text(settings)
    preset = (Path(stack("mnist")[1].partition("=")[2])).read_text()
    whole.write_text(preset)
    for later in ("mnist", whole, preset):
        with pytest.raises(ValueError) as caught:
            stack(own, later)
        one_line(caught, f"comes after {own}", f"({name})", f"give {own} behind it")
    with pytest.raises(ValueError, match="mnist comes after what is written out and would"):
        stack(settings, "mnist")
    assert stack("mnist", own) and stack("mnist", own, "run: {name: other}")
    value = {"run.name": "mine"}.get(name, "3")
    for words in ([f"--{name}={value}"], [f"--{name}", value]):
        for later in ("mnist", own):
            changed = [word.replace("mine", "m").replace("3", "7") for word in words]
            with pytest.raises(ValueError) as caught:
                expand_presets(["fit", *changed, "--config", str(later)])
            one_line(caught, f"comes after --{name} and", f"give --{name} behind it")
    assert expand_presets(["fit", "--budget.parameters=10000", "--config=mnist"])  # as there


def test_a_model_of_your_own_takes_overlays(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("model: {class_path: mine.Search}")
    assert stack(own, "gdas")
    own.write_text("model: mine.Search")
    assert stack(own, "gdas")
    assert stack("model: {class_path: mine.Search}", "gdas")
    assert stack("mnist", "model: {class_path: mine.Search}", "gdas")
    assert stack("mnist_cells", "gdas", "run: {name: mine}", "snas")
    assert stack("run: {name: mine", "mnist")  # the parser tells of text that is no YAML
    for named in ("--model=mine.Search", "--model.class_path=mine.Search"):
        assert expand_presets(["fit", "--config=mnist", named, "--config=gdas"])[2] == named

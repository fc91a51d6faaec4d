"""`darts_lite.fit` and what it returns."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from run_helpers import FEW_NETS, Finished, some_digits

import darts_lite
from darts_lite.cli.library import fit

SETTINGS = {
    **dict(word.removeprefix("--").split("=") for word in FEW_NETS),
    "data.search_batches_per_epoch": 8,
    "data.least_batches_per_epoch": 1,
    "data.train_images": 800,
    "retraining.max_epochs": 1,
    "trainer.accelerator": "cpu",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_is_searched_predicted_and_exported(
    found_digits: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {**SETTINGS, "run.folder": tmp_path, "data.batch_size": 1000}
    run = fit("mnist", budget={"parameters": 3000}, settings=settings)
    said = capsys.readouterr()
    assert said.out == ""
    assert "Warning: a batch of the retraining is to have 1,000 images" in said.err
    assert run.folder == tmp_path / "mnist" / "version_0"
    assert run.summary["finished"] and run.summary["params"] <= 3000
    assert run.architecture == run.net.architecture
    images, _ = some_digits()
    Image.fromarray(images[0].numpy()).save(tmp_path / "digit.png")
    (answer,) = run.predict(tmp_path / "digit.png")
    assert answer["class"] in range(10) and 0 < answer["probability"] <= 1
    before = darts_lite.Run(str(run.folder))
    assert before == run and before.summary == run.summary
    (first, again) = before.predict([tmp_path / "digit.png", str(tmp_path / "digit.png")], top=3)
    assert first == again and first["class"] == answer["class"] and len(first["top"]) == 3
    (path,) = run.export("safetensors", folder=tmp_path / "out")
    state = darts_lite.Net.from_pretrained(tmp_path / "out").state_dict()
    assert path.name == "net.safetensors"
    assert all(torch.equal(value, run.net.state_dict()[name]) for name, value in state.items())


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = Path(darts_lite.__file__).parents[1] / "docs" / "first_search.ipynb"
    shutil.copy(notebook, tmp_path)
    words = [
        "-m",
        "pytest",
        "--nbmake",
        "--overwrite",
        "-p",
        "no:cacheprovider",
        "-n0",
        notebook.name,
    ]
    place = {"DARTS_LITE_DATA": str(tmp_path), "JUPYTER_PLATFORM_DIRS": "1"}
    done = subprocess.run(
        [sys.executable, *words, notebook.name],
        cwd=tmp_path,
        env={**os.environ, **place},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
    cells = json.loads((tmp_path / notebook.name).read_text())["cells"]
    shown = [one for cell in cells for one in cell.get("outputs", [])]
    assert {one["output_type"] for one in shown} <= {"execute_result", "stream"}
    assert all(one.get("name", "stderr") == "stderr" for one in shown)  # warnings


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"preset": "nothing"}, "'nothing' is neither a file nor a preset"),
        ({"settings": {"data.batch_siz": 3}}, "batch_siz"),
        ({"data": "no/such/folder"}, "no/such/folder"),
        ({"budget": {"parameters": 10}}, "at most 10 parameters"),
        ({"budget": "5000"}, "budget maps names to values, as .*; got '5000'"),
        (
            {"data": "photos", "settings": {"data.dataset": "MNIST"}},
            "data.dataset, which data",
        ),
        (
            {"budget": {"memory": 1}, "settings": {"budget.memory": 2}},
            "budget.memory, which budget sets as well",
        ),
        ({"settings": {"data.seed": fit}}, "data.seed must be a plain value or a path"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_mistakes_are_value_errors(
    arguments: dict[str, object], told: str, tmp_path: Path, found_digits: None
) -> None:
    given = {"settings": {"run.folder": str(tmp_path), **SETTINGS}, **arguments}
    if "settings" in arguments:
        given["settings"] = {"run.folder": str(tmp_path), **SETTINGS, **arguments["settings"]}  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=told):
        fit(**given)  # type: ignore[arg-type]


def test_settings_are_a_mapping() -> None:
    for wrong in (["a"], {3: 4}):
        with pytest.raises(ValueError, match="settings maps names to values, as"):
            fit(settings=wrong)  # type: ignore[arg-type]


def test_a_run_that_is_not_there_is_told(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no run in {tmp_path}"):
        darts_lite.Run(tmp_path)
    shutil.copy(finished.directory / "config.yaml", tmp_path)
    run = darts_lite.Run(tmp_path)
    with pytest.raises(ValueError, match=r"summary.json is missing or damaged"):
        run.summary  # noqa: B018
    with pytest.raises(ValueError, match=r"cannot read architecture .*architecture.json"):
        run.architecture  # noqa: B018
    with pytest.raises(ValueError, match="no checkpoint at"):
        run.net  # noqa: B018
    with pytest.raises(ValueError, match="no checkpoint at"):
        run.predict("a.png")
    with pytest.raises(ValueError, match="predict needs images"):
        run.predict()
    with pytest.raises(ValueError, match="top must be a number of classes, at least 1; got 0"):
        run.predict("a.png", top=0)

"""The tasks of the page about them: rows, several labels, maps."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from run_helpers import some_slow, verbs

from darts_lite import Net

PAGE = Path(__file__).parents[1] / "docs" / "own_task.md"
FEW = ["--run.launcher=here", "--trainer.max_epochs=1", "--retraining.max_epochs=2"]
FEW += ["--data.search_batches_per_epoch=20"]
NETS = ["--model.at_random=3", "--model.children=1", "--model.finalists=1"]
RIVALS = ["--run.control=random", "--run.control_nets=2"]
EXAMPLES = {
    "my_rows": ("own_network", [*NETS, *RIVALS], (10, 1, 1), (1,), 110),
    "my_labels": ("own_network", NETS, (1, 16, 16), (10,), 500),
    "my_maps": ("own_network_darts", [], (1, 16, 16), (11, 16, 16), 500),
}
"""Preset, settings, shapes of input and answer, and number of test items."""


@pytest.fixture(scope="module", autouse=True)
def examples(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Writes the page's modules and settings where Python finds them."""
    folder = tmp_path_factory.mktemp("examples")
    for name, text in re.findall(r"```\w+\n# (\w+\.\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield


def test_an_export_that_cannot_be_is_refused_before_the_search(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = ["--config", "own_network", "--config", "my_rows.yaml", "--run.name=refused"]
    with pytest.raises(SystemExit):
        verbs(["fit", *own, "--run.export=[safetensors]"])
    assert "run.export is for nets that tell classes" in capsys.readouterr().err
    assert not Path("logs", "refused").exists()


@pytest.mark.parametrize("name", some_slow(["my_rows"], ["my_labels", "my_maps"]))
def test_an_example_is_searched_trained_and_told(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    preset, settings, shape, answer, tested = EXAMPLES[name]
    own = ["--config", f"{name}.yaml", f"--run.name={name}"]
    verbs(["fit", "--config", preset, *own, *settings, *FEW])
    run = Path("logs", name, "version_0")
    summary = json.loads((run / "summary.json").read_text())
    task = yaml.safe_load(Path(f"{name}.yaml").read_text())["model"]["init_args"]["task"]
    metric = task["metric"].rpartition(".")[2]
    assert summary["score"] == {"name": metric, "larger_is_better": True}
    assert summary["test_accuracy"] is None and summary["test_images"] == tested
    assert summary["test_score"] <= 1 and summary["validation_score"] <= 1
    said = capsys.readouterr().out
    assert f"test {metric}" in said and "predict" not in said
    assert Net.from_run(run)(torch.zeros(2, *shape)).shape == (2, *answer)
    if name == "my_rows":
        beaten = sum(summary["test_score"] > other for other in summary["control_test_scores"])
        assert summary["control_percentile"] == 50 * beaten
        check_what_reads_a_run(run, summary, capsys)


def check_what_reads_a_run(
    run: Path, summary: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Shows, compares and tests a run; what tells classes refuses it."""
    verbs(["report", str(run)])
    page = (run / "report.html").read_text()
    assert "test R2Score" in page and "Test R2Score of the found net and its rivals" in page
    assert "test items" in page and "images" not in page
    assert "darts_lite test" in page and "darts_lite predict" not in page
    verbs(["plot", str(run)])
    capsys.readouterr()
    verbs(["compare", str(run.parent), "--json"])
    (told,) = json.loads(capsys.readouterr().out)
    assert told["test_score"] == summary["test_score"]
    verbs(["compare", str(run / "controls"), "--json"])
    rivals = [one["test_score"] for one in json.loads(capsys.readouterr().out)]
    assert rivals == sorted(summary["control_test_scores"], reverse=True)
    own = [f"{run}/net.ckpt", "--run.imports=[my_rows]"]
    verbs(["test", "--ckpt_path", *own])
    line = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(line)["test/score"] == pytest.approx(summary["test_score"])
    for verb in (["predict", "--ckpt_path"], ["export"]):
        with pytest.raises(SystemExit):
            verbs([*verb, *own])
        assert "a task" in capsys.readouterr().err

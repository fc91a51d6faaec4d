"""The card of a model, for people and for Hugging Face's Hub."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from run_helpers import Exported, Finished

from darts_lite.data.class_balance import describe_recalls
from darts_lite.data.images.datasets import EMBEDDED
from darts_lite.export.card import NAMES, make_card, write_card
from darts_lite.export.facts import describe, measure_accuracy
from darts_lite.export.formats import Written
from darts_lite.export.inference import load_answer

FILES = {"onnx": Written(Path("net.onnx"), 5000, 0.0, 0.25)}


def facts_of(finished: Finished, **others: Any) -> dict[str, Any]:
    net, about = load_answer(finished.directory / "net.ckpt")
    return {**describe(net, about), **others}


def test_it_tells_what_the_run_has_measured(exported: Exported, finished: Finished) -> None:
    _, front, text = (exported.folder / NAMES[0]).read_text().split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["license"] == "cc-by-sa-3.0" and told["library_name"] == "darts_lite"
    assert told["pipeline_tag"] == "image-classification" and told["metrics"] == ["accuracy"]
    (result,) = told["model-index"][0]["results"]
    accuracy = finished.summary["test_accuracy"]
    assert result["metrics"][0]["value"] == pytest.approx(accuracy, abs=1e-6)
    assert f"{100 * accuracy:.2f} % of 1,000 test images, asked once, at the end of the run" in text
    assert f"{finished.summary['params']:,} parameters" in text
    assert f"{finished.summary['macs']:,} multiply-adds" in text
    assert f"by a search of {finished.summary['search_seconds']:,.0f} s and trained" in text
    assert "Its 10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9." in text
    assert "CC BY-SA 3.0 (https://keras.io/api/datasets/mnist)" in text
    worst = min(finished.summary["class_accuracies"])
    assert f"the worst class was {finished.summary['class_accuracies'].index(worst)}:" in text
    for name in ("net.onnx", "net.pt2", "net.safetensors", "net.py"):
        assert f"| `{name}` | " in text
    assert f"{exported.folder / NAMES[0]}: what there is to know of the net" in exported.said


def test_the_hub_reads_its_front(exported: Exported) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard.load(exported.folder / NAMES[0]).data
    (result,) = data.eval_results
    assert data.pipeline_tag == "image-classification" and result.metric_type == "accuracy"


def test_rivals_are_told_of(finished: Finished) -> None:
    rivals = {
        "control_names": ["Random net 1", "By hand, [x](http://y)"],
        "control_test_accuracies": [0.5, 0.25],
        "test_accuracy": 0.75,
    }
    accuracy = {"share": 0.75, "images": 1000, "of": "1,000 test images"}
    text = make_card(facts_of(finished, accuracy=accuracy), FILES, rivals)
    rows = text.split("| net | test accuracy |\n| --- | --- |\n")[1].split("\n\n")[0].splitlines()
    assert rows[:2] == ["| this net | 75.00 % |", "| Random net 1 | 50.00 % |"]
    assert rows[2] == "| By hand, &#91;x&#93;(http&#58;&#47;&#47;y) | 25.00 % |"


def test_without_a_run_it_is_made_of_the_checkpoint(finished: Finished) -> None:
    net, about = load_answer(finished.directory / "net.ckpt")
    text = make_card(describe(net, about), FILES, {})
    assert "It was not measured." in text and "model-index" not in text
    assert f"{finished.summary['params']:,} parameters" in text


def test_names_of_somebody_elses_classes_stay_words(finished: Finished) -> None:
    names = ["<script>", "a|b", "`c`", *"3456789"]
    text = make_card(facts_of(finished, class_names=names), FILES, {})
    assert "<script>" not in text and "&#60;script&#62;, a&#124;b, &#96;c&#96;, 3, 4" in text


def test_a_card_of_somebody_else_is_never_overwritten(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in NAMES)
    assert write_card(tmp_path, "one\n") == first
    assert write_card(tmp_path, "two\n") == first and first.read_text().startswith("two\n")
    changed = first.read_text().replace("two", "mine")
    first.write_text(changed)
    assert write_card(tmp_path, "three\n") == second
    assert first.read_text() == changed and second.read_text().startswith("three\n")
    second.write_bytes(b"\xff")
    assert write_card(tmp_path, "four\n") is None
    assert first.read_text() == changed and second.read_bytes() == b"\xff"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_its_lines_run_as_printed(
    exported: Exported,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = shutil.copytree(exported.folder, tmp_path / "handed on")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    blocks = [part.split("```")[0] for part in (folder / NAMES[0]).read_text().split("```python")]
    assert len(blocks) == 1 + len(Exported.formats)
    for block in blocks[1:]:
        exec(compile(block, NAMES[0], "exec"), {})
    sys.modules.pop("net")
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert len({name for name, _ in said}) == 1 and len(said) == len(Exported.formats)
    shares = [float(share) for _, share in said]
    assert max(shares) - min(shares) < 1e-4


def test_a_measured_accuracy_is_told_as_one(finished: Finished) -> None:
    net, about = load_answer(finished.directory / "net.ckpt")
    accuracy = measure_accuracy(torch.eye(10), torch.arange(10))
    text = make_card(describe(net, about, accuracy), FILES, {})
    assert "100.00 % of 10 test images, asked when the net was exported, by one pass" in text


def test_classes_that_are_neglected_are_told(finished: Finished, exported: Exported) -> None:
    text = (exported.folder / NAMES[0]).read_text()
    balanced = 100 * finished.summary["balanced_accuracy"]
    assert f"Balanced accuracy, the mean over classes: {balanced:.2f} %" in text
    recalls = describe_recalls(finished.summary["class_recalls"])
    assert f"Recall: {recalls}." in text
    net, about = load_answer(finished.directory / "net.ckpt")
    answers, labels = torch.eye(10)[[0, 0, 0, 1]], torch.tensor([0, 0, 2, 2])
    text = make_card(describe(net, about, measure_accuracy(answers, labels)), FILES, {})
    assert "over classes: 50.00 %. Recall: 0 100.0 %, 2 0.0 %." in text


def test_digits_of_the_package_are_not_called_all_of_mnist(finished: Finished) -> None:
    def name_data(**accuracy: Any) -> dict[str, str]:
        told = {"share": 0.5, "images": 1000, "of": "1,000 test images"} | accuracy
        text = make_card(facts_of(finished, accuracy=told, data_source=EMBEDDED), FILES, {})
        (result,) = yaml.safe_load(text.split("---\n")[1])["model-index"][0]["results"]
        return dict(result["dataset"])

    part = {"name": "MNIST, embedded 5,000 digits of darts_lite", "type": "embedded-digits"}
    assert name_data() == name_data(dataset="MNIST", data_source=EMBEDDED) == part
    whole = {"name": "MNIST", "type": "mnist"}
    assert name_data(dataset="MNIST", data_source="local files") == whole

"""What exported files tell about a net."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from run_helpers import Finished, one_line

from darts_lite.export.facts import (
    answer_all,
    describe,
    find_accuracy,
    find_summary,
    measure_accuracy,
)
from darts_lite.export.inference import load_answer


def test_the_facts_of_a_run(finished: Finished) -> None:
    checkpoint = finished.directory / "net.ckpt"
    net, about = load_answer(checkpoint)
    summary = find_summary(checkpoint, net)
    facts = describe(net, about, find_accuracy(summary))
    assert facts["class_names"] == list("0123456789")
    assert facts["data"] == {
        "class_path": "darts_lite.ImageData",
        "init_args": {"dataset": "MNIST"},
    }
    assert facts["data_licence"]["name"] == "CC BY-SA 3.0"
    assert facts["preparation"] == about["preparation"].to_dict()
    assert facts["input"].startswith("pixels of 0 to 1, (images, 1, 28, 28), not normalised")
    assert facts["parameters"] == finished.summary["params"]
    assert facts["multiply_adds"] == finished.summary["macs"]
    assert facts["versions"].keys() == {"darts_lite", "torch"}
    accuracy = facts["accuracy"]
    assert accuracy["share"] == pytest.approx(finished.summary["test_accuracy"], abs=1e-6)
    assert accuracy["images"] == 1000 and "at the end of the run" in accuracy["of"]


def test_nine_passes_count_nine_times(finished: Finished) -> None:
    net, about = load_answer(finished.directory / "net.ckpt")
    net.test_shifts = 1
    facts = describe(net, about)
    assert facts["multiply_adds"] == 9 * finished.summary["macs"]
    assert (facts["test_shifts"], facts["passes"], facts["accuracy"]) == (1, 9, None)


def test_a_summary_of_another_net_tells_nothing(finished: Finished, tmp_path: Path) -> None:
    net, _ = load_answer(finished.directory / "net.ckpt")
    assert find_summary(tmp_path / "net.ckpt", net) == {} and find_accuracy({}) is None
    shutil.copy(finished.directory / "summary.json", tmp_path)
    assert find_summary(tmp_path / "net.ckpt", net) == finished.summary
    content = (tmp_path / "summary.json").read_text()
    size = finished.summary["params"]
    (tmp_path / "summary.json").write_text(content.replace(f'"params": {size}', '"params": 7'))
    assert find_summary(tmp_path / "net.ckpt", net) == {}


def test_a_measured_accuracy(finished: Finished) -> None:
    net, about = load_answer(finished.directory / "net.ckpt")
    answers = answer_all(net, torch.rand(4, 1, 28, 28))
    right = answers.argmax(dim=1)
    wrong = (right + torch.tensor([0, 0, 0, 1])) % 10
    assert measure_accuracy(answers, right)["share"] == 1
    told = measure_accuracy(answers, wrong)
    assert told["share"] == 0.75 and told["of"].startswith("4 test images")


def test_settings_that_no_file_holds_are_refused(finished: Finished) -> None:
    net, about = load_answer(finished.directory / "net.ckpt")
    seen = replace(about["preparation"], mean=(float("nan"),))
    with pytest.raises(ValueError) as caught:
        describe(net, {**about, "preparation": seen})
    one_line(caught, "settings that no file can hold")
